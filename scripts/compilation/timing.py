"""Time two pipelines against each other, alternating, so that a machine whose speed drifts treats both alike."""

from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy
from spacy.tokens import Doc

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
        """RETURNS (List[float]): Lower and upper end of the 95% bootstrap interval of the median ratio."""
        draws = numpy.random.default_rng(seed).choice(self.ratios, (2000, len(self.ratios)))
        return numpy.percentile(numpy.median(draws, axis=1), [2.5, 97.5]).tolist()


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
) -> "tuple[List[float], List[float]]":
    """Time single texts on both pipelines, a part of the texts in turn.

    RETURNS (tuple): Milliseconds of every call of the reference, and of the compiled pipeline.
    """
    milliseconds: Dict[PipelineProcess, List[float]] = {reference: [], compiled: []}
    for process in (reference, compiled):
        process.latency(texts)
    for part in numpy.array_split(numpy.arange(len(texts)), min(rounds, len(texts))):
        for process in (reference, compiled):
            seconds = process.latency([texts[i] for i in part])
            milliseconds[process].extend(1000 * second for second in seconds)
    return milliseconds[reference], milliseconds[compiled]


def summarize(milliseconds: Sequence[float]) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): Mean and percentiles of times."""
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
    """RETURNS (List[str]): Texts of up to `n` sentences, spread over the Docs."""
    sentences = [sent.text for doc in docs for sent in doc.sents]
    step = max(1, len(sentences) // n)
    return sentences[::step][:n]
