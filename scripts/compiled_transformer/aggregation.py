"""Logits of wordpieces to labelled spans of text, as `TokenClassificationPipeline` of transformers makes them."""

from typing import Dict, List, NamedTuple, Sequence

import numpy
from thinc.types import Floats1d, Floats2d, Ints1d

from .overlapping_segmentation import OverlappingWindows

SIMPLE, FIRST, AVERAGE, MAX = "simple", "first", "average", "max"
STRATEGIES = (SIMPLE, FIRST, AVERAGE, MAX)


class LabelledSpan(NamedTuple):
    """A part of a text with a label."""

    start: int  # character
    end: int
    label: str
    score: float


class Labels:
    """The labels of a model: those of wordpieces, and the groups that adjacent ones form.

    names (Sequence[str]): Of wordpieces, such as "O", "B-PER" and "I-PER".
    """

    def __init__(self, names: Sequence[str]) -> None:
        # As transformers does it: only B- and I- are taken off before labels are compared, but the part before any first
        # hyphen before a group gets its name.
        tags = [name[2:] if name.startswith(("B-", "I-")) else name for name in names]
        numbers = {tag: number for number, tag in enumerate(dict.fromkeys(tags))}
        self.tags: Ints1d = numpy.asarray([numbers[tag] for tag in tags])
        self.begins: Ints1d = numpy.asarray([name.startswith("B-") for name in names])
        self.groups: List[str] = [name.split("-", 1)[-1] for name in names]


class Words(NamedTuple):
    """What gets one label: words, or wordpieces."""

    begins: Ints1d  # (n_words,), number of the first wordpiece
    labels: Ints1d  # (n_words,), number of the label
    scores: Floats1d  # (n_words,)


def find_spans(
    logits: Floats2d, segmented: OverlappingWindows, labels: Labels, strategy: str, ignored: Sequence[str]
) -> Dict[int, List[LabelledSpan]]:
    """Find the spans of all texts.

    logits (Floats2d): *Shape:* (n_wordpieces, n_labels). Of all windows.
    segmented (OverlappingWindows): The windows.
    strategy (str): One of STRATEGIES: how the wordpieces of a word get one label.
    ignored (Sequence[str]): Names of groups and labels that are no spans, such as "O".
    RETURNS (Dict[int, List[LabelledSpan]]): By number of the Doc, its spans in order; Docs without any are missing.
    """
    is_text = segmented.is_text
    window_numbers = numpy.repeat(numpy.arange(len(segmented.lengths)), segmented.lengths)[is_text]
    if not len(window_numbers):
        return {}
    starts, ends = segmented.starts[is_text], segmented.ends[is_text]
    is_first = changes(window_numbers)
    words = label_words(softmax(logits[is_text]), is_first | ~segmented.is_subword[is_text], strategy)
    tags = labels.tags[words.labels]
    groups = numpy.flatnonzero(is_first[words.begins] | labels.begins[words.labels] | changes(tags))
    first = words.begins[groups]
    last = numpy.append(first[1:], len(starts)) - 1
    numbers, scores = words.labels[groups], mean(words.scores, groups)
    kept = numpy.asarray([name not in ignored for name in labels.groups])[numbers]
    first, last = first[kept], last[kept]
    found: Dict[int, List[LabelledSpan]] = {}
    columns = window_numbers[first], starts[first], ends[last], numbers[kept], scores[kept]
    for window, start, end, number, score in zip(*(column.tolist() for column in columns)):
        span = LabelledSpan(start, end, labels.groups[number], score)
        found.setdefault(segmented.owners[window], []).append(span)
    divided = {owner for owner, following in zip(segmented.owners, segmented.owners[1:]) if owner == following}
    return {owner: merge(spans) if owner in divided else spans for owner, spans in found.items()}


def label_words(scores: Floats2d, is_first: Ints1d, strategy: str) -> Words:
    """Give each word a label.

    scores (Floats2d): *Shape:* (n_wordpieces, n_labels).
    is_first (Ints1d): *Shape:* (n_wordpieces,). Whether a wordpiece begins a word.
    """
    if strategy == SIMPLE:
        begins = numpy.arange(len(scores))
    else:
        begins = numpy.flatnonzero(is_first)
    if strategy == AVERAGE:
        scores = mean(scores, begins)
    elif strategy == MAX:
        highest = scores.max(axis=1)
        sizes = numpy.diff(numpy.append(begins, len(scores)))
        candidates = numpy.flatnonzero(highest == numpy.repeat(numpy.maximum.reduceat(highest, begins), sizes))
        # The first of each word's.
        scores = scores[candidates[numpy.searchsorted(candidates, begins)]]
    else:
        scores = scores[begins]
    chosen = scores.argmax(axis=1)
    return Words(begins, chosen, scores[numpy.arange(len(scores)), chosen])


def softmax(logits: Floats2d) -> Floats2d:
    """Turn logits into probabilities."""
    exponentials = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def changes(numbers: Ints1d) -> Ints1d:
    """Tell where a number is another one than before; the first always is."""
    return numpy.append(True, numbers[1:] != numbers[:-1])


def mean(values: numpy.ndarray, begins: Ints1d) -> numpy.ndarray:
    """Average consecutive rows.

    begins (Ints1d): *Shape:* (n_groups,). The first row of each group.
    """
    sizes = numpy.diff(numpy.append(begins, len(values))).astype(values.dtype)
    return numpy.add.reduceat(values, begins, axis=0) / sizes.reshape(-1, *[1] * (values.ndim - 1))


def merge(spans: List[LabelledSpan]) -> List[LabelledSpan]:
    """Of spans from different windows that overlap keep the longest, or the one with the best score.

    As `aggregate_overlapping_entities` of transformers' pipeline does it.
    """
    spans = sorted(spans, key=lambda span: span.start)
    kept: List[LabelledSpan] = []
    before = spans[0]
    for span in spans:
        if before.start <= span.start < before.end:
            before = max(before, span, key=lambda one: (one.end - one.start, one.score))
        else:
            kept.append(before)
            before = span
    return [*kept, before]
