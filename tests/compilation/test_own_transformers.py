"""Components with a transformer inside (`Tok2VecTransformer`, `nlp.replace_listeners`) are compiled as if it stood before them."""

from functools import partial

import pytest
import spacy

from scripts import compiled_transformer  # noqa: F401
from scripts.compilation.leftovers import get_leftover_warnings
from scripts.compilation.reference import load_reference

from .. import heads
from ..helpers import compile_reference
from .test_shared_transformers import annotate, change_weights, get_packages


@pytest.mark.parametrize("version", [1, 2, 3])
def test_transformer_inside_a_component(tiny_encoder, tmp_path, version):
    path = tmp_path / "reference"
    heads.make_pipeline(tiny_encoder, path, "tagger", partial(heads.put_inside, version, "last"))
    reference = load_reference(path)
    assert reference.nlp.pipe_names == ["tagger_transformer", "tagger"]
    assert get_leftover_warnings(reference.nlp, reference.transformer.name) == []
    compiled = compile_reference(path, tmp_path)
    expected, _ = annotate(path, heads.TEXTS)
    assert annotate(compiled, heads.TEXTS)[0] == expected
    assert len({tag for tokens, _ in expected for tag, *_ in tokens}) > 1
    assert get_packages(compiled) == ["onnxruntime", "tokenizers"]


def add_ner(config):
    """Put another component beside the tagger, with a listener of its own."""
    listener = config["components"]["tagger"]["model"]["tok2vec"]
    config["components"]["ner"] = {"factory": "ner", "model": heads.make_transitions("ner", listener)}
    config["nlp"]["pipeline"].append("ner")


def test_replaced_listeners(tiny_encoder, tmp_path):
    """Of two transformers with one reader each, the first is compiled, and then the other."""
    nlp = heads.make_pipeline(tiny_encoder, tmp_path / "trained", "tagger", add_ner)
    for name, factor in (("tagger", 0.3), ("ner", 0.9)):
        nlp.replace_listeners("transformer", name, ["model.tok2vec"])
        change_weights(nlp, name, factor)
    nlp.remove_pipe("transformer")
    nlp.to_disk(tmp_path / "reference")
    expected, _ = annotate(tmp_path / "reference", heads.TEXTS)
    assert any(entities for _, entities in expected)
    half = compile_reference(tmp_path / "reference", make_folder(tmp_path / "half"))
    assert annotate(half, heads.TEXTS)[0] == expected
    assert spacy.load(half).pipe_names == ["tagger_transformer", "tagger", "ner_transformer", "ner"]
    assert "spacy-transformers" in get_packages(half)
    whole = compile_reference(half, make_folder(tmp_path / "whole"))
    assert annotate(whole, heads.TEXTS)[0] == expected
    assert get_packages(whole) == ["onnxruntime", "tokenizers"]


def make_folder(path):
    path.mkdir()
    return path


def test_one_that_others_would_read_stays(multi_head_path, tmp_path):
    """Textcat and ner come after it, and read what the last transformer before them has left."""
    nlp = spacy.load(multi_head_path)
    nlp.replace_listeners("transformer", "tagger", ["model.tok2vec"])
    change_weights(nlp, "tagger", 0.3)
    nlp.to_disk(tmp_path / "reference")
    reference = load_reference(tmp_path / "reference")
    assert set(reference.listeners) == {"textcat", "ner"}
    (warning,) = get_leftover_warnings(reference.nlp, "transformer")
    assert "Component 'tagger' in this pipeline has a transformer of its own" in warning
    compiled = compile_reference(tmp_path / "reference", tmp_path)
    assert annotate(compiled)[0] == annotate(tmp_path / "reference")[0]
