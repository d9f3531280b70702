"""Time two pipelines against each other, alternating, so that a machine whose speed drifts treats both alike."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from numpy.typing import ArrayLike
from spacy.tokens import Doc
from thinc.types import Floats2d

from .process import PipelineProcess


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
        """RETURNS (List[float]): Lower and upper end of the 95% bootstrap interval of the median ratio, see `name_interval`."""
        draws = numpy.random.default_rng(seed).choice(self.ratios, (2000, len(self.ratios)))
        return numpy.percentile(numpy.median(draws, axis=1), [2.5, 97.5]).tolist()


def name_interval(rounds: int) -> str:
    """RETURNS (str): What `Throughput.interval` is. Of few rounds, its ends are the lowest and the highest one, and the
    true median is between these in less than 95% of cases (of five, in 1 - 2 / 2**5 = 94%).
    """
    return "the 95% bootstrap interval" if rounds > 5 else "the lowest and the highest round"


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
    sizes = {reference: batch_size, compiled: compiled_batch_size or batch_size}
    speeds: Dict[PipelineProcess, List[float]] = {reference: [], compiled: []}
    for number in range(-warm_up, rounds):
        for process, size in sizes.items():
            result = process.throughput(texts, size)
            if number >= 0:
                speeds[process].append(result["words"] / result["seconds"])
    return Throughput(speeds[reference], speeds[compiled])


def compare_latency(
    reference: PipelineProcess, compiled: PipelineProcess, texts: List[str], rounds: int
) -> Tuple[Floats2d, Floats2d]:
    """Time single texts on both pipelines in turn.

    rounds (int): Rounds that count, after one that warms up.
    RETURNS (Tuple[Floats2d, Floats2d]): Milliseconds of the reference, and of the compiled pipeline, (rounds, n_texts).
    """
    seconds: Dict[PipelineProcess, List[List[float]]] = {reference: [], compiled: []}
    for _ in range(rounds + 1):
        for process, of_rounds in seconds.items():
            of_rounds.append(process.latency(texts))
    return tuple(1000 * numpy.asarray(of_rounds[1:]) for of_rounds in seconds.values())


def summarize(milliseconds: ArrayLike) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): Mean and percentiles of all times."""
    p50, p95, p99 = numpy.percentile(milliseconds, [50, 95, 99])
    return {"mean": float(numpy.mean(milliseconds)), "p50": float(p50), "p95": float(p95), "p99": float(p99)}


def choose_docs(docs: Sequence[Doc], max_words: int) -> List[Doc]:
    """RETURNS (List[Doc]): The first Docs, about `max_words` words together, and one at least."""
    chosen, words = [], 0
    for doc in docs:
        if words >= max_words:
            break
        chosen.append(doc)
        words += len(doc)
    return chosen


def choose_sentences(docs: Sequence[Doc], n: int) -> List[str]:
    """RETURNS (List[str]): Texts of up to `n` sentences, spread over the Docs; a Doc without boundaries is one sentence."""
    by_doc = (doc.sents if doc.has_annotation("SENT_START") else [doc[:]] for doc in docs)
    return choose_evenly([sent.text for sents in by_doc for sent in sents], n)


def choose_evenly(items: Sequence[Any], n: int) -> List[Any]:
    """RETURNS (List[Any]): Up to `n` items, spread over all."""
    indices = numpy.linspace(0, len(items), min(n, len(items)), endpoint=False).astype(int)
    return [items[index] for index in indices]
