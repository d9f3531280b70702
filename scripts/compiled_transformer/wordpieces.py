"""Windows to wordpieces: alignment with tokens, and splitting of windows that are too long."""

from typing import List, NamedTuple, Optional, Tuple

import numpy
from thinc.types import Floats1d, Ints1d

from .windows import Tokens


class Wordpieces(NamedTuple):
    """The wordpieces of several windows, one after the other.

    A wordpiece is aligned to all tokens from `first` to `last`, mostly one; special tokens have -1 for both.
    """

    lengths: Ints1d  # (n_windows,)
    ids: Ints1d  # (n_wordpieces,)
    first: Ints1d  # (n_wordpieces,)
    last: Ints1d  # (n_wordpieces,)
    weights: Optional[Floats1d] = (
        None  # (n_wordpieces,), how much each counts in its token's mean, None for all the same
    )


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
