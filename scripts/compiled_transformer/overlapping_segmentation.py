"""The way of transformers' token classification: the wordpieces of a whole text, in windows that overlap."""

import threading
from itertools import chain
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

import numpy
from spacy.tokens import Doc
from thinc.types import Ints1d
from tokenizers import Encoding, Tokenizer

from .windows import Window
from .wordpieces import Wordpieces

OVERLAPPING = "overlapping"  # The name of this segmentation in a manifest
SPACE = ord(" ")


class OverlappingSegmentation:
    """Tokenize the text of each Doc, and cut what is longer than the encoder takes into windows.

    tokenizer (Tokenizer): The encoder's.
    max_length (int): Positions of the encoder.
    unk_id (Optional[int]): The wordpiece for what the tokenizer doesn't know.
    """

    _lock = threading.Lock()

    def __init__(self, tokenizer: Tokenizer, max_length: int, unk_id: Optional[int]) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.unk_id = unk_id
        self.stride: Optional[int] = None
        self.n_special = tokenizer.num_special_tokens_to_add(is_pair=False)
        self.room = max_length - self.n_special  # For wordpieces of the text
        self.piece_lengths = get_piece_lengths(tokenizer)

    def __call__(self, docs: List[Doc], settings: Dict[str, Any]) -> "OverlappingWindows":
        stride = settings["stride"]
        self.set_stride(stride)
        encodings: List[Encoding] = []
        owners: List[int] = []
        windows: List[Window] = []
        n_pieces = 0
        for number, doc in enumerate(docs):
            if len(doc):
                encoding = self.tokenizer.encode(doc.text)
                parts = [encoding, *encoding.overflowing]
                for part, window in enumerate(parts):
                    first = n_pieces + part * (self.room - stride)
                    windows.append((first, first + len(window) - self.n_special))
                encodings.extend(parts)
                owners.extend([number] * len(parts))
                n_pieces = windows[-1][1]
        lengths = numpy.asarray([len(encoding) for encoding in encodings], dtype="int64")
        ids, special = (
            flatten((getattr(encoding, name) for encoding in encodings), lengths.sum())
            for name in ("ids", "special_tokens_mask")
        )
        offsets = flatten((chain.from_iterable(encoding.offsets) for encoding in encodings), 2 * lengths.sum())
        starts, ends = offsets.reshape(-1, 2).T
        of_doc = numpy.repeat(numpy.asarray(owners, dtype="int64"), lengths)
        is_subword = self.find_subwords([doc.text for doc in docs], of_doc, ids, starts, ends)
        return OverlappingWindows(windows, lengths, owners, ids, starts, ends, special == 0, is_subword)

    def set_stride(self, stride: int) -> None:
        """Let the tokenizer cut long texts into windows.

        It must not be changed while another thread uses it, so it is changed only for the first batch.

        stride (int): Wordpieces that two windows share.
        RAISES (ValueError): If the encoder can't take so many.
        """
        if stride >= self.room:
            raise ValueError(
                f"Setting 'stride' of the compiled token classifier is {stride}, and its encoder takes {self.room} "
                f"wordpieces of a text at once. Set at most {self.room - 1}."
            )
        with self._lock:
            if self.stride != stride:
                self.tokenizer.enable_truncation(self.max_length, stride=stride)
                self.stride = stride

    def find_subwords(self, texts: List[str], of_doc: Ints1d, ids: Ints1d, starts: Ints1d, ends: Ints1d) -> Ints1d:
        """Tell which wordpieces continue a word, as `gather_pre_entities` of transformers' pipeline does.

        of_doc (Ints1d): *Shape:* (n_wordpieces,). The number of each one's text.
        RETURNS (Ints1d): *Shape:* (n_wordpieces,). Whether each does.
        """
        if self.piece_lengths is not None:
            is_subword = self.piece_lengths[ids] != ends - starts
        else:
            # One more for a wordpiece at the end, which covers no character.
            is_space = numpy.concatenate([numpy.append(find_spaces(text), False) for text in texts])
            begins = numpy.cumsum([0, *(len(text) + 1 for text in texts)])[of_doc]
            is_subword = (starts > 0) & ~is_space[begins + starts] & ~is_space[begins + starts - 1]
        return is_subword if self.unk_id is None else is_subword & (ids != self.unk_id)


def flatten(numbers: Iterable[Iterable[int]], size: int) -> Ints1d:
    """Put the numbers of several windows into one array."""
    return numpy.fromiter(chain.from_iterable(numbers), dtype="int64", count=size)


def get_piece_lengths(tokenizer: Tokenizer) -> Optional[Ints1d]:
    """Count the characters of all wordpieces, "##" included, where those that continue a word begin with it.

    RETURNS (Optional[Ints1d]): *Shape:* (n_vocabulary,). None if they say nothing about words.
    """
    if not getattr(tokenizer.model, "continuing_subword_prefix", None):
        return None
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    lengths = numpy.zeros(max(vocabulary.values()) + 1, dtype="int64")
    for piece, number in vocabulary.items():
        lengths[number] = len(piece)
    return lengths


def find_spaces(text: str) -> Ints1d:
    """Tell of each character whether it is a space."""
    return numpy.frombuffer(text.encode("utf-32-le"), dtype="<u4") == SPACE


class OverlappingWindows(NamedTuple):
    """The windows of a batch, see `SegmentedDocs`. What others number by tokens is numbered by wordpieces of the text."""

    windows: List[Window]
    lengths: Ints1d  # (n_windows,)
    owners: List[int]  # (n_windows,), number of the Doc
    ids: Ints1d  # (n_wordpieces,), of all windows, as all below
    starts: Ints1d  # (n_wordpieces,), first character in the Doc
    ends: Ints1d  # (n_wordpieces,), end in the Doc
    is_text: Ints1d  # (n_wordpieces,), False for special ones
    is_subword: Ints1d  # (n_wordpieces,), whether it continues a word

    @property
    def n_tokens(self) -> int:
        """Count the wordpieces of all texts."""
        return self.windows[-1][1] if self.windows else 0

    def get_wordpieces(self, start: int, end: int) -> Wordpieces:
        """Gather the wordpieces of some windows."""
        lengths = self.lengths[start:end]
        bounds = int(self.lengths[:start].sum()) + numpy.cumsum([0, *lengths])
        chosen = slice(bounds[0], bounds[-1])
        is_text = self.is_text[chosen]
        # How many of the text there are before, in the same window.
        before = numpy.cumsum(is_text) - is_text
        before -= numpy.repeat(before[bounds[:-1] - bounds[0]], lengths)
        first = numpy.repeat([window[0] for window in self.windows[start:end]], lengths) + before
        first[~is_text] = -1
        return Wordpieces(lengths, self.ids[chosen], first, first)
