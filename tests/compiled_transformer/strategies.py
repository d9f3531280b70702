"""Docs, windows and wordpieces that tests draw."""

from typing import List, NamedTuple

import numpy
from hypothesis import settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from scripts.compiled_transformer.wordpieces import Wordpieces

VOCAB = Vocab()
MANY = settings(max_examples=300)  # These are quick.
SPECIAL = -1  # What special tokens are aligned to.


def words() -> st.SearchStrategy[str]:
    """Words, numbers, emoji, combining characters, scripts without spaces, and white space that is a token."""
    odd = [
        "\n",
        " ",
        "\t\n ",
        "\u00a0",
        "\u3000",
        "\u200b",
        "e\u0301",
        "👩‍👩‍👧",
        "😀",
        "ﬁ",
        "東京",
        "İ",
        "[SEP]",
        "cannot",
        "don't",
    ]
    return st.one_of(st.sampled_from(odd), st.text(st.characters(codec="utf8"), min_size=1, max_size=12))


@st.composite
def documents(draw, max_words: int = 25) -> Doc:
    texts = draw(st.lists(words(), max_size=max_words))
    spaces = draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    return Doc(VOCAB, words=texts, spaces=spaces)


@st.composite
def windows_of_tokens(draw):
    """YIELDS (Tuple[int, int]): Window and stride, as `check_settings` allows them."""
    window = draw(st.integers(1, 40))
    return window, draw(st.integers(1, window))


@st.composite
def offsets(draw, length: int) -> numpy.ndarray:
    """Wordpieces of a text: ascending, some over the same characters or none, with gaps and overlaps."""
    borders = st.integers(0, length)
    starts = sorted(draw(st.lists(borders, max_size=length + 5)))
    lengths = draw(st.lists(st.integers(0, 15), min_size=len(starts), max_size=len(starts)))
    return numpy.asarray([(start, min(start + n, length)) for start, n in zip(starts, lengths)], dtype="int64").reshape(
        -1, 2
    )


class Pieces(NamedTuple):
    """Windows of wordpieces, no two of them with the same id, and the special tokens in each."""

    wordpieces: Wordpieces
    n_prefix: int
    n_suffix: int


@st.composite
def pieces(draw) -> Pieces:
    n_prefix, n_suffix = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    # A tokenizer without special tokens makes at least one of a text.
    shortest = 0 if n_prefix + n_suffix else 1
    lengths = draw(st.lists(st.integers(shortest, 30), min_size=1, max_size=8))
    first, last = [], []
    for number, length in enumerate(lengths):
        text = numpy.arange(length) + 100 * number
        first += [*[SPECIAL] * n_prefix, *text, *[SPECIAL] * n_suffix]
        last += [*[SPECIAL] * n_prefix, *(text + draw(st.integers(0, 3))), *[SPECIAL] * n_suffix]
    windows_ = numpy.asarray(lengths) + n_prefix + n_suffix
    ids = numpy.arange(len(first)) + 1
    return Pieces(Wordpieces(windows_, ids, numpy.asarray(first), numpy.asarray(last)), n_prefix, n_suffix)


def cut(values: numpy.ndarray, lengths: numpy.ndarray) -> List[List[int]]:
    """Cut values into those of each window."""
    return [part.tolist() for part in numpy.split(values, numpy.cumsum(lengths)[:-1])]
