"""Vectors of wordpieces to vectors of tokens, pooled as the listeners of the trained pipeline did it."""

from typing import NamedTuple, Optional, Tuple

import numpy
from thinc.api import NumpyOps
from thinc.types import Floats1d, Floats2d, Floats3d, Ints1d, Ints2d

from .wordpieces import Wordpieces

MEAN, SUM, MAX, FIRST, LAST = POOLINGS = ("mean", "sum", "max", "first", "last")


class Places(NamedTuple):
    """The rows, one a token, that the wordpieces of some windows are added to."""

    first: Ints1d  # (n_wordpieces + 1,)
    last: Ints1d  # (n_wordpieces + 1,), the same for most
    weights: Optional[Floats1d]  # (n_wordpieces + 1,), None for all the same


class TokenVectors:
    """The vectors of consecutive tokens, while groups of windows are encoded.

    A token's wordpieces are all that are aligned to it, from every window that covers it, as in spacy-transformers
    (`layers/trfs2arrays.py`); a token without any gets zeros.

    pooling (str): One of POOLINGS.
    n_tokens (int): Number of tokens.
    width (int): Width of a vector.
    """

    def __init__(self, pooling: str, n_tokens: int, width: int) -> None:
        self.pooling = pooling
        self.width = width
        # Padding and special tokens are added to one more row than there are tokens.
        self.sums = self._make_rows(n_tokens + 1)
        self.counts = numpy.zeros(n_tokens + 1, dtype="float32")

    def _make_rows(self, n_rows: int) -> Floats2d:
        return numpy.full((n_rows, self.width), -numpy.inf if self.pooling == MAX else 0, dtype="float32")

    def find_places(self, wordpieces: Wordpieces, first_token: int = 0) -> Places:
        """Find the rows of the wordpieces of the next group of windows.

        first_token (int): The token that the first row is for.
        RETURNS (Places): First and last row of each wordpiece, and of padding, which comes last: number -1.
        """
        nowhere = len(self.sums) - 1
        is_aligned = wordpieces.first >= 0
        first, last = (
            numpy.where(is_aligned, tokens - first_token, nowhere) for tokens in (wordpieces.first, wordpieces.last)
        )
        if self.pooling == FIRST:
            first, last = self._keep_first(first, last, nowhere)
        elif self.pooling == LAST:
            first, last = self._keep_last(first, last, nowhere)
        first, last = (numpy.append(array, nowhere).astype("int32") for array in (first, last))
        weights = None if wordpieces.weights is None else numpy.append(wordpieces.weights, numpy.float32(1))
        return Places(first, last, weights)

    def _keep_first(self, first: Ints1d, last: Ints1d, nowhere: int) -> Tuple[Ints1d, Ints1d]:
        """Leave each wordpiece the tokens that none before it has, in this group of windows or one before."""
        filled = numpy.flatnonzero(self.counts[:-1])
        before = numpy.where(first == nowhere, -1, last)
        before = numpy.maximum.accumulate(numpy.append(filled[-1] if len(filled) else -1, before)[:-1])
        first = numpy.maximum(first, before + 1)
        is_later = first > last
        return numpy.where(is_later, nowhere, first), numpy.where(is_later, nowhere, last)

    def _keep_last(self, first: Ints1d, last: Ints1d, nowhere: int) -> Tuple[Ints1d, Ints1d]:
        """Leave each wordpiece the tokens that none after it has, and forget what an earlier group says of them."""
        after = numpy.minimum.accumulate(numpy.append(first, nowhere)[::-1])[::-1]
        self.sums[after[0] : -1], self.counts[after[0] : -1] = 0, 0
        last = numpy.where(first == nowhere, nowhere, numpy.minimum(last, after[1:] - 1))
        is_earlier = first > last
        return numpy.where(is_earlier, nowhere, first), numpy.where(is_earlier, nowhere, last)

    def add(self, places: Places, index: Ints2d, vectors: Floats3d) -> None:
        """Add the vectors of wordpieces to those of the tokens that they are aligned to.

        places (Places): The rows of all wordpieces of the group.
        index (Ints2d): *Shape:* (n_rows, length). The number of each wordpiece, -1 for padding.
        vectors (Floats3d): *Shape:* (n_rows, length, width).
        """
        rows = vectors.reshape(-1, vectors.shape[-1])
        first, last = places.first[index.ravel()], places.last[index.ravel()]
        weights = None
        if places.weights is not None:
            weights = places.weights[index.ravel()]
            rows = rows * weights[:, None]
        self._add_rows(first, rows, weights)
        # A wordpiece like "cannot" belongs to two tokens, "can" and "not".
        for step in range(1, int((last - first).max()) + 1):
            shared = numpy.flatnonzero(first + step <= last)
            of_shared = None if weights is None else weights[shared]
            self._add_rows(first[shared] + numpy.int32(step), rows[shared], of_shared)

    def _add_rows(self, places: Ints1d, rows: Floats2d, weights: Optional[Floats1d]) -> None:
        if self.pooling == MAX:
            numpy.maximum.at(self.sums, places, rows)
        else:
            NumpyOps().scatter_add(self.sums, places, rows)
        self.counts += numpy.bincount(places, weights, minlength=len(self.counts))

    def extend(self, n_tokens: int) -> None:
        """Make room for more tokens after the last one."""
        self.sums = numpy.concatenate((self.sums[:-1], self._make_rows(n_tokens + 1)))
        self.counts = numpy.concatenate((self.counts[:-1], numpy.zeros(n_tokens + 1, dtype="float32")))

    def take(self, n_tokens: int) -> Floats2d:
        """Take out the vectors of the first tokens, when no more wordpieces of theirs will come.

        RETURNS (Floats2d): *Shape:* (n_tokens, width).
        """
        taken, counts = self.sums[:n_tokens], self.counts[:n_tokens]
        self.sums, self.counts = self.sums[n_tokens:].copy(), self.counts[n_tokens:].copy()
        return finish(self.pooling, taken, counts)

    def finish(self) -> Floats2d:
        """Take out all vectors in place, since those of a very long Doc are most of the memory that it takes.

        RETURNS (Floats2d): *Shape:* (n_tokens + 1, width). The last row is for padding and special tokens.
        """
        return finish(self.pooling, self.sums, self.counts)


def finish(pooling: str, sums: Floats2d, counts: Floats1d) -> Floats2d:
    """Turn sums into vectors in place.

    RETURNS (Floats2d): The same array.
    """
    if pooling == MEAN:
        sums /= numpy.maximum(counts, 1).astype("float32")[:, None]
    elif pooling == MAX:
        sums[counts == 0] = 0
    return sums
