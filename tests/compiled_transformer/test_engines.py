"""Engines are started when and as they should be; those that can't be are named."""

import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
from numpy.testing import assert_allclose

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer import engines
from scripts.compiled_transformer.batches import LENGTH_STEP, round_up

from .. import helpers
from .checks import ENGINES


@pytest.mark.parametrize("engine", ENGINES)
def test_warmed_up_lengths_have_engines_from_the_start(paths, texts, engine, monkeypatch):
    lengths = [32, 48, 10**6]  # The last is more than the encoder has positions for.
    nlp = spacy.load(paths[engine], config={"components.transformer.warm_up_lengths": lengths})
    plain = spacy.load(paths[engine])
    sentences = [sent.text for text in texts[:8] for sent in plain(text).sents]
    expected = [plain(sentence) for sentence in sentences]
    started = []

    def start(*arguments):
        started.append(arguments[-2])
        return engines.start_engine(*arguments)

    monkeypatch.setattr("scripts.compiled_transformer.encoder.start_engine", start)
    sizes = {}
    encoder = nlp.get_pipe("transformer").encoder
    for sentence, expected_doc in zip(sentences, expected):
        n_started = len(started)
        doc = nlp(sentence)
        n_wordpieces = len(encoder.segmentation.tokenizer.encode(sentence).ids)
        length = round_up(n_wordpieces, LENGTH_STEP)
        sizes.setdefault(length, set()).add(len(started) - n_started)
        assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
        assert_allclose(doc.tensor, expected_doc.tensor, atol=1e-5, rtol=0)
    assert {32, 48, 64} <= set(sizes), "texts too alike to prove anything"
    assert sizes[32] == sizes[48] == {0}
    # The engine for all other lengths is started by the first of their texts, unless it is the same.
    assert started == ([None] if engine == "openvino" else [])


def test_cuda_without_a_gpu_build_is_refused(paths, texts):
    nlp = spacy.load(paths["openvino"], config={"components.transformer.device": "cuda"})
    with pytest.raises(ValueError, match="'device' is 'cuda'.*'cpu'"):
        nlp(texts[0])
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return
    nlp = spacy.load(paths["onnxruntime"], config={"components.transformer.device": "cuda"})
    with pytest.raises(ValueError, match="'device' is 'cuda'.*onnxruntime-gpu"):
        nlp(texts[0])


def change_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "transformer" / "engine.json"
    srsly.write_json(path, {**srsly.read_json(path), **changes})


def test_unknown_engine_is_named(folder, texts):
    change_manifest(folder, engine="tensorrt")
    nlp = spacy.load(folder)
    with pytest.raises(ValueError, match="'tensorrt'.*onnxruntime, openvino"):
        nlp(texts[0])


def test_missing_engine_has_an_install_hint(folder, texts, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    change_manifest(folder, requirements=["onnxruntime==1.2.3", "tokenizers"])
    nlp = spacy.load(folder)
    with pytest.raises(ImportError, match="pip install onnxruntime==1.2.3"):
        nlp(texts[0])
