"""Windows in micro-batches, padded to the longest."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.compiled_transformer.batches import (
    LENGTH_STEP,
    MOST_WORDPIECES,
    choose_length,
    get_fine_step,
    group_windows,
    make_padded_batches,
    pad,
    round_up,
)
from scripts.compiled_transformer.wordpieces import Wordpieces

from .strategies import MANY, cut, pieces


@MANY
@given(st.lists(st.integers(1, 200), max_size=60), st.integers(1, 1000), st.booleans())
def test_micro_batches_hold_every_window_once_within_the_budget(lengths, budget, recurs):
    lengths = numpy.asarray(lengths, dtype="int64")
    batches = list(group_windows(lengths, budget, recurs))
    indices = [index for batch, _ in batches for index in batch.tolist()]
    assert sorted(indices) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * length <= budget for batch, length in batches)
    assert all(lengths[batch].max() <= length < lengths[batch].max() + LENGTH_STEP for batch, length in batches)
    assert (numpy.diff(lengths[indices]) <= 0).all()


@MANY
@given(st.lists(st.integers(1, 512), min_size=1, max_size=200), st.sampled_from([512, 2048]))
def test_few_shapes_come_from_much_text(lengths, budget):
    """Engines recompile for every new shape. One micro-batch of all, the last, may have a shape that others never have."""
    *full, last = group_windows(numpy.asarray(lengths), budget, recurs=True)
    assert all(len(batch) == max(1, budget // length) for batch, length in full)
    assert last[1] % LENGTH_STEP == 0 or len(last[0]) == budget // last[1]
    fine = {round_up(length, get_fine_step(length)) for length in range(1, 513)}
    assert {length for _, length in full} <= fine | set(range(0, 513, LENGTH_STEP))
    assert len(fine) < 50


@pytest.mark.parametrize("length", [17, 40, 100, 500])
def test_full_micro_batches_have_little_padding(length):
    batches = list(group_windows(numpy.full(5000, length), 2048, recurs=True))
    assert all(padded <= 1.2 * length for _, padded in batches[:-1])


@given(pieces(), st.integers(0, 40), st.data())
def test_padding_keeps_every_wordpiece_and_marks_the_rest(drawn, spare, data):
    whole = drawn.wordpieces
    order = data.draw(st.permutations(range(len(whole.lengths))))
    windows = numpy.asarray(order[: data.draw(st.integers(1, len(order)))])
    length = int(whole.lengths[windows].max()) + spare
    batch = pad(whole, windows, length, pad_id=0)
    fields = (
        (batch.inputs["input_ids"], whole.ids, 0),
        (batch.inputs["attention_mask"], numpy.ones_like(whole.ids), 0),
        (batch.index, numpy.arange(len(whole.ids)), -1),
    )
    for rows, values, padding in fields:
        windows_ = cut(values, whole.lengths)
        assert rows.tolist() == [
            windows_[window] + [padding] * (length - whole.lengths[window]) for window in windows.tolist()
        ]


def test_padded_batches_on_a_cpu_are_never_large():
    whole = Wordpieces(numpy.full(200, 16), *(numpy.arange(200 * 16) for _ in range(3)))
    settings = {"batch_wordpieces": 100_000, "threads": 1}
    manifest = {"max_length": 512, "pad_id": 0}
    on_cpu, on_gpu = (
        make_padded_batches(whole, manifest, {**settings, "device": device}) for device in ("cpu", "cuda")
    )
    assert max(batch.index.size for batch in on_cpu) == MOST_WORDPIECES
    assert [batch.index.shape for batch in on_gpu] == [(200, 16)]


@given(pieces(), st.integers(1, 200))
def test_padded_batches_are_within_the_budget(drawn, budget):
    whole = drawn.wordpieces
    settings = {"batch_wordpieces": budget, "threads": 1, "device": "cpu", "warm_up_lengths": []}
    batches = make_padded_batches(whole, {"max_length": 512, "pad_id": 0}, settings)
    assert sorted(number for batch in batches for number in batch.index.ravel() if number >= 0) == list(
        range(len(whole.ids))
    )
    assert all(batch.index.size <= budget or len(batch.index) == 1 for batch in batches)


@pytest.mark.parametrize(
    "length, ready, fixed, chosen",
    [
        (9, [], (), 16),
        (17, [], (), 24),
        (50, [], (), 50),  # The encoder has no more positions.
        (9, [16, 48], (), 16),
        (33, [16, 48], (), 48),
        (25, [16, 48], (), 32),  # 48 would be much padding.
        (3, [], (32, 64), 32),
        (32, [], (32, 64), 32),
        (33, [], (32, 64), 40),  # 64 are more than there are positions.
        (9, [16], (32,), 16),
    ],
)
def test_length_of_a_single_window(length, ready, fixed, chosen):
    assert choose_length(length, {"warm_up_lengths": ready}, 50, 8, fixed) == chosen
