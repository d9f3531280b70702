"""Docs to windows of tokens."""

from typing import Iterable, Iterator, List, NamedTuple, Tuple

import numpy
from spacy.attrs import IDX, LENGTH
from spacy.tokens import Doc
from thinc.types import Ints1d

Window = Tuple[int, int]  # First token and end, numbered through the batch


class Tokens(NamedTuple):
    """The tokens of a batch, numbered through all its Docs, and where they are in the joined text."""

    text: str
    starts: Ints1d  # (n_tokens,), characters, ascending
    ends: Ints1d  # (n_tokens,), characters


def get_tokens(docs: List[Doc]) -> Tokens:
    """Number the tokens of all Docs, and join their texts."""
    texts, spans, offset = [], [], 0
    for doc in docs:
        if len(doc):
            texts.append(doc.text)
            spans.append(doc.to_array([IDX, LENGTH]).astype("int64"))
            spans[-1][:, 0] += offset
            offset += len(texts[-1]) + 1
    starts, lengths = numpy.concatenate(spans).T
    return Tokens(" ".join(texts), numpy.ascontiguousarray(starts), starts + lengths)


def get_windows(docs: List[Doc], spans: str, window: int, stride: int) -> List[Window]:
    """Cut Docs into what the encoder sees at once, as spacy-transformers' span getters do (`span_getters.py`).

    RETURNS (List[Window]): The windows.
    """
    windows: List[Window] = []
    cuts: Iterable[Window]
    offset = 0
    for doc in docs:
        if spans == "sent":
            cuts = [(sent.start, sent.end) for sent in doc.sents]
        elif spans == "doc":
            cuts = [(0, len(doc))] if len(doc) else []
        else:
            cuts = get_strided_windows(len(doc), window, stride)
        windows.extend((start + offset, end + offset) for start, end in cuts)
        offset += len(doc)
    return windows


def get_strided_windows(n_tokens: int, window: int, stride: int) -> Iterator[Tuple[int, int]]:
    """Cut tokens into windows that overlap by `window - stride` tokens.

    YIELDS (Tuple[int, int]): Start and end of windows that overlap by `window - stride` tokens.
    """
    start = 0
    while start < n_tokens:
        yield start, min(start + window, n_tokens)
        if start + window >= n_tokens:
            break
        start += stride
