"""`greedy_ner` finds what spaCy's own `ner` finds, with any weights and in any Docs."""

import tracemalloc
from typing import Any, Callable, Dict, List

import numpy
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from spacy.language import Language
from spacy.tokens import Doc, Span

from scripts.compiled_transformer.ner import join_columns as JOIN_COLUMNS
from scripts.compiled_transformer.transitions import Entities

from ..helpers import get_entities

LABELS = ("PER", "LOC", "EVENT")
WORDS = ("Ada", "of", "the", "Oslo", "left", ",", " ", "\n\n", "Battle", "1815", "é", "X" * 50)
TOK2VEC = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "pretrained_vectors": None,
    "width": 16,
    "depth": 1,
    "embed_size": 200,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": False,
}


def make_pipeline(
    factory: str, *, seed: int = 0, pieces: int = 2, use_upper: bool = False, tok2vec: Dict[str, Any] = TOK2VEC
) -> Language:
    """RETURNS (Language): A recognizer with random weights, which sees entities everywhere, long ones too."""
    nlp = spacy.blank("en")
    model = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 8,
        "maxout_pieces": pieces,
        "use_upper": use_upper,
        "nO": None,
        "tok2vec": tok2vec,
    }
    ner = nlp.add_pipe(factory, name="ner", config={"model": model})
    for label in LABELS:
        ner.add_label(label)
    nlp.initialize()
    generator = numpy.random.default_rng(seed)
    for node in ner.model.walk():
        for name in node.param_names:
            if node.has_param(name):
                shape = node.get_param(name).shape
                node.set_param(name, generator.normal(size=shape).astype("float32"))
    return nlp


def make_pair(**settings) -> List[Language]:
    """RETURNS (List[Language]): The same recognizer by spaCy and by `greedy_ner`."""
    return [make_pipeline(factory, **settings) for factory in ("ner", "greedy_ner")]


PAIRS = {(seed, pieces): make_pair(seed=seed, pieces=pieces) for seed in range(3) for pieces in (1, 2, 3)}

sentences = st.lists(st.tuples(st.sampled_from(WORDS), st.booleans()), max_size=30)


def make_doc(nlp: Language, tokens, is_split: bool) -> Doc:
    words = [word for word, _ in tokens]
    return Doc(nlp.vocab, words=words, sent_starts=[start for _, start in tokens] if is_split and words else None)


@pytest.mark.parametrize("settings", PAIRS)
@given(batch=st.lists(st.tuples(sentences, st.booleans()), min_size=1, max_size=6))
def test_entities_are_those_of_spacy(settings, batch):
    """With white space, sentences, empty Docs; each alone as in the batch."""
    theirs, ours = PAIRS[settings]
    expected = [get_entities(doc) for doc in theirs.pipe([make_doc(theirs, *item) for item in batch])]
    assert [get_entities(doc) for doc in ours.pipe([make_doc(ours, *item) for item in batch])] == expected
    assert [get_entities(ours(make_doc(ours, *item))) for item in batch] == expected


def test_the_weights_above_make_every_transition():
    """So that the test above compares something."""
    words = [WORDS[number] for number in numpy.random.default_rng(0).integers(len(WORDS), size=3000)]
    for theirs, ours in PAIRS.values():
        entities = get_entities(theirs(Doc(theirs.vocab, words=words)))
        assert get_entities(ours(Doc(ours.vocab, words=words))) == entities
    lengths = {
        end - start
        for theirs, _ in PAIRS.values()
        for start, end, _ in get_entities(theirs(Doc(theirs.vocab, words=words)))
    }
    assert {1, 2, 3, 4} <= lengths


def test_tokens_outside_are_annotated():
    """`doc.has_annotation` and `token.ent_iob_` are as after spaCy's recognizer."""
    for nlp in make_pair():
        doc = nlp(Doc(nlp.vocab, words=list(WORDS)))
        assert all(token.ent_iob_ in ("B", "I", "O") for token in doc)
        assert any(token.ent_iob_ == "O" for token in doc)


