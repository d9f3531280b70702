"""Of several transformers, the one that most components read is compiled, and the others go on as they were."""

import pytest
import spacy
import srsly
import torch

from scripts import compiled_transformer  # noqa: F401
from scripts.common.console import UserError
from scripts.compilation.leftovers import get_leftover_warnings
from scripts.compilation.reference import load_reference

from .. import curated
from ..helpers import MULTI_HEAD_EXAMPLES, compile_reference, get_entities

TEXTS = [text for text, *_ in MULTI_HEAD_EXAMPLES]


def change_weights(nlp, transformer, factor):
    """Make a transformer another one than that of its source."""
    for node in nlp.get_pipe(transformer).model.walk():
        for shim in node.shims:
            with torch.no_grad():
                for parameter in shim._model.parameters():
                    parameter.mul_(factor)


def add_second(path, folder, before):
    """Put another transformer into a pipeline, and save it.

    before (str): The component that it stands before.
    """
    nlp = spacy.load(path)
    nlp.add_pipe("transformer", source=spacy.load(path), name="second", before=before)
    change_weights(nlp, "second", 0.3)
    nlp.to_disk(folder)
    return folder


def annotate(path, texts=TEXTS):
    nlp = spacy.load(path)
    docs = list(nlp.pipe(texts))
    return [([(t.tag_, t.morph, t.dep_, t.head.i) for t in doc], get_entities(doc)) for doc in docs], docs


def get_packages(path):
    requirements = srsly.read_json(path / "meta.json")["requirements"]
    return sorted(name.partition("=")[0].rstrip(">") for name in requirements)


@pytest.fixture(scope="module")
def two_path(multi_head_path, tmp_path_factory):
    """The tagger reads "transformer"; textcat and ner read "second"."""
    return add_second(multi_head_path, tmp_path_factory.mktemp("two") / "pipeline", "textcat")


@pytest.fixture(scope="module")
def half_path(two_path, tmp_path_factory):
    return compile_reference(two_path, tmp_path_factory.mktemp("half"))


def test_the_one_that_most_read_is_compiled(two_path, half_path, multi_head_path):
    reference = load_reference(two_path)
    assert reference.transformer.name == "second" and set(reference.listeners) == {"textcat", "ner"}
    nlp = spacy.load(half_path)
    assert [nlp.get_pipe_meta(name).factory for name in ("transformer", "second")] == [
        "transformer",
        "compiled_transformer",
    ]
    (expected, trained), (found, docs) = annotate(two_path), annotate(half_path)
    assert found == expected
    for doc, other in zip(trained, docs):
        assert other.cats == pytest.approx(doc.cats, abs=1e-4)
    # The two transformers differ, so that it would show if a component read the wrong one.
    assert any(a.cats != pytest.approx(b.cats, abs=1e-2) for a, b in zip(trained, annotate(multi_head_path)[1]))
    assert get_packages(half_path) == ["onnxruntime", "spacy-transformers", "tokenizers"]


def test_the_other_is_warned_of(two_path):
    (warning,) = get_leftover_warnings(spacy.load(two_path), "second")
    assert "'transformer', which 'tagger' reads, stays as slow as it is" in warning
    assert "Run `optimize` again" in warning


def test_a_second_search_compiles_the_other(two_path, half_path, tmp_path):
    path = compile_reference(half_path, tmp_path)
    assert get_packages(path) == ["onnxruntime", "tokenizers"]
    (expected, trained), (found, docs) = annotate(two_path), annotate(path)
    assert found == expected
    for doc, other in zip(trained, docs):
        assert other.cats == pytest.approx(doc.cats, abs=1e-4)
    with pytest.raises(UserError, match="no transformer among its components"):
        load_reference(path)


def test_all_read_the_last_one_before_them(multi_head_path, tmp_path):
    """As they do in the trained pipeline, whatever their settings say."""
    path = add_second(multi_head_path, tmp_path / "reference", "tagger")
    reference = load_reference(path)
    assert reference.transformer.name == "second"
    assert set(reference.listeners) == {"tagger", "textcat", "ner"}
    (warning,) = get_leftover_warnings(reference.nlp, "second")
    assert "'transformer', which no component reads" in warning
    (expected, trained), (found, docs) = annotate(path), annotate(compile_reference(path, tmp_path))
    assert found == expected
    for doc, other in zip(trained, docs):
        assert other.cats == pytest.approx(doc.cats, abs=1e-4)


@pytest.fixture(scope="module")
def curated_path(tmp_path_factory):
    """Tagger and ner read "second", with weights of its own; the morphologizer reads "transformer"."""
    folder = tmp_path_factory.mktemp("curated") / "pipeline"

    def use_two(config):
        config["components"]["second"] = config["components"]["transformer"]
        config["nlp"]["pipeline"] = ["transformer", "morphologizer", "second", "tagger", "ner"]

    curated.make_pipeline("wordpiece", folder, heads=["morphologizer", "tagger", "ner"], change=use_two)
    return folder


def test_two_curated_transformers(curated_path, tmp_path):
    reference = load_reference(curated_path)
    assert reference.transformer.name == "second" and set(reference.listeners) == {"tagger", "ner"}
    half = curated.compile_pipeline(curated_path, tmp_path / "half")
    assert annotate(half, curated.TEXTS)[0] == annotate(curated_path, curated.TEXTS)[0]
    assert "spacy-curated-transformers" in get_packages(half)
    whole = curated.compile_pipeline(half, tmp_path / "whole")
    assert annotate(whole, curated.TEXTS)[0] == annotate(curated_path, curated.TEXTS)[0]
    assert "spacy-curated-transformers" not in get_packages(whole)


def test_a_curated_transformer_inside_a_component_is_kept(tmp_path):
    nlp = curated.make_pipeline("wordpiece", heads=["tagger", "ner"])
    nlp.replace_listeners("transformer", "ner", ["model.tok2vec"])
    nlp.to_disk(tmp_path / "reference")
    reference = load_reference(tmp_path / "reference")
    assert set(reference.listeners) == {"tagger"}
    (warning,) = get_leftover_warnings(reference.nlp, "transformer")
    assert "Component 'ner' in this pipeline has a transformer of its own" in warning
    compiled = curated.compile_pipeline(tmp_path / "reference", tmp_path / "work")
    assert annotate(compiled, curated.TEXTS)[0] == annotate(tmp_path / "reference", curated.TEXTS)[0]
    assert "spacy-curated-transformers" in get_packages(compiled)
