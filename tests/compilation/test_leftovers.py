"""What of a trained pipeline is not compiled is said, and what it needs is required."""

import importlib.util
import sys

import pytest
import spacy
import srsly

from scripts import compiled_transformer  # noqa: F401
from scripts.compilation.leftovers import find_readers, get_leftover_warnings
from scripts.optimize import optimize_cli

from ..helpers import compile_reference, run_command
from .searches import SAFE, make_quick

TEXT = "Ada met Karl in Bergen ."
READER = """
from spacy.language import Language

@Language.component("tests_reads_wordpieces")
def read_wordpieces(doc):
    doc.user_data["wordpieces"] = len(doc._.trf_data.wordpieces.input_ids)
    return doc
"""


@pytest.fixture(scope="module")
def replaced_path(multi_head_path, tmp_path_factory):
    """A pipeline whose tagger got a transformer of its own."""
    nlp = spacy.load(multi_head_path)
    nlp.replace_listeners("transformer", "tagger", ["model.tok2vec"])
    folder = tmp_path_factory.mktemp("replaced") / "pipeline"
    nlp.to_disk(folder)
    return folder


def test_requirement_of_a_transformer_of_its_own(replaced_path, tmp_path):
    compiled_path = compile_reference(replaced_path, tmp_path)
    requirements = srsly.read_json(compiled_path / "meta.json")["requirements"]
    assert [name for name in requirements if name.startswith("spacy-transformers==")]
    assert [name for name in requirements if name.startswith("onnxruntime==")]
    compiled, trained = spacy.load(compiled_path), spacy.load(replaced_path)
    assert [token.tag_ for token in compiled(TEXT)] == [token.tag_ for token in trained(TEXT)]


def test_pipeline_without_any_requires_the_engine_alone(compiled_path):
    requirements = srsly.read_json(compiled_path / "meta.json")["requirements"]
    assert [name.partition("=")[0].rstrip(">") for name in requirements] == ["onnxruntime", "tokenizers"]


@pytest.mark.slow
def test_optimize_warns(replaced_path, train_corpus, tmp_path, monkeypatch):
    make_quick(monkeypatch, [SAFE])
    result = run_command(optimize_cli, replaced_path, tmp_path / "compiled", "--text", train_corpus)
    assert result.exit_code == 0, result.output
    assert "Component 'tagger' in this pipeline has a transformer of its own" in " ".join(result.stdout.split())
    warnings = srsly.read_json(tmp_path / "compiled-metrics" / "optimize.json")["warnings"]
    assert any("Compile the pipeline as it was before" in warning for warning in warnings)


def test_readers_of_the_transformers_data_are_named(multi_head_path, tmp_path):
    (tmp_path / "tests_reader.py").write_text(READER)
    spec = importlib.util.spec_from_file_location("tests_reader", tmp_path / "tests_reader.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    try:
        nlp = spacy.load(multi_head_path)
        assert find_readers(nlp) == [] == get_leftover_warnings(nlp, "transformer")
        nlp.add_pipe("tests_reads_wordpieces", name="reader")
        assert find_readers(nlp) == ["reader"]
        (warning,) = get_leftover_warnings(nlp, "transformer")
        assert "'reader' may read `doc._.trf_data`" in warning
    finally:
        del sys.modules[spec.name]


@spacy.registry.annotation_setters("tests.keep_nothing.v1")
def configure_setter():
    return lambda docs, batch: None


def test_annotation_setter_is_named(multi_head_path):
    setter = {"@annotation_setters": "tests.keep_nothing.v1"}
    nlp = spacy.load(multi_head_path, config={"components.transformer.set_extra_annotations": setter})
    (warning,) = get_leftover_warnings(nlp, "transformer")
    assert "'tests.keep_nothing.v1'" in warning
