"""Listeners that pool wordpieces otherwise than by their mean, or each in its own way, are compiled."""

import numpy
import pytest
import spacy
from numpy.testing import assert_allclose

from scripts import compiled_transformer  # noqa: F401

from .. import encoders, helpers

WINDOWS = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 12, "stride": 8}
TEXTS = ["I cannot say who met Karl in Bergen , or whether they're gonna leave it", "Snow .", "Ada " * 60]


def make_listener(pooling):
    return {**encoders.LISTENER, "pooling": {"@layers": f"reduce_{pooling}.v1"}}


def make_reference(encoder, folder, ner, tagger):
    config = encoders.make_config(encoder, **WINDOWS)
    config["components"]["ner"]["model"]["tok2vec"] = make_listener(ner)
    model = {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": make_listener(tagger)}
    config["components"]["tagger"] = {"factory": "tagger", "model": model}
    config["nlp"]["pipeline"].append("tagger")
    encoders.initialize(config).to_disk(folder)
    return folder


@pytest.mark.parametrize(
    "ner, tagger, n_poolings",
    [
        ("first", "last", 2),
        pytest.param("max", "max", 1, marks=pytest.mark.slow),
        pytest.param("sum", "mean", 2, marks=pytest.mark.slow),
    ],
)
def test_each_listener_reads_its_own_pooling(ner, tagger, n_poolings, tiny_encoder, tmp_path, monkeypatch):
    reference_path = make_reference(tiny_encoder, tmp_path / "reference", ner, tagger)
    (tmp_path / "compiled").mkdir()
    nlp = spacy.load(helpers.compile_reference(reference_path, tmp_path / "compiled"))
    reference = spacy.load(reference_path)
    docs, expected = list(nlp.pipe(TEXTS)), list(reference.pipe(TEXTS))
    width = reference.get_pipe("transformer").model.get_dim("nO")
    for doc, expected_doc in zip(docs, expected):
        assert doc.tensor.shape == (len(doc), n_poolings * width)
        assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
        assert [token.tag_ for token in doc] == [token.tag_ for token in expected_doc]
        for component in ("ner", "tagger"):
            layer = next(node for node in reference.get_pipe(component).model.walk() if node.has_ref("listener"))
            found = read(nlp.get_pipe(component), n_poolings, doc)
            assert_allclose(found, layer.predict([expected_doc])[0], atol=1e-4, rtol=0)
    # A few windows at a time, as very long Docs are encoded.
    monkeypatch.setattr("scripts.compiled_transformer.model.WINDOWS_AT_ONCE", 3)
    streamed = list(nlp.get_pipe("transformer").stream(docs[2]))
    assert len(streamed) > 2
    assert_allclose(numpy.concatenate(streamed), docs[2].tensor, atol=1e-5)
    assert_allclose(nlp.get_pipe("transformer").predict([docs[2]])[0], docs[2].tensor, atol=1e-5)


def read(component, n_poolings, doc):
    """RETURNS (Floats2d): What a component of the compiled pipeline reads of a Doc."""
    nodes = list(component.model.walk())
    if n_poolings == 1:
        return next(node for node in nodes if node.name == "tok2vec-listener").predict([doc])[0]
    layer = next(node for node in nodes if [inner.name for inner in node.layers] == ["tok2vec-listener", "columns"])
    return layer.predict([doc])[0]


@pytest.mark.slow
def test_compiled_pipeline_is_saved_with_its_poolings(tiny_encoder, tmp_path):
    reference_path = make_reference(tiny_encoder, tmp_path / "reference", "max", "first")
    (tmp_path / "compiled").mkdir()
    nlp = spacy.load(helpers.compile_reference(reference_path, tmp_path / "compiled"))
    nlp.to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved")
    again.from_bytes(nlp.to_bytes())
    for doc, other in zip(nlp.pipe(TEXTS), again.pipe(TEXTS)):
        assert [token.tag_ for token in doc] == [token.tag_ for token in other]
        assert (doc.tensor == other.tensor).all()
