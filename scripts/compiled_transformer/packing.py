"""Wordpieces to what an engine takes: several windows in a row, told apart by segment numbers, with hardly any padding.

A row may hold several windows because position ids start again in each, and because the graph lets a wordpiece attend to
those of its own segment only. Rows of 64 wordpieces are as fast as any; longer ones cost more in attention. Windows that
don't fit side by side into a row of 64, 128, 256 or 512, as strided windows and whole documents, get rows of other lengths.
"""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from thinc.types import Ints1d

from .artefact import PACKED_INPUTS
from .batches import Batch, choose_length, round_up
from .cpu import get_threads
from .wordpieces import Wordpieces

ROW = 64  # Wordpieces of a row, if no window is longer
STEP = 8  # Wordpieces to which the rows of little text are rounded up
MOST_WORDPIECES = 1024  # In one call: more are not faster, and take more memory
LITTLE_TEXT = 128  # Wordpieces for each thread, up to which each gets one row
LONG_STEP = 32  # Wordpieces from one length of longer rows to the next, where doubled ones cost too much
WASTE = 1.1  # Cost of rows against that of windows without padding, above which other lengths are tried
# Wordpieces by which a row gets longer, for all of them to cost as much again. BERT-base's take 1,500, MiniLM's 430.
ATTENTION = 800

Row = List[int]  # Numbers of windows


class Block(NamedTuple):
    """The rows of one call of an engine."""

    length: int  # of a row, in wordpieces
    rows: List[Row]


def make_packed_batches(
    wordpieces: Wordpieces, manifest: Dict[str, Any], settings: Dict[str, Any], fixed_lengths: Sequence[int] = ()
) -> List[Batch]:
    """Put several windows into each row.

    manifest (Dict[str, Any]): Says the encoder's "max_length" in positions and the "pad_id" of the padding wordpiece.
    settings (Dict[str, Any]): The component's.
    fixed_lengths (Sequence[int]): See `choose_length`.
    """
    threads = get_threads(settings) if settings["device"] == "cpu" else 1
    most = settings["batch_wordpieces"]
    if settings["device"] == "cpu":
        most = min(most, MOST_WORDPIECES)
    lengths = wordpieces.lengths
    if len(lengths) == 1:
        blocks = [Block(choose_length(int(lengths[0]), settings, manifest["max_length"], STEP, fixed_lengths), [[0]])]
    else:
        blocks = plan_blocks(lengths, threads, most, manifest["max_length"])
    return [fill(wordpieces, block, manifest["pad_id"], manifest.get("padding_position")) for block in blocks]


