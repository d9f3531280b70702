"""Choose among the candidates that passed the gate."""

import shutil
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Optional, Tuple

import srsly
from thinc.api import Config

from ..benchmarking.timing import Throughput
from ..common.console import UserError
from ..compiled_transformer.artefact import MANIFEST, TOKENIZER
from ..compiled_transformer.artefact import PORTABLE as PORTABLE_PREFIX
from ..compiled_transformer.pieces import SENTENCEPIECE, VOCABULARY
from .artefact_writer import write_manifest

PORTABLE = "onnxruntime-fp32"  # The candidate that every CPU runs.
OBJECTIVES = ("throughput", "latency", "size")
# The simpler first: how much has to be installed where the pipeline runs, and how far the numbers are from training's.
ENGINES = ["onnxruntime", "openvino", "torch"]
PRECISIONS = ["fp32", "bf16", "fp16", "int8", "int8+bf16"]
# Candidates closer than this are tied: rounds on a quiet machine differ by about as much.
NOISE = 0.03


def find_best(rows: List[Dict[str, Any]], objective: str) -> Optional[Dict[str, Any]]:
    """Find the best row that passed. A tie within the noise goes to the simpler one, then to the earlier one.

    rows (List[Dict[str, Any]]): All rows. If some met in a final, the best one is among these.
    objective (str): One of OBJECTIVES.
    RETURNS (Optional[Dict[str, Any]]): The best row, None if none passed.
    """
    passed = [row for row in rows if row["status"] == "passed"]
    passed = [row for row in passed if "rounds" in row] or passed
    if not passed:
        return None
    return min((row for row in passed if is_tied(row, passed, objective)), key=get_complexity)


def get_score(row: Dict[str, Any], objective: str) -> float:
    """Score a row by an objective; more is better.

    Rows that met in a final ran in the same minutes, so their own speed counts; others were compared with the reference
    at different times, so it is how many times the reference's they reached.
    """
    if objective == "size":
        return 1 / row["size_mb"]
    if "rounds" in row:
        typical = median(row["rounds"])
        return typical if objective == "throughput" else 1 / typical
    return row["speedup"] if objective == "throughput" else row["latency_speedup"]


def is_tied(row: Dict[str, Any], rows: List[Dict[str, Any]], objective: str) -> bool:
    """Tell whether a row is equal to the best of all, within the noise.

    Of rows that met in a final, the ratios in the same round count: the 95% interval of their median.
    """
    best = max(rows, key=lambda other: get_score(other, objective))
    if get_score(row, objective) >= (1 - NOISE) * get_score(best, objective):
        return True
    if "rounds" not in row or "rounds" not in best:
        return False
    low, high = Throughput(best["rounds"], row["rounds"]).interval()
    return low <= 1 <= high


def get_complexity(row: Dict[str, Any]) -> Tuple[int, int, int]:
    return ENGINES.index(row["engine"]), PRECISIONS.index(row["precision"]), len(row["settings"])


def choose(rows: List[Dict[str, Any]], objective: str) -> Optional[str]:
    """Mark the best row that passed as "chosen", and say of the others why they are not.

    RETURNS (Optional[str]): Name of the chosen candidate, None if none passed.
    """
    chosen = find_best(rows, objective)
    if chosen is None:
        return None
    passed = [row for row in rows if row["status"] == "passed"]
    compared = [row for row in passed if "rounds" in row] or passed
    for row in passed:
        if row is not chosen:
            tied = row in compared and is_tied(row, compared, objective)
            row["reason"] += f"; {why_second(row, chosen, tied, objective)}"
    chosen["reason"] += f"; best {objective} of those that passed"
    chosen["status"] = "chosen"
    return chosen["name"]


def why_second(row: Dict[str, Any], chosen: Dict[str, Any], tied: bool, objective: str) -> str:
    if tied:
        return f"equal to {chosen['name']} within the noise, which is simpler"
    worse = {"throughput": "slower", "latency": "slower", "size": "larger"}[objective]
    return f"{worse} than {chosen['name']}"


def copy_chosen(
    candidates: Path, folder: Path, transformer: str, report: Dict[str, Any], *, portable: bool = False
) -> None:
    """Copy the chosen candidate, with what was measured in its manifest.

    candidates (Path): Folder with all candidates.
    folder (Path): Folder to write; it must not exist.
    transformer (str): Name of the transformer component.
    report (Dict[str, Any]): What optimize.json will hold.
    portable (bool): Keep a second encoder beside a fast one that not every CPU is made for.
    RAISES (UserError): If the portable candidate did not pass the gate.
    """
    row = next(row for row in report["candidates"] if row["name"] == report["chosen"])
    measured = {
        "reference_ents_f": report["reference"]["ents_f"],
        **{key: row.get(key) for key in ("ents_f", "drop_interval", "agreement", "speedup", "latency_speedup")},
    }
    shutil.copytree(candidates / row["folder"], folder)
    config = Config().from_disk(folder / "config.cfg", interpolate=False)
    config["components"][transformer].update(row["settings"])
    config.to_disk(folder / "config.cfg")
    manifest = srsly.read_json(folder / transformer / MANIFEST)
    write_manifest(folder / transformer, {**manifest, "measured": measured})
    if portable and manifest["cpu_features"]:
        passed = [row["name"] for row in report["candidates"] if row["status"] == "passed"]
        if PORTABLE not in passed:
            raise UserError(f"{PORTABLE} did not pass the gate, so there is nothing portable to keep.")
        add_portable(candidates / PORTABLE, folder, transformer)


def add_portable(source: Path, pipeline: Path, transformer: str) -> None:
    """Put the encoder of another candidate into a pipeline, for CPUs that the pipeline's own is not made for.

    source (Path): Folder of the other candidate.
    pipeline (Path): Folder of the pipeline.
    transformer (str): Name of the transformer component in both.
    """
    folder = pipeline / transformer
    manifest, other = (srsly.read_json(path / transformer / MANIFEST) for path in (pipeline, source))
    for name in other["files"]:
        if name not in (TOKENIZER, VOCABULARY, SENTENCEPIECE):  # Both have the same.
            shutil.copy(source / transformer / name, folder / f"{PORTABLE_PREFIX}{name}")
            manifest["files"][f"{PORTABLE_PREFIX}{name}"] = other["files"][name]
    manifest["portable"] = {key: other[key] for key in ("engine", "precision", "options", "inputs", "requirements")}
    write_manifest(folder, manifest)
    meta = srsly.read_json(pipeline / "meta.json")
    meta["requirements"] = sorted({*meta["requirements"], *other["requirements"]})
    srsly.write_json(pipeline / "meta.json", meta)
