"""A pipeline on a machine whose CPU lacks what its fast encoder was made for."""

import shutil
import warnings

import pytest
import spacy
import srsly
from numpy.testing import assert_allclose

from scripts import compiled_transformer  # noqa: F401
from scripts.compilation.selection import add_portable
from scripts.compiled_transformer.artefact import choose_artefact
from scripts.compiled_transformer.engines import ENGINES

from .. import helpers

OLD_CPU = {"fpu", "sse2", "avx2"}
NEW_CPU = OLD_CPU | {"avx512_bf16", "avx512_vnni"}


@pytest.fixture(scope="module")
def fast_path(reference_path, tmp_path_factory):
    """A pipeline that is made for a CPU with bf16; the engine itself computes in float32, to run anywhere."""
    return helpers.compile_reference(reference_path, tmp_path_factory.mktemp("fast"), "openvino", "bf16")


@pytest.fixture
def portable_path(fast_path, compiled_path, tmp_path):
    folder = shutil.copytree(fast_path, tmp_path / "portable")
    add_portable(compiled_path, folder, "transformer")
    return folder


@pytest.fixture
def text(dev_corpus):
    return helpers.read_docs(dev_corpus)[0].text


def test_warns_once_and_says_how_to_rebuild(fast_path, text, monkeypatch):
    monkeypatch.setattr("scripts.compiled_transformer.artefact.read_cpu_features", lambda: OLD_CPU)
    nlp = spacy.load(fast_path)
    with pytest.warns(UserWarning, match="avx512_bf16 or amx_bf16.*project run optimize"):
        nlp(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp(text)


@pytest.mark.parametrize("features", [NEW_CPU, None], ids=["able", "unknown"])
def test_is_silent_where_nothing_is_known_to_be_missing(fast_path, text, monkeypatch, features):
    monkeypatch.setattr("scripts.compiled_transformer.artefact.read_cpu_features", lambda: features)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spacy.load(fast_path)(text)


def test_every_precision_of_a_mixed_one_is_needed(fast_path, monkeypatch):
    manifest = {"precision": "int8+bf16", "cpu_features": [["avx512_bf16"], ["avx512_vnni"]]}
    monkeypatch.setattr("scripts.compiled_transformer.artefact.read_cpu_features", lambda: OLD_CPU | {"avx512_vnni"})
    with pytest.warns(UserWarning, match="a CPU with avx512_bf16, which"):
        choose_artefact(manifest, {})


def test_portable_encoder_takes_over(portable_path, compiled_path, text, monkeypatch):
    monkeypatch.setattr("scripts.compiled_transformer.artefact.read_cpu_features", lambda: OLD_CPU)
    started = []
    start = ENGINES["onnxruntime"]
    monkeypatch.setitem(ENGINES, "onnxruntime", lambda *arguments: started.append(1) or start(*arguments))
    with pytest.warns(UserWarning, match="portable encoder .onnxruntime, fp32. is used"):
        doc = spacy.load(portable_path)(text)
    assert started
    expected = spacy.load(compiled_path)(text)
    assert_allclose(doc.tensor, expected.tensor, atol=1e-5)
    assert helpers.get_entities(doc) == helpers.get_entities(expected)


def test_portable_encoder_starts_one_engine_for_all_lengths(portable_path, text, monkeypatch):
    monkeypatch.setattr("scripts.compiled_transformer.artefact.read_cpu_features", lambda: OLD_CPU)
    started = []
    start = ENGINES["onnxruntime"]
    monkeypatch.setitem(ENGINES, "onnxruntime", lambda *arguments: started.append(1) or start(*arguments))
    with pytest.warns(UserWarning, match="portable encoder") as warned:
        nlp = spacy.load(
            portable_path,
            config={"components.transformer.warm_up_lengths": [16, 32], "components.transformer.threads": 1},
        )
        nlp(text)
    assert len(started) == 1
    assert len(warned) == 1


def test_portable_encoder_survives_a_round_trip_and_is_checked(portable_path, text, monkeypatch, tmp_path):
    monkeypatch.setattr("scripts.compiled_transformer.artefact.read_cpu_features", lambda: OLD_CPU)
    spacy.load(portable_path).to_disk(tmp_path / "saved")
    with pytest.warns(UserWarning, match="portable encoder"):
        assert spacy.load(tmp_path / "saved")(text).ents
    (tmp_path / "saved" / "transformer" / "portable-encoder.onnx").write_bytes(b"other")
    with pytest.raises(ValueError, match="portable-encoder.onnx.*SHA-256"):
        spacy.load(tmp_path / "saved")


def test_wheel_would_require_both_engines(portable_path):
    requirements = srsly.read_json(portable_path / "meta.json")["requirements"]
    names = {requirement.split("=")[0].split(">")[0] for requirement in requirements}
    assert names == {"onnxruntime", "openvino", "tokenizers"}
