"""Malformed manifests, and files that are not the artefact's, are refused with a sentence."""

import json

import pytest
import spacy
import srsly

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.artefact import get_digest


def change(**changes):
    return lambda manifest: {**manifest, **changes}


def drop(name):
    return lambda manifest: {key: value for key, value in manifest.items() if key != name}


MALFORMED = [
    (drop("files"), "'files'"),
    (drop("engine"), "'engine'"),
    (drop("width"), "'width'"),
    (drop("n_prefix"), "'n_prefix'"),
    (change(max_length=0), "'max_length'"),
    (change(max_length=2), "'max_length' of 2"),
    (change(max_length="256"), "'max_length'"),
    (change(width=None), "'width'"),
    (change(pad_id=-1), "'pad_id'"),
    (change(format="3"), "'format'"),
    (change(inputs="input_ids"), "'inputs'"),
    (change(files=["encoder.onnx"]), "'files'"),
    (change(files={"tokenizer.json": "0"}), "no encoder.onnx"),
    (change(files={"encoder.onnx": 1}), "'files.encoder.onnx'"),
    (change(cpu_features=[1]), "'cpu_features.0'"),
    (change(options=[]), "'options'"),
    (change(segmentation={"pieces": 1}), "'segmentation.pieces'"),
    (change(segmentation={"pieces": "byte-bpe"}), "no 'bos_id' and 'eos_id' in 'segmentation'"),
    (change(labels=["O"]), "1 'labels' and a 'width' of"),
    (change(portable={"engine": "onnxruntime"}), "'portable.precision'"),
    (lambda manifest: [manifest], "a list where an object is expected"),
    (lambda manifest: "nothing", "a str where an object is expected"),
]


@pytest.mark.parametrize("damage, message", MALFORMED, ids=[message for _, message in MALFORMED])
def test_malformed_manifest_is_refused(folder, damage, message):
    path = folder / "transformer" / "engine.json"
    srsly.write_json(path, damage(srsly.read_json(path)))
    with pytest.raises(ValueError) as error:
        spacy.load(folder)
    assert message in str(error.value)
    assert str(error.value).startswith(f"engine.json in {folder / 'transformer'}")
    assert str(error.value).endswith("Copy the whole pipeline again.")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"engine: onnxruntime"])
def test_what_is_not_json_is_refused(folder, content):
    (folder / "transformer" / "engine.json").write_bytes(content)
    with pytest.raises(ValueError, match="engine.json in .*transformer is not JSON.*Copy the whole pipeline again"):
        spacy.load(folder)


NAMES = ["../../escaped.txt", "/tmp/escaped.txt", "a/b", "..", "", "a\\b", "C:escaped", "engine.json"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_outside_the_folder(compiled_path, tmp_path, name):
    """Neither what the manifest names nor what it doesn't."""
    component = spacy.load(compiled_path).get_pipe("transformer")
    files = srsly.msgpack_loads(component.to_bytes())
    manifest = json.loads(files["engine.json"])
    data = b"escaped"
    described = {**manifest, "files": {**manifest["files"], name: get_digest(data)}}
    named = {**files, name: data, "engine.json": json.dumps(described).encode()}
    with pytest.raises(ValueError, match="names a file outside its folder"):
        component.from_bytes(srsly.msgpack_dumps(named))
    if name != "engine.json":
        with pytest.raises(ValueError, match="engine.json in the bytes doesn't describe"):
            component.from_bytes(srsly.msgpack_dumps({**files, name: data}))
    (tmp_path / "deep").mkdir()
    component.to_disk(tmp_path / "deep" / "saved")
    assert {path.name for path in tmp_path.rglob("*")} == {"deep", "saved", *files}


def test_files_without_a_digest_are_refused(compiled_path):
    component = spacy.load(compiled_path).get_pipe("transformer")
    files = srsly.msgpack_loads(component.to_bytes())
    with pytest.raises(ValueError, match="doesn't describe notes.txt, run.py"):
        component.from_bytes(srsly.msgpack_dumps({**files, "run.py": b"", "notes.txt": b""}))


def test_bytes_of_something_else_are_refused(compiled_path):
    component = spacy.load(compiled_path).get_pipe("transformer")
    for data in (component.to_bytes(exclude=["engine.json"]), srsly.msgpack_dumps(["engine.json"])):
        with pytest.raises(ValueError, match="no engine.json in the bytes"):
            component.from_bytes(data)