def test_entities_set_before_are_kept():
    words = ["Ada", "of", "Oslo", "left", "the", "Battle", "of", "Oslo", "."]
    found = []
    for nlp in make_pair():
        doc = Doc(nlp.vocab, words=words)
        doc.set_ents([Span(doc, 4, 8, "EVENT")], blocked=[doc[0:1]], default="missing")
        found.append(get_entities(nlp(doc)))
    assert (4, 8, "EVENT") in found[0]
    assert found[0] == found[1]
    assert not any(start == 0 for start, _, _ in found[1])


def test_classes_without_training_are_not_chosen():
    """spaCy gives them the lowest score of all."""
    words = list(WORDS) * 20
    found = []
    for nlp in make_pair():
        ner = nlp.get_pipe("ner")
        names = [ner.moves.get_class_name(number) for number in range(ner.moves.n_moves)]
        ner.model.attrs["unseen_classes"] = {number for number, name in enumerate(names) if name.endswith("-PER")}
        found.append(get_entities(nlp(Doc(nlp.vocab, words=words))))
    assert found[0] == found[1]
    assert {label for _, _, label in found[1]} == {"LOC", "EVENT"}


def test_another_model_is_left_to_spacy():
    words = list(WORDS) * 5
    theirs, ours = make_pair(use_upper=True)
    doc = Doc(ours.vocab, words=words)
    assert not isinstance(ours.get_pipe("ner").predict([doc])[0], Entities)
    assert get_entities(ours(doc)) == get_entities(theirs(Doc(theirs.vocab, words=words)))


@pytest.mark.parametrize("tokens_at_once", [1, 7, 1000])
def test_vectors_of_several_layers_are_joined_in_pieces(monkeypatch, tokens_at_once):
    """Docs shorter and longer than a piece, and empty ones; the same to the last bit."""
    sizes = []

    def join_columns(pieces):
        joint = JOIN_COLUMNS(pieces)
        sizes.append(len(joint))
        return joint

    monkeypatch.setattr("scripts.compiled_transformer.ner.join_columns", join_columns)
    monkeypatch.setattr("scripts.compiled_transformer.ner.TOKENS_AT_ONCE", tokens_at_once)
    tok2vec = {"@layers": "concatenate.v1", "*": {"first": TOK2VEC, "second": {**TOK2VEC, "width": 24}}}
    nlp = make_pipeline("greedy_ner", tok2vec=tok2vec)
    docs = [
        Doc(nlp.vocab, words=list(WORDS[:length]) * repeats) for length, repeats in ((3, 1), (0, 1), (12, 5), (6, 1))
    ]
    ner = nlp.get_pipe("ner")
    expected = ner.model.get_ref("tok2vec").predict(docs)
    assert expected.shape == (69, 8)
    assert_array_equal(ner.get_token_vectors(docs), expected)
    assert sum(sizes) == 69
    assert max(sizes) <= tokens_at_once


def test_vectors_of_a_long_doc_take_less_memory_than_thinc_needs():
    tok2vec = {"@layers": "concatenate.v1", "*": {"first": TOK2VEC, "second": {**TOK2VEC, "width": 24}}}
    nlp = make_pipeline("greedy_ner", tok2vec=tok2vec)
    docs = [Doc(nlp.vocab, words=list(WORDS) * 2000)]
    ner = nlp.get_pipe("ner")
    ours, thincs = ner.get_token_vectors, ner.model.get_ref("tok2vec").predict
    assert measure_peak(lambda: ours(docs)) < 0.7 * measure_peak(lambda: thincs(docs))


def measure_peak(function: Callable[[], Any]) -> int:
    """RETURNS (int): Bytes that were allocated at once while it ran."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_saved_and_loaded(tmp_path):
    nlp = make_pipeline("greedy_ner")
    words = list(WORDS) * 5
    expected = get_entities(nlp(Doc(nlp.vocab, words=words)))
    nlp.to_disk(tmp_path)
    for loaded in (spacy.load(tmp_path), type(nlp).from_config(nlp.config).from_bytes(nlp.to_bytes())):
        assert get_entities(loaded(Doc(loaded.vocab, words=words))) == expected
