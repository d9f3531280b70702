"""Build, gate and time every candidate, and keep the best that finds the same entities."""

import shutil
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import srsly
import tqdm

from ..benchmarking.process import PipelineError, PipelineProcess
from ..benchmarking.timing import compare_latency, compare_throughput, summarize
from ..common.corpora import choose_docs, choose_sentences
from ..common.files import replace_when_done
from ..common.machine import describe_machine, get_size_mb
from ..common.pipelines import get_folder_digest
from ..compiled_transformer.artefact import get_digest
from ..compiled_transformer.cpu import available_cores
from .artefact_writer import finish_artefact
from .candidates import Candidate, Workbench
from .gate import EntityScores, Gate, score_entities
from .selection import find_best
from .swap import assemble, save_skeleton

BATCH_SIZE = 128
ROUNDS = 5
WORDS = 5000
SENTENCES = 30
# Settings of the compiled component that all candidates get; most sentences are not longer.
OBJECTIVE_SETTINGS = {"latency": {"warm_up_lengths": [16, 32, 48, 64]}}
NOT_IN_NAMES = {"device"}.union(*OBJECTIVE_SETTINGS.values())
SHARE_FOR_CANDIDATES = 0.6  # of the budget; the rest is for the settings of the best one
SEARCH = "search.json"  # Says what search the rows in its folder are of.
Row = Dict[str, Any]


class Trial(NamedTuple):
    """Everything that candidates are tried with."""

    workbench: Workbench
    transformer: str  # name of the component
    corpus: Path
    process: PipelineProcess  # of the reference
    scores: EntityScores  # of the reference
    gate: Gate
    objective: str
    gpu: int


def start_trial(
    workbench: Workbench, process: PipelineProcess, corpus: Path, gate: Gate, objective: str, gpu: int
) -> Trial:
    """Score the reference and prepare what all candidates share.

    workbench (Workbench): The trained pipeline, which can't be used for predictions afterwards.
    process (PipelineProcess): The same pipeline, running.
    corpus (Path): The dev corpus.
    gate (Gate): What may be lost.
    objective (str): "throughput", "latency" or "size".
    gpu (int): GPU of the reference, -1 for the CPU.
    """
    scores = score_entities(workbench.dev, process.entities(corpus))
    shutil.rmtree(workbench.skeleton, ignore_errors=True)
    save_skeleton(workbench.reference, workbench.skeleton)
    return Trial(workbench, workbench.reference.transformer.name, corpus, process, scores, gate, objective, gpu)


def try_candidate(trial: Trial, candidate: Candidate) -> Row:
    """Build, gate and time one candidate; what goes wrong becomes its row.

    RETURNS (Row): The candidate's row. Its "status" is "passed", "rejected", "failed" or "skipped".
    RAISES (PipelineError): If the reference's process has ended, so that nothing can be compared with it.
    """
    row = make_row(candidate.name, candidate.engine, candidate.precision)
    row["settings"] = dict(OBJECTIVE_SETTINGS.get(trial.objective, {}))
    if candidate.device != "cpu":
        row["settings"]["device"] = candidate.device
    why_not = candidate.why_not(trial.gpu)
    if why_not:
        return {**row, "status": "skipped", "reason": why_not}
    start = time.perf_counter()
    try:
        row["folder"] = build_candidate(trial, candidate, row)
        row["build_seconds"] = time.perf_counter() - start
        return measure(trial, row)
    except Exception as error:  # Engines and optimizers raise errors of many kinds; none may end the search.
        return fail(trial, row, error)


def try_settings(trial: Trial, base: Row, settings: Dict[str, Any]) -> Row:
    """Gate and time a candidate that is built with other settings of the compiled component.

    base (Row): Row of the candidate.
    settings (Dict[str, Any]): Settings to override, on top of the base's own.
    """
    row = make_row(name_settings(base, settings), base["engine"], base["precision"])
    row.update(folder=base["folder"], size_mb=base["size_mb"], settings={**base["settings"], **settings})
    try:
        return measure(trial, row)
    except PipelineError as error:
        return fail(trial, row, error)


def fail(trial: Trial, row: Row, error: Exception) -> Row:
    """Make the row of a candidate that an error came from.

    RAISES (Exception): The error, if the reference's process has ended.
    """
    if not trial.process.is_running:
        raise error
    return {**row, "status": "failed", "reason": describe_error(error)}


def name_settings(base: Row, settings: Dict[str, Any]) -> str:
    """Name the row of a candidate by those of its settings that others of its objective and device don't have."""
    candidate, _, _ = base["name"].partition(",")
    merged = {**base["settings"], **settings}
    return ", ".join([candidate, *(f"{name} {value}" for name, value in merged.items() if name not in NOT_IN_NAMES)])


