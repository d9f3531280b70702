"""Pipelines with slow tokenizers: converted where the wordpieces stay the same, else refused."""

import pytest
import spacy
import transformers
from numpy.testing import assert_allclose

from scripts import compiled_transformer  # noqa: F401
from scripts.common.console import UserError
from scripts.compilation.candidates import Workbench
from scripts.compilation.fast_tokenizers import check_ids
from scripts.compilation.reference import load_reference
from scripts.compilation.vector_check import check_vectors

from .. import encoders, helpers, other_encoders

WINDOWS = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 64, "stride": 48}


def make_reference(encoder, folder):
    config = encoders.make_config(encoder, **WINDOWS)
    config["components"]["transformer"]["model"]["tokenizer_config"] = {"use_fast": False}
    encoders.initialize(config).to_disk(folder)
    return folder


@pytest.fixture(scope="module")
def slow_path(tiny_encoder, tmp_path_factory):
    """A pipeline with BERT's slow tokenizer."""
    return make_reference(tiny_encoder, tmp_path_factory.mktemp("slow") / "reference")


@pytest.mark.slow
def test_slow_tokenizer_is_converted(slow_path, dev_corpus, tmp_path):
    reference = load_reference(slow_path)
    assert not reference.transformer.model.tokenizer.is_fast
    docs = helpers.read_docs(dev_corpus)
    assert check_vectors(Workbench(reference, docs, [], 0.0, tmp_path), docs) < 1e-5
    nlp = spacy.load(helpers.compile_reference(slow_path, tmp_path))
    trained = spacy.load(slow_path)
    for doc in docs:
        found, expected = (pipeline(helpers.bare(doc, pipeline.vocab)) for pipeline in (nlp, trained))
        layer = next(node for node in trained.get_pipe("ner").model.walk() if node.has_ref("listener"))
        assert_allclose(found.tensor, layer.predict([expected])[0], atol=1e-4)
        assert helpers.get_entities(found) == helpers.get_entities(expected)


def test_other_wordpieces_are_refused(slow_path):
    """A text with a special token that the converted one doesn't know."""
    reference = load_reference(slow_path)
    other = transformers.PreTrainedTokenizerFast(tokenizer_object=reference.tokenizer.backend_tokenizer)
    other.add_tokens(["Norway"])
    trained = reference.transformer.model.tokenizer
    check_ids(trained, other, ["a river"], slow_path)
    with pytest.raises(UserError, match="no fast tokenizer, whose offsets"):
        check_ids(trained, other, ["a river in Norway"], slow_path)


def test_tokenizer_of_no_fast_kind_is_refused(tiny_encoder, tmp_path):
    """As GiNZA's is: words come from a Japanese analyser."""
    other_encoders.save_japanese_encoder(tiny_encoder, tmp_path / "encoder")
    path = make_reference(tmp_path / "encoder", tmp_path / "reference")
    with pytest.raises(UserError, match=f"The encoder of {path} has no fast tokenizer.*use_fast"):
        load_reference(path)
