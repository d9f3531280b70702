"""Try every candidate, then other settings of the best one, and keep each finished row on disk."""

import shutil
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

import srsly
import tqdm

from ..common.files import replace_when_done
from ..common.machine import describe_machine
from ..common.pipelines import get_folder_digest
from ..compiled_transformer.artefact import get_digest
from ..compiled_transformer.cpu import available_cores
from .candidates import Candidate
from .gate import Gate
from .selection import find_best
from .trial import Row, Trial, make_row, name_settings, try_candidate, try_settings

SHARE_FOR_CANDIDATES = 0.6  # of the budget; the rest is for the settings of the best one
NOT_TRIED = "not tried"
SEARCH = "search.json"  # Says what search the rows in its folder are of.


def get_key(reference: Path, corpora: Sequence[Path], gate: Gate, gpu: int, objective: str) -> Row:
    """Collect what makes two searches the same, so that rows of one hold for the other."""
    return {
        "reference": get_folder_digest(reference),
        "corpora": [get_digest(corpus.read_bytes()) for corpus in corpora],
        "gate": gate._asdict(),
        "gpu": gpu,
        "objective": objective,
        "machine": describe_machine(),
    }


def load_rows(folder: Path, key: Row) -> Dict[str, Row]:
    """Read the rows of a search that was stopped, if it was the same search.

    folder (Path): Where candidates are kept; emptied if it belongs to another search.
    key (Row): From `get_key`.
    RETURNS (Dict[str, Row]): Rows by name.
    """
    key_path = folder / SEARCH
    if key_path.is_file() and key_path.read_text(encoding="utf8") == srsly.json_dumps(key):
        rows = [srsly.read_json(path) for path in folder.glob("*.row.json")]
        return {row["name"]: row for row in rows}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    key_path.write_text(srsly.json_dumps(key), encoding="utf8")
    return {}


def save_row(folder: Path, row: Row) -> None:
    with replace_when_done(folder / f"{get_digest(row['name'].encode('utf8'))[:12]}.row.json") as path:
        srsly.write_json(path, row)


class Search:
    """Try candidates until the budget is used up, keeping every finished row on disk.

    trial (Trial): What candidates are tried with.
    finished (Dict[str, Row]): Rows of a search that was stopped, by name; they are not tried again.
    budget (float): Minutes after which nothing further is started, but for the first candidate and those that are
        always tried.
    silent (bool): Show no progress bar.
    """

    def __init__(self, trial: Trial, finished: Dict[str, Row], budget: float, silent: bool) -> None:
        self.trial = trial
        self.finished = finished
        self.silent = silent
        self.rows: List[Row] = []
        self.deadline = time.monotonic() + 60 * budget
        self.candidates_deadline = time.monotonic() + 60 * budget * SHARE_FOR_CANDIDATES
        self.out_of_budget = (
            f"{NOT_TRIED}: the budget of {budget:g} minutes was used up. Run again with a larger --budget"
        )

    def try_candidates(self, candidates: List[Candidate]) -> None:
        """Build, gate and time every candidate."""
        progress = tqdm.tqdm(candidates, unit="candidate", disable=self.silent, leave=False)
        for candidate in progress:
            progress.set_description(candidate.name)
            row = self.finished.get(candidate.name)
            is_late = self.rows and time.monotonic() > self.candidates_deadline and not candidate.always
            if row is None and is_late and candidate.why_not(self.trial.gpu) is None:
                row = make_row(candidate.name, candidate.engine, candidate.precision)
                self.rows.append({**row, "status": "skipped", "reason": self.out_of_budget})
                continue
            self.keep(row or try_candidate(self.trial, candidate))

    def try_settings(self) -> None:
        """Try other runtime settings of the best candidate, each on top of what was better before."""
        objective = self.trial.objective
        base = find_best(self.rows, objective)
        if base is None or objective == "size":
            return
        changes = get_setting_changes(self.trial, base)
        progress = tqdm.tqdm(changes, unit="setting", disable=self.silent, leave=False)
        for change in progress:
            progress.set_description(name_settings(base, change))
            row = self.finished.get(name_settings(base, change))
            if row is None and time.monotonic() > self.deadline:
                return
            self.keep(row or try_settings(self.trial, base, change))
            base = find_best([base, self.rows[-1]], objective)

    def keep(self, row: Row) -> None:
        self.rows.append(row)
        if row["status"] in ("passed", "rejected"):  # What failed may go better another time.
            save_row(self.trial.workbench.folder, row)


def get_setting_changes(trial: Trial, base: Row) -> List[Dict[str, Any]]:
    """List settings that may be faster: micro-batches, no overlap of windows, fewer threads.

    base (Row): The best candidate. On a CPU larger micro-batches than these are never made, see `batches.py`.
    """
    budgets = (1024, 8192) if base["settings"].get("device") == "cuda" else (256, 512)
    changes: List[Dict[str, Any]] = [{"batch_wordpieces": budget} for budget in budgets]
    settings = trial.workbench.reference.settings
    if settings.get("spans") == "strided" and settings["stride"] < settings["window"]:
        changes.append({"stride": settings["window"]})
    if available_cores() > 1:
        changes.append({"threads": available_cores() // 2})
    return changes
