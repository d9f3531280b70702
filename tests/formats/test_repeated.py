"""Texts that are there more than once: of several annotators, or yes-or-no answers to one span."""

import json

import pytest

from scripts.corpus import corpus_cli
from scripts.formats.detect import read_sentences
from scripts.formats.sentence import Notes
from scripts.formats.settings import ReaderSettings

from ..helpers import assert_refused, run_command
from .samples import write

TEXT = "Ada Byron left Oslo."
ADA, ADA_BYRON, OSLO = (0, 3, "PER"), (0, 9, "PER"), (15, 19, "LOC")


def write_records(tmp_path, *records, text=TEXT):
    """Write a text once for each record: its spans, and the answer to them."""
    lines = [
        {"text": text, "spans": [{"start": s, "end": e, "label": label} for s, e, label in spans], "answer": answer}
        for spans, answer in records
    ]
    return write(tmp_path, "source.jsonl", "\n".join(map(json.dumps, lines)).encode())


def read_with(source, repeated):
    notes = Notes()
    sentences = list(read_sentences(source, "jsonl", ReaderSettings(repeated=repeated), notes))
    return [sentence.tags for sentence in sentences], notes


def test_different_spans_are_refused_until_something_is_chosen(tmp_path):
    source = write_records(tmp_path, ([OSLO], "accept"), ([ADA_BYRON, OSLO], "accept"), ([OSLO], "accept"))
    result = run_command(corpus_cli, source, tmp_path / "corpus")
    assert_refused(result, f"{source}, line 1: 1 texts are there more than once with different spans", "line 2")
    assert_refused(result, "--repeated", "union", "first", "most")


@pytest.mark.parametrize(
    "repeated, expected",
    [
        ("union", ["B-PER", "I-PER", "O", "B-LOC", "O"]),
        ("first", ["O", "O", "O", "B-LOC", "O"]),
        ("most", ["O", "O", "O", "B-LOC", "O"]),
    ],
)
def test_annotations_of_three(tmp_path, repeated, expected):
    source = write_records(tmp_path, ([OSLO], "accept"), ([ADA_BYRON, OSLO], "accept"), ([OSLO, ADA], "accept"))
    tags, notes = read_with(source, repeated)
    assert tags == [expected]
    assert notes.corrected == {f"texts with different spans, resolved by `--repeated {repeated}`": 1}
    overlapping = {"spans that overlap a longer one": 1} if repeated == "union" else {}
    assert {what: n for what, n in notes.skipped.items() if n} == overlapping


def test_half_is_not_most(tmp_path):
    source = write_records(tmp_path, ([OSLO], "accept"), ([ADA_BYRON], "accept"))
    assert read_with(source, "most")[0] == [["O"] * 5]


def test_rejected_annotation_does_not_count(tmp_path):
    """Of the whole text, as it has more than one span in question."""
    source = write_records(tmp_path, ([ADA, OSLO], "reject"), ([ADA_BYRON, OSLO], "accept"))
    for repeated in ("union", "first", "most"):
        assert read_with(source, repeated)[0] == [["B-PER", "I-PER", "O", "B-LOC", "O"]]


def test_equal_annotations_are_duplicates(tmp_path):
    source = write_records(tmp_path, ([OSLO], "accept"), ([OSLO], "accept"))
    tags, notes = read_with(source, "error")
    assert tags == [["O", "O", "O", "B-LOC", "O"]] * 2
    assert not notes.corrected


def test_yes_or_no_answers_leave_what_nobody_judged_without_annotation(tmp_path):
    """Accepted spans are entities, the tokens of rejected ones are in none, all others are not known."""
    source = write_records(tmp_path, ([ADA_BYRON], "accept"), ([OSLO], "reject"))
    assert read_with(source, "union")[0] == [["B-PER", "I-PER", None, "O", None]]
    source = write_records(tmp_path, ([ADA], "reject"), ([ADA_BYRON], "accept"))
    assert read_with(source, "union")[0] == [["B-PER", "I-PER", None, None, None]]


def test_yes_or_no_answers_to_one_span_are_counted(tmp_path):
    answers = [([OSLO], "accept"), ([OSLO], "reject"), ([OSLO], "accept"), ([ADA], "reject")]
    assert read_with(write_records(tmp_path, *answers), "most")[0] == [["O", None, None, "B-LOC", None]]
    answers = [([OSLO], "accept"), ([OSLO], "reject"), ([ADA], "reject")]
    assert read_with(write_records(tmp_path, *answers), "most")[0] == [["O", None, None, "O", None]]


def test_texts_with_one_answer_beside_repeated_ones_are_not_complete_either(tmp_path):
    repeated = write_records(tmp_path, ([ADA_BYRON], "accept"), ([OSLO], "reject")).read_bytes()
    once = write_records(tmp_path, ([(0, 4, "PER")], "accept"), text="Karl slept").read_bytes()
    source = write(tmp_path, "both.jsonl", repeated + b"\n" + once)
    assert read_with(source, "union")[0][1] == ["B-PER", None]
