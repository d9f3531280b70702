"""Damaged and foreign artefacts are refused."""

import shutil

import pytest
import spacy
import srsly

from scripts import compiled_transformer  # noqa: F401

from .checks import assert_same


@pytest.mark.parametrize("name", ["encoder.onnx", "tokenizer.json"])
def test_changed_file_is_refused(folder, name):
    path = folder / "transformer" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{name} in .*transformer is not the file that engine.json describes"):
        spacy.load(folder)


@pytest.mark.parametrize("name", ["encoder.onnx", "tokenizer.json"])
def test_missing_file_is_named(folder, name):
    (folder / "transformer" / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing in .*transformer"):
        spacy.load(folder)


def test_missing_manifest_is_named(folder):
    (folder / "transformer" / "engine.json").unlink()
    with pytest.raises(ValueError, match="There is no engine.json in .*transformer"):
        spacy.load(folder)


def test_changed_bytes_are_refused(compiled_path):
    component = spacy.load(compiled_path).get_pipe("transformer")
    files = srsly.msgpack_loads(component.to_bytes())
    with pytest.raises(ValueError, match="encoder.onnx in the bytes is not the file"):
        component.from_bytes(srsly.msgpack_dumps({**files, "encoder.onnx": files["encoder.onnx"] + b"x"}))
    del files["encoder.onnx"]
    with pytest.raises(ValueError, match="encoder.onnx is missing in the bytes"):
        component.from_bytes(srsly.msgpack_dumps(files))


def test_failed_load_leaves_the_component_as_it_was(folder, texts, expected):
    nlp = spacy.load(folder)
    other = folder.with_name("other")
    shutil.copytree(folder / "transformer", other)
    (other / "encoder.onnx").write_bytes(b"something else")
    with pytest.raises(ValueError):
        nlp.get_pipe("transformer").from_disk(other)
    assert_same(list(nlp.pipe(texts)), expected)
