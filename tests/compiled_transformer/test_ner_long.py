"""`greedy_ner` on entities that go on and on, as in spam: what spaCy finds, in time that grows with the text."""

import time

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from scripts.compiled_transformer.transitions import LONG_ENTITY

from ..helpers import get_entities
from .test_ner import WORDS, make_doc, make_pair

PUSHES = (0.0, 6.0, 30.0)


def make_long_pair(seed: int, push: float):
    """Make recognizers that like to begin an entity and to stay inside."""
    pair = make_pair(seed=seed)
    for nlp in pair:
        ner = nlp.get_pipe("ner")
        lower = ner.model.get_ref("lower")
        bias = lower.get_param("b").copy()
        for number in range(ner.moves.n_moves):
            if ner.moves.get_class_name(number).startswith(("B-", "I-")):
                bias[number] += push
        lower.set_param("b", bias)
    return pair


PAIRS = {(seed, push): make_long_pair(seed, push) for seed in range(3) for push in PUSHES}

# Few words, many times, so that an entity meets the same scores again and again.
runs = st.lists(
    st.tuples(st.sampled_from(WORDS), st.integers(min_value=1, max_value=40), st.booleans()), max_size=8
).map(lambda items: [(word, start and not n) for word, times, start in items for n in range(times)])


@pytest.mark.parametrize("settings", PAIRS)
@given(batch=st.lists(st.tuples(runs, st.booleans()), min_size=1, max_size=4))
def test_long_entities_are_those_of_spacy(settings, batch):
    theirs, ours = PAIRS[settings]
    expected = [get_entities(doc) for doc in theirs.pipe([make_doc(theirs, *item) for item in batch])]
    assert [get_entities(doc) for doc in ours.pipe([make_doc(ours, *item) for item in batch])] == expected


def test_the_weights_above_make_long_entities():
    """So that the test above compares something: long ones that end and begin in the middle of a Doc, and endless ones."""
    lengths = []
    numbers = numpy.random.default_rng(0).integers(len(WORDS), size=300)
    words = [WORDS[number] for number in numbers for _ in range(1 + number)]
    for theirs, ours in PAIRS.values():
        entities = get_entities(theirs(Doc(theirs.vocab, words=words)))
        assert get_entities(ours(Doc(ours.vocab, words=words))) == entities
        lengths.extend(end - start for start, end, _ in entities)
    assert sum(LONG_ENTITY < length < 100 for length in lengths) > 50
    assert max(lengths) > 1000


def test_time_grows_with_the_length_of_an_entity_and_not_with_its_square():
    _, ours = PAIRS[0, PUSHES[-1]]
    words = ["a"] * 16_000
    assert len(ours(Doc(ours.vocab, words=words)).ents) == 1
    short, long_ = (measure(ours, words[:n_words]) for n_words in (4_000, 16_000))
    assert long_ < 8 * short  # 16 times as long if it were the square


def measure(nlp, words):
    """Take the shortest of some times, which other programs disturb least."""
    ner = nlp.get_pipe("ner")
    times = []
    for _ in range(5):
        doc = Doc(nlp.vocab, words=words)
        start = time.perf_counter()
        ner.predict([doc])
        times.append(time.perf_counter() - start)
    return min(times)
