"""The recognizer of the project's own config: what the shapes of tokens add to its scores is remembered."""

import pickle
import threading

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam

from scripts.compiled_transformer import token_shapes
from scripts.compiled_transformer.token_shapes import FoldedFeatures, find_layers

from ..helpers import get_entities
from .test_ner import TOK2VEC, WORDS, make_pair, make_pipeline

SHAPES = {
    "@architectures": "spacy.Tok2Vec.v2",
    "embed": {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": 8,
        "attrs": ["SHAPE"],
        "rows": [100],
        "include_static_vectors": False,
    },
    "encode": {
        "@architectures": "spacy.MaxoutWindowEncoder.v2",
        "width": 8,
        "window_size": 1,
        "maxout_pieces": 2,
        "depth": 1,
    },
}
JOINT = {"@layers": "concatenate.v1", "*": {"transformer": TOK2VEC, "shape": SHAPES}}
ORIGINAL, GREEDY = make_pair(tok2vec=JOINT)
MORE_WORDS = (*WORDS, "McDonald", "3.5", "#5", "ÀÉ")

batches = st.lists(st.lists(st.sampled_from(MORE_WORDS), max_size=20), min_size=1, max_size=6)


def make_docs(nlp, batch):
    return [Doc(nlp.vocab, words=words) for words in batch]


def compute_both(ner, docs):
    """RETURNS (Tuple[Floats4d, Floats4d]): The features of the layers one after the other, and the folded ones."""
    prepared = ner.prepare()
    return ner.get_features(docs, prepared._replace(folded=None)), ner.get_features(docs, prepared)


@given(batches)
def test_features_and_entities_are_those_of_the_layers(batch):
    ner = GREEDY.get_pipe("ner")
    assert ner.prepare().folded is not None
    if any(batch):
        expected, found = compute_both(ner, make_docs(GREEDY, batch))
        assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())
    docs = [ORIGINAL.get_pipe("ner")(doc) for doc in make_docs(ORIGINAL, batch)]
    for doc, expected_doc in zip(ner.pipe(make_docs(GREEDY, batch)), docs):
        assert get_entities(doc) == get_entities(expected_doc)


@pytest.mark.parametrize(
    "change",
    [
        lambda shapes: shapes["encode"].update(depth=2),
        lambda shapes: shapes["encode"].update(window_size=2),
        lambda shapes: shapes["embed"].update(attrs=["NORM"]),
        lambda shapes: shapes["embed"].update(attrs=["SHAPE", "NORM"], rows=[100, 100]),
    ],
    ids=["two layers", "a wider window", "words", "words too"],
)
def test_layers_that_see_more_than_shapes_and_neighbours_run_as_they_are(change):
    shapes = {"@architectures": SHAPES["@architectures"], "embed": {**SHAPES["embed"]}, "encode": {**SHAPES["encode"]}}
    change(shapes)
    nlp = make_pipeline("greedy_ner", tok2vec={**JOINT, "*": {"transformer": TOK2VEC, "shape": shapes}})
    assert nlp.get_pipe("ner").prepare().folded is None
    assert make_pipeline("greedy_ner").get_pipe("ner").prepare().folded is None


def test_features_follow_the_weights():
    """While it is trained, with averaged weights, and when other ones are loaded."""
    nlp = make_pipeline("greedy_ner", tok2vec=JOINT, seed=3)
    ner = nlp.get_pipe("ner")
    docs = make_docs(nlp, [WORDS, WORDS[::-1]])
    _, before = compute_both(ner, docs)
    old = ner.to_bytes()
    gold = Doc(nlp.vocab, words=WORDS, ents=["B-PER", *["O"] * (len(WORDS) - 1)])
    ner.update([Example(docs[0].copy(), gold)], sgd=Adam(0.1))
    expected, found = compute_both(ner, docs)
    assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())
    assert abs(found - before).max() > 1e-2
    ner.from_bytes(old)
    assert_allclose(compute_both(ner, docs)[1], before, rtol=0, atol=1e-6 * abs(before).max())


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(token_shapes, "MOST_REMEMBERED", 5)
    monkeypatch.setattr(token_shapes, "TOKENS_AT_ONCE", 3)
    nlp = make_pipeline("greedy_ner", tok2vec=JOINT)
    ner = nlp.get_pipe("ner")
    for _ in range(2):
        for start in range(6):
            expected, found = compute_both(ner, make_docs(nlp, [WORDS[start:], WORDS[:start]]))
            assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())
    assert len(ner.prepare().folded._known) <= 5 + 3


def test_threads_share_what_is_remembered(monkeypatch):
    monkeypatch.setattr(token_shapes, "MOST_REMEMBERED", 10)
    nlp = make_pipeline("greedy_ner", tok2vec=JOINT)
    ner = nlp.get_pipe("ner")
    generator = numpy.random.default_rng(0)
    batches = [make_docs(nlp, [generator.choice(WORDS, 15).tolist()]) for _ in range(60)]
    expected = [compute_both(ner, docs)[0] for docs in batches]
    folded = FoldedFeatures(find_layers(ner.model.get_ref("tok2vec")), ner.model.get_ref("lower"))
    found = {}

    def run(number):
        for place in range(number, len(batches), 4):
            found[place] = folded(batches[place])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, features in enumerate(expected):
        assert_allclose(found[place], features, rtol=0, atol=1e-5 * abs(features).max())


def test_nothing_remembered_is_pickled():
    ner = GREEDY.get_pipe("ner")
    expected = get_entities(ner(make_docs(GREEDY, [WORDS])[0]))
    copy = pickle.loads(pickle.dumps(ner))
    assert ner.prepare().folded._known and not copy.prepare().folded._known
    assert get_entities(copy(make_docs(GREEDY, [WORDS])[0])) == expected