def plan_blocks(lengths: Ints1d, threads: int, most: int, longest: int) -> List[Block]:
    """Distribute windows over the rows of as few calls, of as few shapes, as the threads can share.

    lengths (Ints1d): *Shape:* (n_windows,). Wordpieces of each window.
    threads (int): Calls that run at once.
    most (int): Wordpieces of a call, padding included; one row always fits.
    longest (int): Positions of the encoder.
    RETURNS (List[Block]): The blocks; each window is in one row.
    """
    if int(lengths.sum()) <= threads * LITTLE_TEXT:
        evenly = list(divide_evenly(lengths, threads))
        if max(length for length, _ in evenly) <= min(LITTLE_TEXT, longest):
            return evenly
    blocks: List[Block] = []
    for length, rows in pack(lengths, longest):
        n_calls = -(-len(rows) // max(1, most // length))
        if len(rows) >= threads:
            n_calls = round_up(n_calls, threads)
        n_calls = min(n_calls, len(rows))
        bounds = [len(rows) * call // n_calls for call in range(n_calls + 1)]
        blocks.extend(Block(length, rows[start:end]) for start, end in zip(bounds, bounds[1:]))
    return blocks


def divide_evenly(lengths: Ints1d, n_rows: int) -> Iterator[Block]:
    """Divide few windows among rows of about the same length, the longest window first.

    YIELDS (Block): A row, rounded up to few lengths.
    """
    rows: List[Row] = [[] for _ in range(n_rows)]
    sums = [0] * n_rows
    for window in numpy.argsort(-lengths, kind="stable").tolist():
        shortest = sums.index(min(sums))
        rows[shortest].append(window)
        sums[shortest] += int(lengths[window])
    for row, length in zip(rows, sums):
        if row:
            yield Block(round_up(length, STEP), [row])


def pack(lengths: Ints1d, longest: int) -> List[Block]:
    """Pack windows into rows of 64 wordpieces, those that are longer into rows of 128, 256 and so on.

    Every length costs time and memory when an engine first gets it, so there are few, unless they cost too much in padding or
    attention. Then there is a length every 32 wordpieces, as whole documents need it, or the longest row is as long as the
    longest window, as strided windows need it: whichever costs least.

    lengths (Ints1d): *Shape:* (n_windows,). Wordpieces of each window.
    longest (int): Positions of the encoder; some encoders take no longer rows either.
    RETURNS (List[Block]): The rows of each length, the longest first.
    """
    most = int(lengths.max())
    doubled = [ROW]
    while doubled[-1] < most:
        doubled.append(2 * doubled[-1])
    blocks = fill_rows(lengths, doubled, longest)
    if most <= ROW:
        return blocks
    least = (lengths * get_price(numpy.maximum(lengths, ROW))).sum()
    if get_cost(blocks) <= WASTE * least:
        return blocks
    close = list(range(ROW, round_up(most, LONG_STEP) + 1, LONG_STEP))
    tight = [*doubled[:-1], round_up(most, STEP)]
    return min((blocks, fill_rows(lengths, close, longest), fill_rows(lengths, tight, longest)), key=get_cost)


def get_cost(blocks: List[Block]) -> float:
    """Estimate what an engine takes for rows, in wordpieces of short ones."""
    return sum(length * len(rows) * get_price(length) for length, rows in blocks)


def get_price(length: Any) -> Any:
    """Estimate what a wordpiece costs in a row of a length, a number or an array, in those of the shortest rows."""
    return 1 + length / ATTENTION


def fill_rows(lengths: Ints1d, row_lengths: List[int], longest: int) -> List[Block]:
    """Put each window into a row of the shortest length that takes it, or into what is left in a longer one.

    Best fit decreasing, Johnson et al. 1974.

    row_lengths (List[int]): Lengths of rows, in wordpieces, the shortest first. The last one takes every window.
    longest (int): Positions of the encoder: no row is longer.
    RETURNS (List[Block]): The rows of each length, the longest first.
    """
    row_lengths = [min(length, longest) for length in row_lengths]
    blocks: List[Block] = []
    waiting = numpy.argsort(-lengths, kind="stable").tolist()
    for row_length, shorter in zip(row_lengths[::-1], [*row_lengths[-2::-1], 0]):
        rows: List[Row] = []
        by_room = RowsByRoom()
        left: List[int] = []
        for window in waiting:
            length = int(lengths[window])
            found = by_room.take(length)
            if found is None and length <= shorter:
                left.append(window)
                continue
            if found is None:
                rows.append([])
                found = rows[-1], row_length
            row, room = found
            row.append(window)
            by_room.put(row, room - length)
        if rows:
            blocks.append(Block(row_length, rows))
        waiting = left
    return blocks


class RowsByRoom:
    """Rows with room left, so that the one that a window fits best is found at once."""

    def __init__(self) -> None:
        self._rows: Dict[int, List[Row]] = {}
        self._rooms = 0  # Bit n is set if there is a row with room for exactly n wordpieces.

    def put(self, row: Row, room: int) -> None:
        """Keep a row that has room for so many wordpieces."""
        if room:
            self._rows.setdefault(room, []).append(row)
            self._rooms |= 1 << room

    def take(self, length: int) -> "Tuple[Row, int] | None":
        """Take the row with the least room for a window of a length.

        RETURNS (Tuple[Row, int] | None): The row and its room, None if there is none.
        """
        larger = self._rooms >> length
        if not larger:
            return None
        room = length + (larger & -larger).bit_length() - 1
        row = self._rows[room].pop()
        if not self._rows[room]:
            self._rooms &= ~(1 << room)
        return row, room


def fill(wordpieces: Wordpieces, block: Block, pad_id: int, padding_position: Optional[int] = None) -> Batch:
    """Gather the windows of a block in rectangular arrays.

    pad_id (int): The padding wordpiece; padding is a segment of its own, number 0.
    padding_position (Optional[int]): Where encoders of RoBERTa's kind put it; wordpieces count from the next position on.
    """
    windows = numpy.concatenate([numpy.asarray(row) for row in block.rows])
    n_windows = numpy.asarray([len(row) for row in block.rows])
    lengths = wordpieces.lengths[windows]
    starts = (numpy.cumsum(wordpieces.lengths) - wordpieces.lengths)[windows]
    ends = numpy.cumsum(lengths)
    first_windows = numpy.cumsum(n_windows) - n_windows
    # Where each window starts in its row, and its number there, from 1.
    offsets = ends - lengths - numpy.repeat((ends - lengths)[first_windows], n_windows)
    segments = numpy.arange(len(windows)) - numpy.repeat(first_windows, n_windows) + 1
    rows = numpy.repeat(numpy.arange(len(block.rows)), n_windows)

    positions = numpy.arange(ends[-1]) - numpy.repeat(ends - lengths, lengths)
    places = numpy.repeat(rows * block.length + offsets, lengths) + positions
    source = numpy.repeat(starts, lengths) + positions
    if padding_position is not None:
        positions = count_without_padding(wordpieces.ids[source] != pad_id, ends - lengths, lengths) + padding_position
    shape = (len(block.rows), block.length)
    ids = numpy.full(shape, pad_id, dtype="int64")
    position_ids, segment_ids, index = (numpy.full(shape, value, dtype="int64") for value in (0, 0, -1))
    for array, values in (
        (ids, wordpieces.ids[source]),
        (position_ids, positions),
        (segment_ids, numpy.repeat(segments, lengths)),
        (index, source),
    ):
        array.reshape(-1)[places] = values
    return Batch(dict(zip(PACKED_INPUTS, (ids, position_ids, segment_ids))), index)


def count_without_padding(is_counted: Ints1d, starts: Ints1d, lengths: Ints1d) -> Ints1d:
    """Number the wordpieces of each window from 1; what isn't counted has 0, as a text with "<pad>" in it may have.

    As `create_position_ids_from_input_ids` in transformers' `modeling_roberta.py`.

    is_counted (Ints1d): *Shape:* (n_wordpieces,). Whether each is something else than the padding wordpiece.
    starts (Ints1d): *Shape:* (n_windows,). First wordpiece of each window.
    lengths (Ints1d): *Shape:* (n_windows,).
    """
    counts = numpy.cumsum(is_counted)
    before = counts[starts] - is_counted[starts]
    return numpy.where(is_counted, counts - numpy.repeat(before, lengths), 0)
