"""Wordpieces to what an engine takes: windows of similar length in micro-batches, padded to the longest."""

import math
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy
from thinc.types import Ints1d, Ints2d

from .artefact import PADDED_INPUTS
from .cpu import get_threads
from .wordpieces import Wordpieces

LENGTH_STEP = 16  # Wordpieces; see `group_windows`.
MOST_WORDPIECES = 512  # In one call on a CPU, padding included: larger ones have more of it and are not faster
Inputs = Dict[str, Ints2d]  # An engine's inputs by name, (n_rows, length) each


class Batch(NamedTuple):
    """One call of an engine."""

    inputs: Inputs
    index: Ints2d  # (n_rows, length), number of each wordpiece, -1 for padding


def make_padded_batches(
    wordpieces: Wordpieces, manifest: Dict[str, Any], settings: Dict[str, Any], fixed_lengths: Sequence[int] = ()
) -> List[Batch]:
    """Put each window into a row of its own.

    manifest (Dict[str, Any]): Says the encoder's "max_length" in positions and the "pad_id" of the padding wordpiece.
    settings (Dict[str, Any]): The component's.
    fixed_lengths (Sequence[int]): See `choose_length`.
    """
    if len(wordpieces.lengths) == 1:
        window = numpy.zeros(1, dtype="int64")
        longest = manifest["max_length"]
        length = choose_length(int(wordpieces.lengths[0]), settings, longest, LENGTH_STEP, fixed_lengths)
        return [pad(wordpieces, window, length, manifest["pad_id"])]
    most = get_most(settings)
    budget = get_budget(wordpieces, settings)
    return [
        pad(wordpieces, windows, min(length, manifest["max_length"]), manifest["pad_id"])
        for windows, length in group_windows(wordpieces.lengths, budget, recurs=budget == most)
    ]


def make_exact_batches(wordpieces: Wordpieces, manifest: Dict[str, Any], settings: Dict[str, Any]) -> List[Batch]:
    """Put windows of the very same length together, for encoders that see padding, such as ConvBERT.

    manifest (Dict[str, Any]): Says the "pad_id" of the padding wordpiece, which no batch has.
    settings (Dict[str, Any]): The component's.
    """
    budget = get_budget(wordpieces, settings)
    batches: List[Batch] = []
    for length in numpy.unique(wordpieces.lengths)[::-1].tolist():
        windows = numpy.flatnonzero(wordpieces.lengths == length)
        step = max(1, budget // length)
        parts = (windows[start : start + step] for start in range(0, len(windows), step))
        batches.extend(pad(wordpieces, part, length, manifest["pad_id"]) for part in parts)
    return batches


def choose_length(length: int, settings: Dict[str, Any], longest: int, step: int, fixed_lengths: Sequence[int]) -> int:
    """Choose how long the row of a single window is.

    length (int): Wordpieces of the window.
    settings (Dict[str, Any]): The component's. Its "warm_up_lengths" are taken where there is little padding.
    longest (int): Positions of the encoder.
    step (int): Wordpieces to round up to, so that there are few lengths.
    fixed_lengths (Sequence[int]): Lengths to be taken even if they are much longer: their engines take no other shape.
    """
    ready = [other for other in settings["warm_up_lengths"] if length <= other < length + LENGTH_STEP]
    fixed = [other for other in (*ready, *fixed_lengths) if length <= other <= longest]
    return min(fixed or [round_up(length, step), longest])


def get_most(settings: Dict[str, Any]) -> int:
    """Limit the wordpieces of a micro-batch.

    settings (Dict[str, Any]): The component's.
    """
    most: int = settings["batch_wordpieces"]
    return min(most, MOST_WORDPIECES) if settings["device"] == "cpu" else most


def get_budget(wordpieces: Wordpieces, settings: Dict[str, Any]) -> int:
    """Divide few wordpieces among the threads: one thread each does more together than all threads on one micro-batch.

    settings (Dict[str, Any]): The component's.
    RETURNS (int): Most wordpieces of a micro-batch.
    """
    threads = get_threads(settings) if settings["device"] == "cpu" else 1
    return min(get_most(settings), math.ceil(int(wordpieces.lengths.sum()) / threads))


def group_windows(lengths: Ints1d, budget: int, recurs: bool) -> Iterator[Tuple[Ints1d, int]]:
    """Group windows of similar length, so that there is little padding.

    Engines recompile for every new shape, so lengths are rounded up: finely in full micro-batches, whose
    shapes come again in much text, coarsely in what remains and in little text.

    lengths (Ints1d): *Shape:* (n_windows,). Wordpieces of each window.
    budget (int): Most wordpieces of a micro-batch, padding included; one window always fits.
    recurs (bool): Whether other micro-batches have the same budget.
    YIELDS (Tuple[Ints1d, int]): Indices of the windows of a micro-batch, the longest first, and the length to pad to.
    """
    order = numpy.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        length = round_up(longest, get_fine_step(longest))
        if not recurs or budget // length > len(order) - start:
            length = round_up(longest, LENGTH_STEP)
        n_windows = max(1, budget // length)
        yield order[start : start + n_windows], length
        start += n_windows


def round_up(length: int, step: int) -> int:
    """Find the next multiple of a step."""
    return -(-length // step) * step


def get_fine_step(length: int) -> int:
    """Choose a sixteenth to an eighth of the length, within limits, so that there are few steps."""
    return min(max(4, 2 ** (length.bit_length() - 4)), LENGTH_STEP)


def pad(wordpieces: Wordpieces, windows: Ints1d, length: int, pad_id: int) -> Batch:
    """Gather windows in rectangular arrays.

    windows (Ints1d): *Shape:* (n_windows,). Numbers of windows.
    length (int): Wordpieces to pad to.
    pad_id (int): The padding wordpiece.
    """
    lengths = wordpieces.lengths[windows]
    starts = (numpy.cumsum(wordpieces.lengths) - wordpieces.lengths)[windows]
    columns = numpy.arange(length)
    is_real = columns < lengths[:, None]
    index = numpy.where(is_real, starts[:, None] + columns, -1)
    ids = numpy.where(is_real, wordpieces.ids[index], pad_id)
    return Batch(dict(zip(PADDED_INPUTS, (ids, is_real.astype("int64")))), index)