def make_row(name: str, engine: str, precision: str) -> Row:
    numbers = dict.fromkeys(("ents_f", "drop", "words_per_second", "p50_ms", "size_mb"))
    return {"name": name, "engine": engine, "precision": precision, "settings": {}, **numbers}


def measure(trial: Trial, row: Row) -> Row:
    """Gate and time a candidate.

    RETURNS (Row): The row with what the gate says and what was timed.
    """
    config = {f"components.{trial.transformer}.{name}": value for name, value in row["settings"].items()}
    with PipelineProcess(trial.workbench.folder / row["folder"], config=config) as process:
        verdict = trial.gate.judge(trial.scores, score_entities(trial.workbench.dev, process.entities(trial.corpus)))
        status = "passed" if verdict.pop("passed") else "rejected"
        return {**row, **verdict, **time_candidate(trial, process), "status": status}


def build_candidate(trial: Trial, candidate: Candidate, row: Row) -> str:
    """Make a pipeline that `spacy.load` takes, and note its size and how the build went in the row.

    RETURNS (str): Its folder, below the workbench's.
    """
    artefact_folder = trial.workbench.folder / "artefact"
    shutil.rmtree(artefact_folder, ignore_errors=True)
    artefact_folder.mkdir(parents=True)
    row["log"] = candidate.build(trial.workbench, artefact_folder) or []
    artefact = finish_artefact(
        trial.workbench.reference,
        artefact_folder,
        candidate.engine,
        candidate.precision,
        candidate.options,
        candidate.get_inputs(trial.workbench),
    )
    folder = trial.workbench.folder / candidate.name
    shutil.rmtree(folder, ignore_errors=True)
    assemble(trial.workbench.skeleton, artefact, trial.transformer, folder)
    row["size_mb"] = get_size_mb(folder)
    return folder.name


def time_candidate(trial: Trial, process: PipelineProcess) -> Row:
    """Time a candidate against the reference on the same texts, in turn.

    The best round of each counts: other work on the machine only ever makes a round slower, and what it does to one
    pipeline in one round would decide between candidates otherwise.
    """
    texts = [doc.text for doc in choose_docs(trial.workbench.dev, WORDS)]
    throughput = compare_throughput(trial.process, process, texts, BATCH_SIZE, ROUNDS)
    reference_ms, compiled_ms = compare_latency(
        trial.process, process, choose_sentences(trial.workbench.dev, SENTENCES), ROUNDS
    )
    p50, reference_p50 = (summarize(times.min(axis=0))["p50"] for times in (compiled_ms, reference_ms))
    best, reference_best = max(throughput.compiled), max(throughput.reference)
    return {
        "words_per_second": best,
        "speedup": best / reference_best,
        "speedup_range": [min(throughput.ratios), max(throughput.ratios)],
        "p50_ms": p50,
        "latency_speedup": reference_p50 / p50,
        "reference_words_per_second": reference_best,
        "reference_p50_ms": reference_p50,
    }


def describe_error(error: Exception) -> str:
    """Say an error in one short line."""
    lines = str(error).strip().splitlines() or [""]
    name = "" if isinstance(error, PipelineError) else f"{type(error).__name__}: "
    return f"failed: {name}{lines[0][:300]}"


def get_key(reference: Path, corpora: List[Path], gate: Gate, gpu: int, objective: str) -> Row:
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
    budget (float): Minutes after which nothing further is started, but for the first candidate.
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
            f"not tried: the budget of {budget:g} minutes was used up. Run again with a larger --budget"
        )

    def try_candidates(self, candidates: List[Candidate]) -> None:
        """Build, gate and time every candidate."""
        progress = tqdm.tqdm(candidates, unit="candidate", disable=self.silent, leave=False)
        for candidate in progress:
            progress.set_description(candidate.name)
            row = self.finished.get(candidate.name)
            if row is None and self.rows and time.monotonic() > self.candidates_deadline:
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
        changes = get_setting_changes(self.trial)
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


def get_setting_changes(trial: Trial) -> List[Dict[str, Any]]:
    """List settings that may be faster: micro-batches, no overlap of windows, fewer threads."""
    changes: List[Dict[str, Any]] = [{"batch_wordpieces": budget} for budget in (512, 1024, 8192)]
    settings = trial.workbench.reference.settings
    if settings["spans"] == "strided" and settings["stride"] < settings["window"]:
        changes.append({"stride": settings["window"]})
    if available_cores() > 1:
        changes.append({"threads": available_cores() // 2})
    return changes
