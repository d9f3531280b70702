"""Windows to wordpieces: alignment with tokens, splitting, micro-batches."""

import math
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import numpy
from thinc.types import Ints1d, Ints2d

from .cpu import get_threads
from .windows import Tokens

LENGTH_STEP = 16  # Wordpieces; see `get_micro_batches`.


class Wordpieces(NamedTuple):
    """The wordpieces of several windows, one after the other.

    A wordpiece is aligned to all tokens from `first` to `last`, mostly one; special tokens have -1 for both.
    """

    lengths: Ints1d  # (n_windows,)
    ids: Ints1d  # (n_wordpieces,)
    first: Ints1d  # (n_wordpieces,)
    last: Ints1d  # (n_wordpieces,)


def align(tokens: Tokens, starts: Ints1d, ends: Ints1d) -> Tuple[Ints1d, Ints1d]:
    """Find the tokens that a wordpiece touches, as spacy-transformers' `align.pyx` does.

    A character belongs to the last token that starts at or before it, so the space after a token is the token's.

    starts (Ints1d): *Shape:* (n_wordpieces,). First character of each wordpiece in `tokens.text`.
    ends (Ints1d): *Shape:* (n_wordpieces,). End of each wordpiece; the start again if it covers no text.
    RETURNS (Tuple[Ints1d, Ints1d]): First and last token of each wordpiece, -1 for one that covers no text.
    """
    first = numpy.searchsorted(tokens.starts, starts, side="right") - 1
    last = numpy.searchsorted(tokens.starts, ends - 1, side="right") - 1
    is_empty = ends <= starts
    first[is_empty] = -1
    last[is_empty] = -1
    return first, last


def split_long_windows(wordpieces: Wordpieces, max_length: int, n_prefix: int, n_suffix: int) -> Wordpieces:
    """Split windows with more wordpieces than the encoder has positions, where the reference truncates them.

    max_length (int): Positions of the encoder.
    n_prefix (int): Special tokens before the text, repeated before every part.
    n_suffix (int): Special tokens after the text, repeated after every part.
    """
    if wordpieces.lengths.max(initial=0) <= max_length:
        return wordpieces
    room = max_length - n_prefix - n_suffix
    lengths: List[int] = []
    rows: List[Ints1d] = []
    end = 0
    for length in wordpieces.lengths:
        start, end = end, end + length
        prefix = numpy.arange(start, start + n_prefix)
        suffix = numpy.arange(end - n_suffix, end)
        for part in range(start + n_prefix, max(end - n_suffix, start + n_prefix + 1), room):
            text = numpy.arange(part, min(part + room, end - n_suffix))
            rows.extend((prefix, text, suffix))
            lengths.append(len(prefix) + len(text) + len(suffix))
    index = numpy.concatenate(rows)
    return Wordpieces(numpy.asarray(lengths), wordpieces.ids[index], wordpieces.first[index], wordpieces.last[index])


class Padded(NamedTuple):
    """Windows of one micro-batch, padded to the longest."""

    ids: Ints2d  # (n_windows, length)
    mask: Ints2d  # (n_windows, length), 1 for wordpieces and 0 for padding
    first: Ints2d  # (n_windows, length)
    last: Ints2d  # (n_windows, length)


def get_budget(wordpieces: Wordpieces, settings: Dict[str, Any]) -> int:
    """Divide few wordpieces among the threads: one thread each does more together than all threads on one micro-batch.

    settings (Dict[str, Any]): The component's.
    RETURNS (int): Most wordpieces of a micro-batch.
    """
    threads = get_threads(settings) if settings["device"] == "cpu" else 1
    return min(settings["batch_wordpieces"], math.ceil(int(wordpieces.lengths.sum()) / threads))


def get_micro_batches(lengths: Ints1d, budget: int, recurs: bool) -> Iterator[Tuple[Ints1d, int]]:
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


def pad(wordpieces: Wordpieces, batch: Ints1d, length: int, manifest: Dict[str, Any], nowhere: int) -> Padded:
    """Gather the windows of a micro-batch in rectangular arrays.

    batch (Ints1d): *Shape:* (n_windows,). Indices of windows.
    length (int): Wordpieces to pad to, as far as the encoder has positions.
    manifest (Dict[str, Any]): Says the encoder's "max_length" in positions and the "pad_id" of the padding wordpiece.
    nowhere (int): The row that special tokens and padding are aligned to.
    """
    lengths = wordpieces.lengths[batch]
    starts = (numpy.cumsum(wordpieces.lengths) - wordpieces.lengths)[batch]
    columns = numpy.arange(min(length, manifest["max_length"]))
    mask = columns < lengths[:, None]
    index = numpy.where(mask, starts[:, None] + columns, 0)
    first = wordpieces.first[index]
    aligned = mask & (first >= 0)
    return Padded(
        ids=numpy.where(mask, wordpieces.ids[index], manifest["pad_id"]),
        mask=mask.astype("int64"),
        first=numpy.where(aligned, first, nowhere).astype("int32"),
        last=numpy.where(aligned, wordpieces.last[index], nowhere).astype("int32"),
    )
