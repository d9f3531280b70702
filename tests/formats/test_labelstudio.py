"""Label Studio's exports."""

import json

import pytest

from scripts.common.console import UserError

from .made_samples import make_label_studio_task
from .samples import read, write

SPANS = [(0, 3, "PER"), (9, 13, "LOC")]


def write_tasks(tmp_path, *tasks):
    return write(tmp_path, "project.json", json.dumps(tasks).encode())


def test_several_annotations_are_a_repeated_text(tmp_path):
    task = make_label_studio_task("Ada left Oslo.", SPANS)
    task["annotations"].append({"result": task["annotations"][0]["result"][:1]})
    source = write_tasks(tmp_path, task)
    with pytest.raises(UserError, match="1 texts are there more than once with different spans"):
        read(source, "labelstudio")
    (sentence,) = read(source, "labelstudio", repeated="union")
    assert sentence.tags == ["B-PER", "O", "B-LOC", "O"]


def test_text_may_have_another_name_if_it_is_the_only_one(tmp_path):
    task = make_label_studio_task("Ada left Oslo.", SPANS)
    task["data"] = {"review": "Ada left Oslo.", "stars": 3}
    (sentence,) = read(write_tasks(tmp_path, task), "labelstudio")
    assert sentence.tags == ["B-PER", "O", "B-LOC", "O"]
    task["data"]["title"] = "Departures"
    with pytest.raises(UserError, match="line 1: expected a \"text\" in the data, got the keys 'review, stars, title'"):
        read(write_tasks(tmp_path, task), "labelstudio")


def test_tasks_that_nobody_annotated_are_left_out(tmp_path):
    done, open_ = make_label_studio_task("Ada left.", SPANS[:1]), make_label_studio_task("Oslo slept.", [])
    open_["annotations"] = []
    assert [sentence.words for sentence in read(write_tasks(tmp_path, done, open_), "labelstudio")] == [
        ["Ada", "left", "."]
    ]


def test_span_with_two_labels_is_refused(tmp_path):
    task = make_label_studio_task("Ada left.", SPANS[:1])
    task["annotations"][0]["result"][0]["value"]["labels"] = ["PER", "LOC"]
    with pytest.raises(UserError, match="line 1: expected a span with start, end and label"):
        read(write_tasks(tmp_path, task), "labelstudio")
