"""Windows to wordpieces and micro-batches, against spacy-transformers' own code and plain loops."""

from typing import List

import numpy
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from spacy_transformers.align import get_alignment_via_offset_mapping
from spacy_transformers.span_getters import get_strided_spans

from scripts.compiled_transformer.windows import get_tokens
from scripts.compiled_transformer.wordpieces import (
    LENGTH_STEP,
    align,
    get_fine_step,
    get_micro_batches,
    pad,
    round_up,
    split_long_windows,
)

from .strategies import MANY, documents, offsets, pieces, windows_of_tokens

# Alignment


def align_by_loop(docs, nested_spans, offsets_of_windows):
    """RETURNS (Tuple[List[List[int]], List[List[int]]]): By token, its wordpieces, as the reference and as the runtime
    align them.
    """
    spans = [span for spans in nested_spans for span in spans]
    expected = get_alignment_via_offset_mapping(spans, offsets_of_windows)
    tokens = get_tokens(docs)
    first_tokens = numpy.cumsum([0] + [len(doc) for doc in docs])
    windows_ = [span.start + start for spans, start in zip(nested_spans, first_tokens.tolist()) for span in spans]
    found = [[] for _ in tokens.starts]
    number = 0
    for start, offsets_ in zip(windows_, offsets_of_windows):
        shifted = offsets_ + tokens.starts[start]
        for first, last in zip(*align(tokens, shifted[:, 0], shifted[:, 1])):
            for token in range(first, last + 1) if first >= 0 else ():
                found[token].append(number)
            number += 1
    ends = numpy.cumsum(expected.lengths)
    return [part.tolist() for part in numpy.split(expected.dataXd, ends[:-1])], found


@MANY
@given(st.lists(documents(), min_size=1, max_size=3), windows_of_tokens(), st.data())
def test_any_offsets_are_aligned_as_spacy_transformers_does(docs, cuts, data):
    assume(any(len(doc) for doc in docs))
    nested_spans = get_strided_spans(docs, *cuts)
    offsets_of_windows = [data.draw(offsets(len(span.text))) for spans in nested_spans for span in spans]
    expected, found = align_by_loop(docs, nested_spans, offsets_of_windows)
    assert found == expected


@MANY
@given(docs=st.lists(documents(), min_size=1, max_size=3), cuts=windows_of_tokens())
def test_offsets_of_tokenizers_are_aligned_as_spacy_transformers_does(tokenizer, docs, cuts):
    assume(any(len(doc) for doc in docs))
    nested_spans = get_strided_spans(docs, *cuts)
    texts = [span.text for spans in nested_spans for span in spans]
    mapping = tokenizer(texts, return_offsets_mapping=True, padding="longest", return_tensors="np")["offset_mapping"]
    expected, found = align_by_loop(docs, nested_spans, list(mapping))
    assert found == expected


# Windows with more wordpieces than the encoder has positions


def cut(values: numpy.ndarray, lengths: numpy.ndarray) -> List[List[int]]:
    """RETURNS (List[List[int]]): The values of each window."""
    return [part.tolist() for part in numpy.split(values, numpy.cumsum(lengths)[:-1])]


@MANY
@given(pieces(), st.integers(5, 40))
def test_long_windows_are_split_and_nothing_is_lost(drawn, max_length):
    """By a plain loop: the text in as few parts as it fits in, each with the special tokens of its window around it."""
    whole, n_prefix, n_suffix = drawn
    room = max_length - n_prefix - n_suffix
    split = split_long_windows(whole, max_length, n_prefix, n_suffix)
    assert split.lengths.max() <= max_length
    for field in ("ids", "first", "last"):
        expected = []
        for values in cut(getattr(whole, field), whole.lengths):
            end = len(values) - n_suffix
            text = values[n_prefix:end]
            for start in range(0, max(1, len(text)), room):
                expected.append(values[:n_prefix] + text[start : start + room] + values[end:])
        assert cut(getattr(split, field), split.lengths) == expected


@given(pieces())
def test_short_windows_stay_as_they_are(drawn):
    whole, n_prefix, n_suffix = drawn
    assert split_long_windows(whole, int(whole.lengths.max()), n_prefix, n_suffix) is whole


# Micro-batches


@MANY
@given(st.lists(st.integers(1, 200), max_size=60), st.integers(1, 1000), st.booleans())
def test_micro_batches_hold_every_window_once_within_the_budget(lengths, budget, recurs):
    lengths = numpy.asarray(lengths, dtype="int64")
    batches = list(get_micro_batches(lengths, budget, recurs))
    indices = [index for batch, _ in batches for index in batch.tolist()]
    assert sorted(indices) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * length <= budget for batch, length in batches)
    assert all(lengths[batch].max() <= length < lengths[batch].max() + LENGTH_STEP for batch, length in batches)
    assert (numpy.diff(lengths[indices]) <= 0).all()


@MANY
@given(st.lists(st.integers(1, 512), min_size=1, max_size=200), st.sampled_from([512, 2048]))
def test_few_shapes_come_from_much_text(lengths, budget):
    """Engines prepare anew for every shape. One micro-batch of all, the last, may have a shape that others never have."""
    *full, last = get_micro_batches(numpy.asarray(lengths), budget, recurs=True)
    assert all(len(batch) == max(1, budget // length) for batch, length in full)
    assert last[1] % LENGTH_STEP == 0 or len(last[0]) == budget // last[1]
    fine = {round_up(length, get_fine_step(length)) for length in range(1, 513)}
    assert {length for _, length in full} <= fine | set(range(0, 513, LENGTH_STEP))
    assert len(fine) < 50


@pytest.mark.parametrize("length", [17, 40, 100, 500])
def test_full_micro_batches_have_little_padding(length):
    batches = list(get_micro_batches(numpy.full(5000, length), 2048, recurs=True))
    assert all(padded <= 1.2 * length for _, padded in batches[:-1])


@given(pieces(), st.integers(0, 40), st.data())
def test_padding_keeps_every_wordpiece_and_marks_the_rest(drawn, spare_positions, data):
    whole, nowhere = drawn.wordpieces, 10**6
    order = data.draw(st.permutations(range(len(whole.lengths))))
    batch = numpy.asarray(order[: data.draw(st.integers(1, len(order)))])
    longest = int(whole.lengths[batch].max())
    manifest = {"max_length": longest + spare_positions, "pad_id": 0}
    wanted = data.draw(st.integers(longest, longest + 40))
    padded = pad(whole, batch, wanted, manifest, nowhere)
    length = padded.ids.shape[1]
    assert length == min(wanted, longest + spare_positions)
    fields = (
        (padded.ids, whole.ids, 0),
        (padded.mask, numpy.ones_like(whole.ids), 0),
        (padded.first, numpy.where(whole.first < 0, nowhere, whole.first), nowhere),
        (padded.last, numpy.where(whole.last < 0, nowhere, whole.last), nowhere),
    )
    for rows, values, padding in fields:
        windows_ = cut(values, whole.lengths)
        assert rows.tolist() == [
            windows_[window] + [padding] * (length - whole.lengths[window]) for window in batch.tolist()
        ]


@given(pieces(), st.integers(1, 200))
def test_padding_is_within_the_budget(drawn, budget):
    whole = drawn.wordpieces
    for batch, length in get_micro_batches(whole.lengths, budget, recurs=False):
        padded = pad(whole, batch, length, {"max_length": 512, "pad_id": 0}, nowhere=0)
        assert padded.ids.size <= budget or len(batch) == 1
