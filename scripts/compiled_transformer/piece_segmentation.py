"""The way of spacy-curated-transformers: pieces of each token, and windows of pieces over the whole Doc."""

from itertools import chain
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy
from spacy.attrs import IS_SPACE, SPACY
from spacy.tokens import Doc
from thinc.types import Floats1d, Ints1d

from .pieces import PieceEncoder
from .windows import Window
from .wordpieces import Wordpieces

MOST_CACHED = 100_000  # Distinct tokens whose pieces are kept


class PieceSegmentation:
    """Make pieces token by token, with a special piece before and after the Doc, and cut all of them into windows.

    encoder (PieceEncoder): Makes the pieces of a token.
    bos_id (int): The piece before a Doc.
    eos_id (int): The piece after a Doc.
    max_length (int): Positions of the encoder.
    """

    def __init__(self, encoder: PieceEncoder, bos_id: int, eos_id: int, max_length: int) -> None:
        self.encoder = encoder
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.max_length = max_length
        self._cache: Dict[Tuple[int, int], List[int]] = {}

    def __call__(self, docs: List[Doc], settings: Dict[str, Any]) -> "PieceWindows":
        window, stride = settings["window"], settings["stride"]
        self._check(settings["spans"], window)
        ids: List[Ints1d] = []
        owners: List[Ints1d] = []
        starts: List[Ints1d] = []
        doc_starts: List[Ints1d] = []
        doc_ends: List[Ints1d] = []
        windows: List[Window] = []
        n_tokens = n_pieces = 0
        for doc in docs:
            if len(doc):
                pieces = self.get_pieces(doc)
                tokens = numpy.repeat(numpy.arange(-1, len(doc) + 1), [1, *map(len, pieces), 1])
                length = len(tokens)
                # Where the last stride ends before the Doc does, upstream adds one more window than is needed.
                cuts = numpy.arange(0, length, stride)
                first = numpy.maximum(tokens[cuts], 0) + n_tokens
                end = numpy.minimum(tokens[numpy.minimum(cuts + window, length) - 1] + 1, len(doc)) + n_tokens
                windows.extend(zip(first.tolist(), end.tolist()))
                ids.append(numpy.fromiter(chain((self.bos_id,), *pieces, (self.eos_id,)), "int64", length))
                owners.append(tokens + n_tokens)
                owners[-1][[0, -1]] = -1
                starts.append(cuts + n_pieces)
                doc_starts.append(numpy.full(len(cuts), n_pieces))
                n_pieces += length
                doc_ends.append(numpy.full(len(cuts), n_pieces))
            n_tokens += len(doc)
        joined = (numpy.concatenate(parts) for parts in (ids, owners, starts, doc_starts, doc_ends))
        return PieceWindows(n_tokens, windows, window, stride, *joined)

    def _check(self, spans: str, window: int) -> None:
        """Check that the encoder can take the windows.

        RAISES (ValueError): If it can't.
        """
        if spans != "strided":
            raise ValueError(
                f"Setting 'spans' of the compiled transformer is {spans!r}, but this pipeline comes from "
                "spacy-curated-transformers, which knows windows of pieces only. Set 'strided'."
            )
        if window > self.max_length:
            raise ValueError(
                f"Setting 'window' of the compiled transformer is {window}, and its encoder takes {self.max_length} "
                f"pieces at once. Set at most {self.max_length}."
            )

    def get_pieces(self, doc: Doc) -> List[List[int]]:
        """Make the pieces of each token."""
        encoder, cache, strings = self.encoder, self._cache, doc.vocab.strings
        keys, spaces, white = doc.to_array([encoder.attribute, SPACY, IS_SPACE]).T.tolist()
        # With some encoders the space before a token is a part of its first piece.
        before = [0, *spaces[:-1]] if encoder.takes_space else [0] * len(doc)
        if len(cache) > MOST_CACHED:
            cache.clear()
        pieces: List[List[int]] = []
        for key, space, is_white in zip(keys, before, white):
            if is_white and not encoder.takes_white_space:
                pieces.append([])
                continue
            found = cache.get((key, space))
            if found is None:
                found = cache[key, space] = encoder.encode(" " * space + strings[key])
            pieces.append(found)
        return pieces


class PieceWindows(NamedTuple):
    """The windows of a batch, see `SegmentedDocs`. Pieces are numbered through all its Docs."""

    n_tokens: int
    windows: List[Window]
    window: int
    stride: int
    ids: Ints1d  # (n_pieces,)
    owners: Ints1d  # (n_pieces,), the token of each, -1 for special ones
    starts: Ints1d  # (n_windows,), first piece of each
    doc_starts: Ints1d  # (n_windows,), first piece of its Doc
    doc_ends: Ints1d  # (n_windows,), piece after its Doc

    def get_wordpieces(self, start: int, end: int) -> Wordpieces:
        """Gather the wordpieces of some windows."""
        starts = self.starts[start:end]
        lengths = numpy.minimum(starts + self.window, self.doc_ends[start:end]) - starts
        within = numpy.arange(lengths.sum()) - numpy.repeat(numpy.cumsum(lengths) - lengths, lengths)
        index = numpy.repeat(starts, lengths) + within
        weights = self._weigh(index, numpy.repeat(self.doc_starts[start:end], lengths), within)
        owners = self.owners[index]
        return Wordpieces(lengths, self.ids[index], owners, owners, weights)

    def _weigh(self, index: Ints1d, doc_starts: Ints1d, within: Ints1d) -> Optional[Floats1d]:
        """Weigh what each window says of a piece, as `with_strided_spans.py` averages it: one overlap after the other.

        Of two windows each counts half. Of three, which takes a stride below half a window, the last one counts half.
        """
        if self.stride == self.window:
            return None
        position = index - doc_starts
        number = (position - within) // self.stride  # of the window in its Doc
        first = numpy.maximum(0, -((self.window - 1 - position) // self.stride))  # window with the same piece
        last = position // self.stride
        halvings = numpy.where(number == first, last - first, last - number + 1)
        return numpy.ldexp(numpy.float32(1), -halvings)
