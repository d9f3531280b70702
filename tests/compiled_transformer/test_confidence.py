"""The confidence of entities: what spaCy's own transitions give, and where it goes."""

import multiprocessing
import pickle

import numpy
import pytest
import spacy
from numpy.testing import assert_allclose, assert_array_equal
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_model_from_config

from scripts.compiled_transformer.confidence import read_scores

from ..helpers import get_entities
from .test_ner import WORDS, make_pipeline

WORDS_OF_DOC = [WORDS[number] for number in numpy.random.default_rng(0).integers(len(WORDS), size=200)]


@pytest.fixture(scope="module", params=[(0, 2), (1, 3)], ids=str)
def nlp(request):
    """A recognizer with random weights that scores its entities."""
    seed, pieces = request.param
    nlp = make_pipeline("greedy_ner", seed=seed, pieces=pieces)
    nlp.get_pipe("ner").scores = True
    return nlp


def make_doc(nlp, *, preset=False):
    doc = Doc(nlp.vocab, words=WORDS_OF_DOC, sent_starts=[number % 9 == 0 for number in range(len(WORDS_OF_DOC))])
    if preset:
        doc.set_ents([Span(doc, 14, 17, "EVENT")], blocked=[doc[:2], doc[50:52]], default="missing")
    return doc


def follow_transitions(nlp, doc, temperature=1.0):
    """Make spaCy's transitions one by one.

    RETURNS (Dict[Tuple[int, int, str], float]): The product of the probabilities of those that made each entity.
    """
    ner = nlp.get_pipe("ner")
    names = [ner.moves.get_class_name(number) for number in range(ner.moves.n_moves)]
    state, model = ner.moves.init_batch([doc])[0], ner.model.predict([doc])
    found, start, probability = {}, 0, 1.0
    while not state.is_final():
        token = state.B(0)
        valid = [ner.moves.is_valid(state, name) for name in names]
        scores = numpy.where(valid, model.predict([state])[0].astype("float64") / temperature, -numpy.inf)
        exponents = numpy.exp(scores - scores.max())
        best = int(scores.argmax())
        name = names[best]
        if name[0] in "BU":
            start, probability = token, 1.0
        probability *= exponents[best] / exponents.sum()
        if name[0] in "LU" and name != "U-":
            found[start, token + 1, name[2:]] = probability
        ner.moves.apply_transition(state, name)
    return found


def get_scores(doc):
    return {(span.start, span.end, span.label_): score for span, score in zip(doc.spans["ner"], read_group(doc))}


def read_group(doc):
    """RETURNS (List[float]): As a user reads them, who has nothing but spaCy."""
    return list(doc.spans["ner"].attrs["scores"])


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("preset", [False, True])
def test_scores_are_the_product_of_the_transitions_probabilities(nlp, monkeypatch, temperature, preset):
    """Also beside entities that were set before, which are not scored: the recognizer did not find them."""
    monkeypatch.setitem(nlp.get_pipe("ner").cfg, "temperature", temperature)
    expected = follow_transitions(nlp, make_doc(nlp, preset=preset), temperature)
    if preset:
        del expected[14, 17, "EVENT"]
    scores = get_scores(nlp(make_doc(nlp, preset=preset)))
    assert scores.keys() == expected.keys()
    assert len(scores) > 10 and max(end - start for start, end, _ in scores) > 2
    assert_allclose([scores[entity] for entity in expected], list(expected.values()), atol=1e-6)


def test_classes_without_training_have_no_share():
    nlp = make_pipeline("greedy_ner")
    ner = nlp.get_pipe("ner")
    ner.scores = True
    ner.model.attrs["unseen_classes"] = {
        number for number in range(ner.moves.n_moves) if ner.moves.get_class_name(number).endswith("-PER")
    }
    expected = follow_transitions(nlp, make_doc(nlp))
    assert_allclose(list(get_scores(nlp(make_doc(nlp))).values()), list(expected.values()), atol=1e-6)


def test_entities_are_the_same_with_and_without(nlp):
    ner = nlp.get_pipe("ner")
    scored = nlp(make_doc(nlp))
    ner.scores = False
    try:
        plain = nlp(make_doc(nlp))
    finally:
        ner.scores = True
    assert get_entities(scored) == get_entities(plain) == get_entities_of_group(scored)
    assert not plain.spans and read_scores(plain) == [None] * len(plain.ents)
    assert read_scores(scored) == [round(float(score), 4) for score in read_group(scored)]


def get_entities_of_group(doc):
    return [(span.start, span.end, span.label_) for span in doc.spans["ner"]]


