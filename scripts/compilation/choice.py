"""Choose among the candidates that keep the entities."""

import shutil
from pathlib import Path
from typing import Any, Dict, List, Optional

import srsly
from thinc.api import Config

from .. import compiled_transformer as runtime
from ..console import replace_when_done
from .artefact import write_manifest

# For each objective: the number in a row, and whether more of it is better.
OBJECTIVES = {"throughput": ("speedup", True), "latency": ("latency_speedup", True), "size": ("size_mb", False)}
# Candidates closer than this are tied: rounds on a quiet machine differ by about as much.
NOISE = 0.03


def choose(rows: List[Dict[str, Any]], objective: str) -> Optional[str]:
    """Mark the best row that passed as "chosen", with its reason.

    rows (List[Dict[str, Any]]): The simplest candidate first; a tie within the noise goes to the simpler one.
    objective (str): One of OBJECTIVES.
    RETURNS (Optional[str]): Name of the chosen candidate, None if none passed.
    """
    passed = [row for row in rows if row["status"] == "passed"]
    if not passed:
        return None
    number, more_is_better = OBJECTIVES[objective]
    best = (max if more_is_better else min)(row[number] for row in passed)
    tied = [row for row in passed if abs(row[number] - best) <= NOISE * best]
    chosen = tied[0]
    chosen["status"] = "chosen"
    for row in passed:
        if row is not chosen:
            row["reason"] = f"{row['reason']}; {why_second(row, chosen, row in tied, objective)}"
    chosen["reason"] = f"{chosen['reason']}; best {objective} of those that keep the entities"
    return chosen["name"]


def why_second(row: Dict[str, Any], chosen: Dict[str, Any], is_tied: bool, objective: str) -> str:
    if is_tied:
        return f"as good as {chosen['name']} within the noise, which is simpler"
    worse = {"throughput": "slower", "latency": "slower", "size": "larger"}[objective]
    return f"{worse} than {chosen['name']}"


def copy_chosen(candidates: Path, output: Path, transformer: str, report: Dict[str, Any]) -> None:
    """Put the chosen candidate where compiled pipelines are, with what was measured in its manifest.

    candidates (Path): Folder with all candidates.
    output (Path): Folder to write or replace.
    transformer (str): Name of the transformer component.
    report (Dict[str, Any]): What optimize.json will hold.
    """
    row = next(row for row in report["candidates"] if row["name"] == report["chosen"])
    measured = {
        "reference_ents_f": report["reference"]["ents_f"],
        **{key: row[key] for key in ("ents_f", "drop_interval", "speedup", "latency_speedup")},
    }
    with replace_when_done(output) as path:
        shutil.copytree(candidates / row["folder"], path)
        config = Config().from_disk(path / "config.cfg", interpolate=False)
        config["components"][transformer].update(row["settings"])
        config.to_disk(path / "config.cfg")
        manifest = srsly.read_json(path / transformer / runtime.MANIFEST)
        write_manifest(path / transformer, {**manifest, "measured_on_dev": measured})
