"""Try one candidate: build it as a real pipeline, gate it, and time it."""

import shutil
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from ..benchmarking.process import PipelineError, PipelineProcess
from ..benchmarking.timing import compare_latency, compare_throughput, summarize
from ..common.corpora import choose_docs, choose_sentences
from ..common.machine import get_size_mb
from .artefact_writer import finish_artefact
from .candidates import Candidate, Workbench
from .gate import Evidence, Gate, gather_evidence
from .swap import assemble, save_skeleton

BATCH_SIZE = 128
ROUNDS = 3  # To find out who meets in the final, see `final.py`
WORDS = 5000
SENTENCES = 30
# Settings of the compiled component that all candidates get. Most sentences are not longer than 32 wordpieces, and hardly any
# than 96: with an engine for those too, the slowest of a hundred takes 1.5 times the median, without 1.8.
OBJECTIVE_SETTINGS = {"latency": {"warm_up_lengths": [32, 48, 64, 96]}}
NOT_IN_NAMES = {"device"}.union(*OBJECTIVE_SETTINGS.values())

Row = Dict[str, Any]


class Trial(NamedTuple):
    """Everything that candidates are tried with."""

    workbench: Workbench
    transformer: str  # name of the component
    corpus: Path  # what the gate compares on
    process: PipelineProcess  # of the reference
    evidence: Evidence  # of the reference
    gate: Gate
    objective: str
    gpu: int


def start_trial(
    workbench: Workbench, process: PipelineProcess, corpus: Path, gate: Gate, objective: str, gpu: int
) -> Trial:
    """Annotate what the gate compares on, and prepare what all candidates share.

    workbench (Workbench): The trained pipeline, which can't be used for predictions afterwards.
    process (PipelineProcess): The same pipeline, running.
    corpus (Path): Docs in .spacy format: those of dev, then others.
    gate (Gate): What may be lost.
    objective (str): "throughput", "latency" or "size".
    gpu (int): GPU of the reference, -1 for the CPU.
    """
    evidence = gather_evidence(workbench.dev, process.annotations(corpus))
    shutil.rmtree(workbench.skeleton, ignore_errors=True)
    save_skeleton(workbench.reference, workbench.skeleton)
    return Trial(workbench, workbench.reference.transformer.name, corpus, process, evidence, gate, objective, gpu)


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
    with start_pipeline(trial, row) as process:
        evidence = gather_evidence(trial.workbench.dev, process.annotations(trial.corpus))
        verdict = trial.gate.judge(trial.evidence, evidence)
        status = "passed" if verdict.pop("passed") else "rejected"
        return {**row, **verdict, **time_candidate(trial, process), "status": status}


def start_pipeline(trial: Trial, row: Row) -> PipelineProcess:
    """Start a candidate with its settings in a process of its own."""
    config = {f"components.{trial.transformer}.{name}": value for name, value in row["settings"].items()}
    return PipelineProcess(trial.workbench.folder / row["folder"], config=config)


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


def choose_texts(trial: Trial) -> List[str]:
    """Choose the documents that throughput is measured with."""
    return [doc.text for doc in choose_docs(trial.workbench.timed, WORDS)]


def choose_single_texts(trial: Trial) -> List[str]:
    """Choose the sentences that latency is measured with."""
    return choose_sentences(trial.workbench.timed, SENTENCES)


def time_candidate(trial: Trial, process: PipelineProcess) -> Row:
    """Time a candidate against the reference on the same texts, in turn.

    The best round of each counts: other work on the machine only ever makes a round slower, and what it does to one
    pipeline in one round would decide between candidates otherwise.
    """
    throughput = compare_throughput(trial.process, process, choose_texts(trial), BATCH_SIZE, ROUNDS)
    reference_ms, compiled_ms = compare_latency(trial.process, process, choose_single_texts(trial), ROUNDS)
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