def test_scores_are_the_same_alone_and_in_a_batch(nlp):
    """With empty Docs, and those without any entity, whose group is empty."""
    docs = [Doc(nlp.vocab), Doc(nlp.vocab, words=[" "]), make_doc(nlp)]
    alone = [get_scores(nlp(doc.copy())) for doc in docs]
    batch = [get_scores(doc) for doc in nlp.pipe(doc.copy() for doc in docs)]
    assert batch[:2] == alone[:2] == [{}, {}]
    assert batch[2] == alone[2]
    assert [get_scores(doc) for doc in nlp.pipe(doc.copy() for doc in docs[:2])] == [{}, {}]


def test_two_recognizers_share_the_group():
    """The second one looks at what the first one left."""
    nlp, other = make_pipeline("greedy_ner", seed=0), make_pipeline("greedy_ner", seed=1)
    nlp.add_pipe("ner", name="second", source=other)
    for name in ("ner", "second"):
        nlp.get_pipe(name).scores = True
    doc = nlp(make_doc(nlp))
    with nlp.select_pipes(disable="second"):
        first = nlp(make_doc(nlp))
    assert len(doc.ents) > len(first.ents)
    assert sorted(get_entities_of_group(doc)) == get_entities(doc)
    scores = get_scores(doc)
    assert {entity: scores[entity] for entity in get_entities(first)} == get_scores(first)
    assert None not in read_scores(doc)


def test_an_entity_that_another_component_set_has_no_score(nlp):
    doc = nlp(make_doc(nlp))
    first = doc.ents[0]
    doc.ents = [Span(doc, first.start, first.end, "OTHER"), *doc.ents[1:]]
    assert read_scores(doc) == [None, *[round(float(score), 4) for score in read_group(doc)[1:]]]
    again = nlp(doc)
    assert len(again.spans["ner"]) == len(doc.ents)


def test_scores_survive(nlp):
    """A DocBin without user data, bytes and pickles."""
    doc = nlp(make_doc(nlp))
    packed = DocBin(docs=[doc]).to_bytes()
    copies = [
        next(DocBin().from_bytes(packed).get_docs(spacy.blank("en").vocab)),
        Doc(nlp.vocab).from_bytes(doc.to_bytes()),
        pickle.loads(pickle.dumps(doc)),
        doc.copy(),
    ]
    for copy in copies:
        assert_array_equal(read_group(copy), read_group(doc))
        assert get_entities_of_group(copy) == get_entities(doc)


def test_setting_and_temperature_survive(nlp, tmp_path):
    """On disk, in bytes, and in a pickled component."""
    nlp = load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())
    ner = nlp.get_pipe("ner")
    ner.cfg["temperature"] = 3.0
    nlp.to_disk(tmp_path)
    settings, again = {"components.ner.scores": True}, tmp_path / "again"
    spacy.load(tmp_path, config=settings).to_disk(again)
    for loaded in (
        spacy.load(tmp_path, config=settings).get_pipe("ner"),
        spacy.load(spacy.load(tmp_path, config=settings).to_disk(tmp_path / "again") or tmp_path / "again").get_pipe(
            "ner"
        ),
        load_model_from_config(spacy.load(again).config).from_bytes(nlp.to_bytes()).get_pipe("ner"),
        pickle.loads(pickle.dumps(spacy.load(again).get_pipe("ner"))),
    ):
        assert (loaded.scores, loaded.temperature) == (True, 3.0)
    assert not spacy.load(tmp_path).get_pipe("ner").scores


def test_models_without_scores_are_refused():
    nlp = make_pipeline("greedy_ner", use_upper=True)
    nlp.get_pipe("ner").scores = True
    with pytest.raises(ValueError, match="'ner' can't say how sure it is .*use_upper = false"):
        nlp(make_doc(nlp))


def test_spacy_s_own_recognizer_has_no_such_setting(reference_path):
    with pytest.raises(Exception, match="scores"):
        spacy.load(reference_path, config={"components.ner.scores": True})


@pytest.mark.slow
def test_two_processes(compiled_path, texts, monkeypatch):
    """Processes that are spawned import and unpickle everything anew."""
    nlp = spacy.load(compiled_path, config={"components.ner.scores": True, "components.transformer.threads": 1})
    expected = [read_group(doc) for doc in nlp.pipe(texts)]
    assert sum(map(len, expected)) > 50
    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr("spacy.language.mp", context)
    found = [read_group(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=4)]
    for scores, expected_scores in zip(found, expected, strict=True):
        assert_allclose(scores, expected_scores, atol=1e-4)
