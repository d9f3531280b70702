"""Several windows in a row: each wordpiece once, no window torn, none sees another."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.compiled_transformer.packing import (
    LITTLE_TEXT,
    ROW,
    STEP,
    make_packed_batches,
    pack,
    plan_blocks,
)
from scripts.compiled_transformer.wordpieces import Wordpieces

LONGEST = 512
lists_of_lengths = st.lists(
    st.one_of(st.integers(1, 40), st.integers(1, 200), st.sampled_from([63, 64, 65, 128, 129, 256, 511, LONGEST])),
    min_size=1,
    max_size=200,
)


def make_wordpieces(lengths):
    ids = numpy.arange(sum(lengths)) + 1
    return Wordpieces(numpy.asarray(lengths), ids, ids, ids)


@given(
    lists_of_lengths, st.integers(1, 4), st.sampled_from([1, 64, 500, 1024, 8192]), st.lists(st.sampled_from([16, 48]))
)
def test_each_wordpiece_is_in_one_place_with_its_window(lengths, threads, budget, ready):
    wordpieces = make_wordpieces(lengths)
    settings = {"threads": threads, "device": "cpu", "batch_wordpieces": budget, "warm_up_lengths": ready}
    batches = make_packed_batches(wordpieces, {"max_length": LONGEST, "pad_id": 0}, settings)
    windows = numpy.repeat(numpy.arange(len(lengths)), lengths)
    starts = numpy.cumsum(lengths) - lengths
    seen = []
    for batch in batches:
        ids, positions, segments = batch.inputs.values()
        is_padding = batch.index < 0
        assert ids.shape == positions.shape == segments.shape == batch.index.shape
        assert not ids[is_padding].any() and not segments[is_padding].any()
        numpy.testing.assert_array_equal(ids[~is_padding], wordpieces.ids[batch.index[~is_padding]])
        for row, row_segments, row_positions in zip(batch.index, segments, positions):
            for segment in set(row_segments.tolist()) - {0}:
                places = numpy.flatnonzero(row_segments == segment)
                (window,) = set(windows[row[places]].tolist())
                # The whole window in one piece, its positions from 0.
                assert (numpy.diff(places) == 1).all()
                numpy.testing.assert_array_equal(row[places], starts[window] + numpy.arange(lengths[window]))
                numpy.testing.assert_array_equal(row_positions[places], numpy.arange(lengths[window]))
        seen.extend(batch.index[~is_padding].tolist())
    assert sorted(seen) == list(range(sum(lengths)))


@given(lists_of_lengths, st.integers(1, 4), st.sampled_from([64, 500, 1024]))
def test_blocks_keep_the_budget(lengths, threads, budget):
    for length, rows in plan_blocks(numpy.asarray(lengths), threads, budget, LONGEST):
        assert rows and len(rows) * length <= max(budget, length)
        assert length <= LONGEST
        assert all(sum(lengths[window] for window in row) <= length for row in rows)


@given(lists_of_lengths)
def test_rows_have_the_lengths_that_their_windows_need(lengths):
    for row_length, rows in pack(numpy.asarray(lengths), LONGEST):
        assert row_length == ROW or all(max(lengths[window] for window in row) > row_length // 2 for row in rows)


@pytest.mark.parametrize(
    "full, rest, share",
    [
        # As spacy-curated-transformers cuts Docs: all windows but the last ones have 144 pieces and two special ones.
        (numpy.full(100, 146), (10, 140), 1.08),
        # As spacy-transformers does: so many tokens, with different numbers of wordpieces.
        (numpy.random.default_rng(1).normal(165, 8, 100).astype(int), (10, 160), 1.2),
    ],
)
def test_padding_of_strided_windows_is_little(full, rest, share):
    """Two of them don't fit into a row of 256, which would be 1.4 and 1.3 times as much."""
    lengths = numpy.concatenate([full, numpy.random.default_rng(0).integers(*rest, 80)])
    blocks = plan_blocks(lengths, 2, 1024, LONGEST)
    assert sum(length * len(rows) for length, rows in blocks) <= share * lengths.sum()


def test_padding_of_documents_is_little():
    """Two seldom fit into a row of 512, and one leaves a fifth of a shorter row: 15% to 22% of padding with rows of 256, 384 and 512."""
    lengths = numpy.clip(numpy.random.default_rng(0).normal(264, 40, 64).astype(int), 150, 400)
    blocks = plan_blocks(lengths, 2, 1024, LONGEST)
    assert sum(length * len(rows) for length, rows in blocks) <= 1.07 * lengths.sum()
    assert max(length for length, _ in blocks) < lengths.max() + 32  # Longer rows cost more in attention.
    assert len({(length, len(rows)) for length, rows in blocks}) <= 16


@pytest.mark.parametrize("n_windows", [1, 3, 50])
def test_windows_of_any_length_have_their_rows(n_windows):
    for length in range(1, LONGEST + 1):
        ((row_length, rows),) = pack(numpy.full(n_windows, length), LONGEST)
        assert sorted(sum(rows, [])) == list(range(n_windows))
        assert row_length // length >= max(map(len, rows))


def test_padding_of_sentences_is_little():
    """Lengths of sentences: the share that best fit decreasing reaches on them."""
    lengths = numpy.clip(numpy.random.default_rng(0).normal(30, 12, 512).astype(int), 4, 100)
    blocks = plan_blocks(lengths, 2, 1024, LONGEST)
    assert sum(length * len(rows) for length, rows in blocks) <= 1.04 * lengths.sum()
    assert len({(length, len(rows)) for length, rows in blocks}) <= 6


@given(st.lists(st.integers(2, 60), min_size=2, max_size=8))
def test_little_text_is_divided_among_threads(lengths):
    blocks = plan_blocks(numpy.asarray(lengths), 2, 1024, LONGEST)
    if sum(lengths) <= LITTLE_TEXT:
        assert len(blocks) == 2 and all(length % STEP == 0 for length, _ in blocks)


def test_encoder_with_few_positions_gets_short_rows():
    lengths = numpy.asarray([20, 50, 30, 10])
    rows = dict(pack(lengths, longest=50))
    assert list(rows) == [50] and sum(map(len, rows[50])) == 4
    assert all(length <= 50 for length, _ in plan_blocks(lengths, 1, 1024, longest=50))
