"""Time two pipelines against each other, alternating, so that a machine whose speed drifts treats both alike."""

import itertools
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, TypeVar

import numpy
from numpy.typing import ArrayLike
from spacy.tokens import Doc
from thinc.types import Floats2d

from .process import PipelineProcess

BATCH_SIZES = (1, 32, 64, 128)
Key = TypeVar("Key")
Result = TypeVar("Result")


class Throughput(NamedTuple):
    """Words a second of two pipelines over the same texts, one number a round."""

    reference: List[float]
    compiled: List[float]

    @property
    def ratios(self) -> List[float]:
        """How many times faster the compiled pipeline was, one number a round."""
        return (numpy.asarray(self.compiled) / numpy.asarray(self.reference)).tolist()

    @property
    def speedup(self) -> float:
        """Median ratio of a round."""
        return float(numpy.median(self.ratios))

    def interval(self, seed: int = 0) -> List[float]:
        """Bootstrap the median ratio, see `reporting.name_interval`.

        RETURNS (List[float]): Lower and upper end of the 95% interval.
        """
        draws = numpy.random.default_rng(seed).choice(self.ratios, (2000, len(self.ratios)))
        return numpy.percentile(numpy.median(draws, axis=1), [2.5, 97.5]).tolist()


def choose_batch_texts(docs: Sequence[Doc], n_words: int) -> List[str]:
    """Choose the texts for the throughput.

    docs (Sequence[Doc]): The corpus.
    n_words (int): Words of the texts together, at least.
    RETURNS (List[str]): Texts of Docs, and enough for one of the largest batches; those of a small corpus are repeated.
    """
    texts: List[str] = []
    words = 0
    for doc in itertools.cycle(docs):
        if words >= n_words and len(texts) >= max(BATCH_SIZES):
            break
        texts.append(doc.text)
        words += len(doc)
    return texts


def take_turns(runs: Mapping[Key, Callable[[], Result]], rounds: Iterable[Any]) -> Dict[Key, List[Result]]:
    """Call functions one after the other, round by round, so that a machine whose speed drifts treats all alike.

    runs (Mapping[Key, Callable[[], Result]]): The functions.
    rounds (Iterable[Any]): An item for each round, such as a range or a progress bar over one.
    RETURNS (Dict[Key, List[Result]]): What each function returned, one item a round.
    """
    results: Dict[Key, List[Result]] = {key: [] for key in runs}
    for _ in rounds:
        for key, run in runs.items():
            results[key].append(run())
    return results


def run_throughput(process: PipelineProcess, texts: List[str], batch_size: int) -> float:
    """Measure words a second."""
    result = process.throughput(texts, batch_size)
    return result["words"] / result["seconds"]


def compare_throughput(
    reference: PipelineProcess,
    compiled: PipelineProcess,
    texts: List[str],
    batch_size: int,
    rounds: int,
    *,
    compiled_batch_size: Optional[int] = None,
    warm_up: bool = True,
) -> Throughput:
    """Run the same texts through both pipelines in turn.

    rounds (int): Rounds that count.
    compiled_batch_size (Optional[int]): Docs of a batch of the compiled pipeline, if not as many as the reference's.
    warm_up (bool): Begin with one more round, which does not count.
    """
    runs = {
        "reference": partial(run_throughput, reference, texts, batch_size),
        "compiled": partial(run_throughput, compiled, texts, compiled_batch_size or batch_size),
    }
    speeds = take_turns(runs, range(warm_up + rounds))
    return Throughput(speeds["reference"][warm_up:], speeds["compiled"][warm_up:])


def compare_latency(
    reference: PipelineProcess, compiled: PipelineProcess, texts: List[str], rounds: int
) -> Tuple[Floats2d, Floats2d]:
    """Time single texts on both pipelines in turn.

    rounds (int): Rounds that count, after one that warms up.
    RETURNS (Tuple[Floats2d, Floats2d]): Milliseconds of the reference, and of the compiled pipeline, (rounds, n_texts).
    """
    runs = {"reference": partial(reference.latency, texts), "compiled": partial(compiled.latency, texts)}
    seconds = take_turns(runs, range(1 + rounds))
    return 1000 * numpy.asarray(seconds["reference"][1:]), 1000 * numpy.asarray(seconds["compiled"][1:])


def summarize(milliseconds: ArrayLike) -> Dict[str, float]:
    """Compute the mean and percentiles of all times."""
    p50, p95, p99 = numpy.percentile(milliseconds, [50, 95, 99])
    return {"mean": float(numpy.mean(milliseconds)), "p50": float(p50), "p95": float(p95), "p99": float(p99)}
