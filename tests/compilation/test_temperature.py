"""The temperature that is fitted on dev, and where it is kept."""

import shutil

import numpy
import pytest
import spacy

from scripts import compiled_transformer  # noqa: F401
from scripts.common.calibration import Found
from scripts.compilation.temperature import calibrate, fit_temperature
from scripts.compiled_transformer.confidence import Evidence

from ..helpers import get_entities, read_docs


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_temperature_is_found_again(temperature):
    """Entities that are right as often as scores say which were divided by it."""
    generator = numpy.random.default_rng(0)
    first = generator.normal(scale=4, size=(20_000, 7))
    evidence = Evidence(first, first.argmax(axis=1), numpy.zeros(0), numpy.zeros(0, dtype="int64"))
    is_right = generator.random(len(first)) < evidence.get_probabilities(temperature)
    assert fit_temperature(Found([evidence], is_right)) == pytest.approx(temperature, rel=0.05)


@pytest.fixture
def gold(dev_corpus, tmp_path):
    """Annotations that lack each third entity: a third of what the pipeline finds is wrong."""
    docs = read_docs(dev_corpus)
    for doc in docs:
        doc.ents = [ent for number, ent in enumerate(doc.ents) if number % 3]
    return docs


def test_calibrated_pipeline(compiled_path, gold, tmp_path):
    """It is less sure of itself, finds the same, and keeps it when it is saved as bytes."""
    folder = shutil.copytree(compiled_path, tmp_path / "compiled")
    result = calibrate(folder, gold)
    assert result["temperature"] > 1.5
    assert result["ece_after"] < result["ece_before"]
    settings = {"components.ner.scores": True}
    before, after = (spacy.load(path, config=settings) for path in (compiled_path, folder))
    assert after.get_pipe("ner").temperature == result["temperature"]
    copy = spacy.util.load_model_from_config(after.config).from_bytes(after.to_bytes())
    texts = [doc.text for doc in gold]
    for doc, calibrated, copied in zip(before.pipe(texts), after.pipe(texts), copy.pipe(texts)):
        assert get_entities(calibrated) == get_entities(doc)
        scores = calibrated.spans["ner"].attrs["scores"]
        assert (scores <= doc.spans["ner"].attrs["scores"]).all()
        numpy.testing.assert_allclose(copied.spans["ner"].attrs["scores"], scores, atol=1e-4)


def test_too_few_wrong_entities_change_nothing(compiled_path, dev_corpus, tmp_path):
    folder = shutil.copytree(compiled_path, tmp_path / "compiled")
    assert calibrate(folder, read_docs(dev_corpus)) is None
    assert calibrate(folder, []) is None
    assert (folder / "ner" / "cfg").read_bytes() == (compiled_path / "ner" / "cfg").read_bytes()


def test_pipeline_that_gives_no_confidence(reference_path, gold, tmp_path):
    folder = shutil.copytree(reference_path, tmp_path / "reference")
    assert calibrate(folder, gold) is None
