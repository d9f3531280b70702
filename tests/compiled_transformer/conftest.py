"""The reference pipeline compiled to each engine, and what comes out of it."""

import shutil
from pathlib import Path
from typing import Dict, List

import pytest
import spacy
from spacy.tokens import Doc
from transformers import AutoTokenizer

from scripts import compiled_transformer  # noqa: F401

pytest.register_assert_rewrite("tests.compiled_transformer.checks")

from .. import encoders, helpers
from .checks import ENGINES


@pytest.fixture(scope="session")
def openvino_path(reference_path, tmp_path_factory) -> Path:
    """Folder of the reference pipeline, compiled to OpenVINO in fp32."""
    return helpers.compile_reference(reference_path, tmp_path_factory.mktemp("openvino"), "openvino")


@pytest.fixture(scope="session")
def paths(compiled_path, openvino_path) -> Dict[str, Path]:
    """Compiled pipelines by engine."""
    return dict(zip(ENGINES, (compiled_path, openvino_path)))


@pytest.fixture(scope="session")
def texts(dev_corpus, test_corpus) -> List[str]:
    return [doc.text for path in (dev_corpus, test_corpus) for doc in helpers.read_docs(path)]


@pytest.fixture(scope="session")
def expected(compiled_path, texts) -> List[Doc]:
    docs = list(spacy.load(compiled_path).pipe(texts))
    assert sum(len(doc.ents) for doc in docs) > 50
    return docs


@pytest.fixture
def folder(compiled_path, tmp_path) -> Path:
    """A copy of the compiled pipeline, to change."""
    return shutil.copytree(compiled_path, tmp_path / "compiled")


@pytest.fixture(scope="session", params=["wordpiece", "byte-level BPE", "Unigram"])
def tokenizer(request, sample_path, tiny_encoder):
    """A tokenizer of each kind: offsets of words, of bytes, and of words with the space before them."""
    texts = [" ".join(word for word, _, _ in sentence) for sentence in helpers.read_sentences(sample_path)]
    if request.param == "wordpiece":
        return AutoTokenizer.from_pretrained(tiny_encoder)
    return {"byte-level BPE": encoders.make_byte_level_bpe, "Unigram": encoders.make_unigram}[request.param](texts)
