"""How well confidence predicts what is right, by hand and on a pipeline."""

import numpy
import pytest
import spacy
from spacy.tokens import Span

from scripts import compiled_transformer  # noqa: F401
from scripts.common.calibration import (
    describe_calibration,
    find_calibrated,
    find_entities,
    get_calibration_error,
    get_chance_error,
    make_reliability,
    measure_calibration,
)

from ..helpers import read_docs


def test_error_by_hand():
    """Fifteen bins, (0, 1/15] to (14/15, 1]: here three of them have entities."""
    confidences = numpy.asarray([0.95, 0.97, 0.99, 1.0, 0.6, 0.6, 1 / 15])
    is_right = numpy.asarray([True, True, True, False, True, False, False])
    rows = make_reliability(confidences, is_right)
    assert [row["entities"] for row in rows] == [1, 2, 4]
    assert [row["accuracy"] for row in rows] == [0, 0.5, 0.75]
    expected = (4 * abs(0.75 - 0.9775) + 2 * abs(0.5 - 0.6) + 1 * (1 / 15)) / 7
    assert get_calibration_error(rows) == pytest.approx(expected)
    assert get_calibration_error([]) == 0


def test_error_by_chance_shrinks_with_more_entities():
    """What a simulation of exact confidences gives, in which each entity is right as often as is said."""
    generator = numpy.random.default_rng(1)
    confidences = generator.random(5000)
    errors = [
        get_calibration_error(make_reliability(confidences, generator.random(5000) < confidences)) for _ in range(20)
    ]
    assert get_chance_error(confidences) == pytest.approx(numpy.mean(errors), rel=0.2)
    assert get_chance_error(confidences[:200]) > 3 * get_chance_error(confidences)
    assert get_chance_error(numpy.ones(50)) == 0


def test_entities_where_gold_says_nothing_are_left_out(compiled_path, dev_corpus):
    nlp = spacy.load(compiled_path)
    name = find_calibrated(nlp)
    gold = read_docs(dev_corpus)
    found = find_entities(nlp, name, gold)
    assert found.is_right.all() and len(found.is_right) == sum(len(doc.ents) for doc in gold) > 20
    for doc in gold[:6]:
        doc.set_ents([], missing=[doc[:]], default="outside")
    gold[6].ents = [Span(gold[6], ent.start, ent.end, "OTHER") for ent in gold[6].ents]
    found = find_entities(nlp, name, gold)
    assert len(found.is_right) == sum(len(doc.ents) for doc in gold[6:])
    assert (~found.is_right).sum() == len(gold[6].ents)
    assert not nlp.get_pipe(name).scores


def test_confidences_are_those_that_users_see(compiled_path, dev_corpus):
    """With the temperature of the pipeline, and without."""
    nlp = spacy.load(compiled_path, config={"components.ner.scores": True})
    gold = read_docs(dev_corpus)
    for temperature in (1.0, 3.0):
        nlp.get_pipe("ner").cfg["temperature"] = temperature
        found = find_entities(nlp, "ner", gold)
        docs = nlp.pipe(doc.text for doc in gold)
        scores = [score for doc in docs for score in doc.spans["ner"].attrs["scores"]]
        numpy.testing.assert_allclose(found.get_confidences(temperature), scores, atol=1e-3)
        described = describe_calibration(found, temperature)
        assert (described["ece_before"] == described["ece_after"]) == (temperature == 1.0)


def test_pipelines_without_confidence_are_not_measured(reference_path, dev_corpus):
    assert measure_calibration(spacy.load(reference_path), read_docs(dev_corpus)) is None
