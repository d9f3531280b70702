"""The ways in which listeners pool wordpieces."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from thinc.api import Ragged, reduce_first, reduce_last, reduce_max, reduce_mean, reduce_sum

from scripts.compiled_transformer.pooling import POOLINGS, TokenVectors
from scripts.compiled_transformer.wordpieces import Wordpieces

LAYERS = {"mean": reduce_mean, "sum": reduce_sum, "max": reduce_max, "first": reduce_first, "last": reduce_last}
WIDTH = 3


@st.composite
def windows_of_wordpieces(draw):
    """Windows over consecutive tokens that overlap, each with wordpieces of one or two tokens, and special ones around."""
    n_tokens = draw(st.integers(1, 8))
    window = draw(st.integers(1, n_tokens))
    stride = draw(st.integers(max(1, window // 2), window))
    owners = []
    for start in range(0, n_tokens, stride):
        end = min(start + window, n_tokens)
        owners.append([(-1, -1)])
        for token in range(start, end):
            reaches = token + 1 < end and draw(st.booleans())
            owners[-1] += [(token, token)] * draw(st.integers(0 if reaches else 1, 2))
            owners[-1] += [(token, token + 1)] * reaches
        owners[-1].append((-1, -1))
        if end == n_tokens:
            break
    return n_tokens, owners


def make_wordpieces(windows):
    first, last = numpy.asarray([owner for window in windows for owner in window]).T
    return Wordpieces(numpy.asarray([len(window) for window in windows]), numpy.zeros_like(first), first, last)


@pytest.mark.parametrize("pooling", POOLINGS)
@given(made=windows_of_wordpieces(), group=st.integers(1, 3), data=st.data())
def test_vectors_are_those_of_thinc(pooling, made, group, data):
    """Group by group of windows, each in batches in any order, as the original pools all of them at once."""
    n_tokens, windows = made
    random = numpy.random.default_rng(0)
    of_tokens = [[] for _ in range(n_tokens)]
    pooled = TokenVectors(pooling, n_tokens, WIDTH)
    for start in range(0, len(windows), group):
        wordpieces = make_wordpieces(windows[start : start + group])
        vectors = random.normal(size=(len(wordpieces.ids), WIDTH)).astype("float32")
        for vector, first, last in zip(vectors, wordpieces.first, wordpieces.last):
            for token in range(first, last + 1) if first >= 0 else ():
                of_tokens[token].append(vector)
        places = pooled.find_places(wordpieces)
        for number in data.draw(st.permutations(range(len(vectors)))):
            pooled.add(places, numpy.asarray([[number, -1]]), numpy.stack([vectors[number], vectors[0]])[None])
    ragged = Ragged(numpy.concatenate(of_tokens), numpy.asarray([len(rows) for rows in of_tokens], dtype="int32"))
    assert_allclose(pooled.finish()[:-1], LAYERS[pooling]().predict(ragged), atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_token_without_wordpieces_has_zeros(pooling):
    pooled = TokenVectors(pooling, 2, WIDTH)
    places = pooled.find_places(make_wordpieces([[(-1, -1), (1, 1)]]))
    pooled.add(places, numpy.asarray([[0, 1]]), numpy.full((1, 2, WIDTH), -2, dtype="float32"))
    assert pooled.finish()[:2].tolist() == [[0] * WIDTH, [-2] * WIDTH]
