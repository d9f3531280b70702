"""Wordpieces to token vectors."""

import numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose
from spacy.tokens import Doc
from thinc.api import NumpyOps

from scripts.compiled_transformer.model import split_by_doc
from scripts.compiled_transformer.pooling import MEAN, Places, TokenVectors

from .strategies import VOCAB


@given(
    n_tokens=st.lists(st.integers(0, 6), min_size=1, max_size=4).filter(any),
    shapes=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 8)), min_size=1, max_size=3),
    data=st.data(),
)
def test_token_vectors_are_means_over_their_wordpieces(n_tokens, shapes, data):
    """Several micro-batches, wordpieces over up to four tokens, special tokens and padding."""
    docs = [Doc(VOCAB, words=["a"] * n) for n in n_tokens]
    nowhere, width = sum(n_tokens), 4
    pooled = TokenVectors(MEAN, nowhere, width)
    vectors_of_tokens = [[] for _ in range(nowhere)]
    floats = st.floats(-8, 8, width=32)
    for shape in shapes:
        first = data.draw(arrays.arrays("int32", shape, elements=st.integers(0, nowhere)))
        steps = data.draw(arrays.arrays("int32", shape, elements=st.integers(0, 3)))
        last = numpy.where(first == nowhere, nowhere, numpy.minimum(first + steps, nowhere - 1)).astype("int32")
        vectors = data.draw(arrays.arrays("float32", (*shape, width), elements=floats))
        index = numpy.arange(first.size).reshape(shape)
        pooled.add(Places(first.ravel(), last.ravel(), None), index, vectors)
        for index in numpy.ndindex(shape):
            for token in range(first[index], last[index] + 1) if first[index] < nowhere else ():
                vectors_of_tokens[token].append(vectors[index])
    expected = [numpy.mean(vectors, axis=0) if vectors else numpy.zeros(width) for vectors in vectors_of_tokens]
    found = split_by_doc(NumpyOps(), docs, pooled.finish())
    assert [len(vectors) for vectors in found] == n_tokens
    assert_allclose(numpy.concatenate(found), expected, atol=1e-5)
    assert all(vectors.dtype == numpy.float32 for vectors in found)
    # One row more is kept alive with the vectors of a single Doc, and nothing with those of several.
    kept = [vectors if vectors.base is None else vectors.base for vectors in found]
    assert sum(map(len, kept)) <= sum(n_tokens) + (len(docs) == 1)
