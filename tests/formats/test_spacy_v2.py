"""spaCy v2's TRAIN_DATA, in JSON and in Python."""

import json

import pytest

from scripts.common.console import UserError

from .samples import detect, read, write

PAIR = ["Ada left Oslo.", {"entities": [[0, 3, "PER"], [9, 13, "LOC"]]}]
TAGS = ["B-PER", "O", "B-LOC", "O"]
# The name of a file, and its content.
SOURCES = {
    "a pair a line": ("train.jsonl", json.dumps(PAIR)),
    "an array": ("train.json", json.dumps([PAIR])),
    "NER Annotator": ("annotations.json", json.dumps({"classes": ["PER"], "annotations": [None, PAIR]})),
    "Python": (
        "train_data.py",
        "TRAIN_DATA: list = [('Ada left Oslo.', {'entities': [(0, 3, 'PER'), (9, 13, 'LOC')]})]",
    ),
}


@pytest.mark.parametrize("name, text", SOURCES.values(), ids=SOURCES.keys())
def test_pairs_are_read(tmp_path, name, text):
    source = write(tmp_path, name, text.encode())
    assert detect(source) == "spacy-v2"
    assert [sentence.tags for sentence in read(source, "spacy-v2")] == [TAGS]


def test_python_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    text = f"open({str(marker)!r}, 'w')\nTRAIN_DATA = [('Ada left Oslo.', {{'entities': []}})]\n"
    assert len(read(write(tmp_path, "train_data.py", text.encode()), "spacy-v2")) == 1
    assert not marker.exists()


@pytest.mark.parametrize(
    "name, text, expected",
    [
        (
            "train_data.py",
            "TRAIN_DATA = [\n  ('Ada', {'entities': []}),\n  (name, {}),\n]",
            "line 3: expected a text and",
        ),
        ("train_data.py", "TRAIN_DATA = [\n  ('Ada', {'entities': []})\n  ('Karl', {})", "line 1: this is no Python"),
        ("train_data.py", "DATA = {}", "holds no sentences"),
        ("train.json", '[\n["Ada", {"entities": []}],\n["Karl", {"cats": {}}]\n]', "line 3: expected a text and"),
    ],
)
def test_broken_files_are_refused(tmp_path, name, text, expected):
    with pytest.raises(UserError, match=expected):
        read(write(tmp_path, name, text.encode()), "spacy-v2")
