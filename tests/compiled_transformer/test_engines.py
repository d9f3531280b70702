"""Engines are started when and as they should be; those that can't be are named."""

import sys
from pathlib import Path
from typing import Any, List, Optional

import pytest
import spacy
import srsly
from numpy.testing import assert_allclose

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer import engines

from .. import helpers
from .checks import ENGINES


def list_started(monkeypatch) -> List[Optional[int]]:
    """Get a list of the fixed lengths of the engines that are started from now on."""
    started: List[Optional[int]] = []

    def start(*arguments):
        started.append(arguments[-2])
        return engines.start_engine(*arguments)

    monkeypatch.setattr("scripts.compiled_transformer.encoder.start_engine", start)
    return started


@pytest.mark.parametrize("engine", ENGINES)
def test_warmed_up_lengths_have_engines_from_the_start(paths, texts, engine, monkeypatch):
    started = list_started(monkeypatch)
    lengths = [16, 32, 10**6]  # The last is more than the encoder has positions for.
    nlp = spacy.load(paths[engine], config={"components.transformer.warm_up_lengths": lengths})
    assert started == ([16, 32] if engine == "openvino" else [None])
    for words in (1, 3, 5):
        nlp(" ".join(texts[0].split()[:words]))
    assert len(started) == (2 if engine == "openvino" else 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_single_sentences_share_few_engines(paths, texts, engine, monkeypatch):
    """With OpenVINO each of them takes one shape only: to change it takes longer than to compute some padding."""
    plain = spacy.load(paths[engine])
    sentences = [sent.text for text in texts[:8] for sent in plain(text).sents]
    expected = list(plain.pipe(sentences))
    started = list_started(monkeypatch)
    nlp = spacy.load(paths[engine])
    tokenizer = nlp.get_pipe("transformer").encoder.segmentation.tokenizer
    wanted = set()
    for sentence, expected_doc in zip(sentences, expected):
        n_wordpieces = len(tokenizer.encode(sentence).ids)
        wanted.add(next((length for length in (32, 64) if engine == "openvino" and n_wordpieces <= length), None))
        doc = nlp(sentence)
        assert set(started) == wanted and len(started) == len(wanted)
        assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
        assert_allclose(doc.tensor, expected_doc.tensor, atol=1e-5, rtol=0)
    assert {32, 64} <= wanted or engine != "openvino", "texts too alike to prove anything"


def test_heavy_encoder_is_not_started_for_single_sentences(paths, texts, monkeypatch):
    """Padding costs it more than a change of shape, and so does the memory."""
    monkeypatch.setattr("scripts.compiled_transformer.encoder.SMALL", 0)
    started = list_started(monkeypatch)
    nlp = spacy.load(paths["openvino"])
    nlp(texts[0].split(" . ")[0])
    assert started == [None]


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
