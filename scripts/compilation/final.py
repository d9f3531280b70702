"""The final: the best candidates and the reference run in turn, in the same minutes, so that noise can't choose."""

import contextlib
from functools import partial
from typing import Any, Callable, Dict, List

import numpy
import tqdm

from ..benchmarking.process import PipelineError, PipelineProcess
from ..benchmarking.timing import Throughput, run_throughput, take_turns
from .selection import find_best, get_score
from .trial import BATCH_SIZE, Row, Trial, choose_single_texts, choose_texts, fail, start_pipeline

BEST = 2  # By each measure; most are the same
ROUNDS = 7
REFERENCE = "reference"
# How far apart two rounds of the reference, the fastest and the slowest, may be on a machine that can tell candidates apart.
QUIET = 1.3


def hold_final(trial: Trial, rows: List[Row], silent: bool) -> None:
    """Time the best rows anew, all in the same rounds, and mark them as finalists.

    Each finalist gets the numbers of the final in place of those of its trial, and "rounds": its own words a second, or
    milliseconds, in each round.

    rows (List[Row]): All rows of the search; those of the finalists are changed in place.
    silent (bool): Show no progress bar.
    RAISES (PipelineError): If the reference fails.
    """
    finalists = choose_finalists(rows, trial.objective)
    if len(finalists) < 2 or trial.objective == "size":
        return
    measure = make_measure(trial)
    with contextlib.ExitStack() as stack:
        processes: Dict[str, PipelineProcess] = {REFERENCE: trial.process}
        try:
            for row in finalists:
                processes[row["name"]] = stack.enter_context(start_pipeline(trial, row))
            runs = {name: partial(measure, process) for name, process in processes.items()}
            take_turns(runs, range(1))
            rounds = take_turns(runs, tqdm.trange(ROUNDS, desc="Final", disable=silent, leave=False))
        except PipelineError as error:
            if not trial.process.is_running:
                raise
            # Whoever fails under load is no candidate; the others are compared again.
            failed = next(row for row in finalists if str(trial.workbench.folder / row["folder"]) in str(error))
            failed.update(fail(trial, failed, error))
            return hold_final(trial, rows, silent)
    for row in finalists:
        row.update(summarize_rounds(trial.objective, rounds[REFERENCE], rounds[row["name"]]))


def choose_finalists(rows: List[Row], objective: str) -> List[Row]:
    """Choose the best of the rows that passed: by the ratio to the reference, and by their own speed.

    Either can be wrong: one where the reference had a slow moment, the other where the candidate had a fast one.
    """
    own = (lambda row: -row["words_per_second"]) if objective == "throughput" else (lambda row: row["p50_ms"])
    passed = [row for row in rows if row["status"] == "passed"]
    by_ratio = sorted(passed, key=lambda row: get_score(row, objective), reverse=True)[:BEST]
    best = find_best(rows, objective)  # The one that would be chosen without a final
    chosen = [*([best] if best else []), *by_ratio, *sorted(passed, key=own)[:BEST]]
    return [row for number, row in enumerate(chosen) if row not in chosen[:number]]


def make_measure(trial: Trial) -> Callable[[PipelineProcess], float]:
    """Choose what is measured in a round: words a second, or the median milliseconds of single texts."""
    if trial.objective == "throughput":
        texts = choose_texts(trial)
        return lambda process: run_throughput(process, texts, BATCH_SIZE)
    singles = choose_single_texts(trial)
    return lambda process: 1000 * float(numpy.median(process.latency(singles)))


def summarize_rounds(objective: str, reference: List[float], candidate: List[float]) -> Dict[str, Any]:
    """Replace a row's numbers by those of the final.

    RETURNS (Dict[str, Any]): The numbers that the objective goes by, and the "rounds".
    """
    if objective == "throughput":
        speeds = Throughput(reference, candidate)
        return {
            "rounds": candidate,
            "reference_rounds": reference,
            "words_per_second": float(numpy.median(candidate)),
            "reference_words_per_second": float(numpy.median(reference)),
            "speedup": speeds.speedup,
            "speedup_range": [min(speeds.ratios), max(speeds.ratios)],
        }
    ratios = numpy.asarray(reference) / numpy.asarray(candidate)
    return {
        "rounds": candidate,
        "reference_rounds": reference,
        "p50_ms": float(numpy.median(candidate)),
        "reference_p50_ms": float(numpy.median(reference)),
        "latency_speedup": float(numpy.median(ratios)),
    }


def is_noisy(rows: List[Row]) -> bool:
    """Tell whether the reference's own rounds of the final differ too much to trust the numbers."""
    reference = next((row["reference_rounds"] for row in rows if "reference_rounds" in row), None)
    return reference is not None and max(reference) > QUIET * min(reference)
