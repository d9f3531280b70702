"""brat's folders."""

import pytest

from scripts.common.console import UserError
from scripts.corpus import corpus_cli
from scripts.formats.detect import read_sentences
from scripts.formats.sentence import Notes
from scripts.formats.settings import ReaderSettings

from ..helpers import assert_refused, run_command
from .made_samples import EXPECTED, find_spans
from .samples import detect, read, summarize_corpus

TEXT = "Ada left.\r\nNew\nYork sang."


def write_folder(folder, *, text=TEXT, lines=()):
    folder.mkdir(exist_ok=True)
    (folder / "one.txt").write_bytes(text.encode("utf8"))
    (folder / "one.ann").write_text("".join(f"{line}\n" for line in lines), encoding="utf8")
    return folder


def test_folder_is_converted(tmp_path):
    """With a folder in it, and with what is no entity."""
    folder = tmp_path / "brat corpus"
    (folder / "inner").mkdir(parents=True)
    for number, (text, spans) in enumerate(find_spans()):
        base = folder / ("inner" if number % 2 else "") / f"doc-{number}"
        base.with_suffix(".txt").write_text(text, encoding="utf8")
        lines = [f"T{n}\t{label} {start} {end}\t{text[start:end]}" for n, (start, end, label) in enumerate(spans)]
        others = ["R1\tKnows Arg1:T0 Arg2:T1", "#1\tAnnotatorNotes T0\ta note", "*\tEquiv T0 T1"]
        base.with_suffix(".ann").write_text("\n".join([*lines, *others]), encoding="utf8")
    result = run_command(corpus_cli, folder, tmp_path / "corpus", "--dev-share", 0.34, "--test-share", 0.34)
    assert result.exit_code == 0, result.output
    assert summarize_corpus(tmp_path / "corpus") == sorted(EXPECTED)


def test_offsets_count_the_line_ends_of_the_file(tmp_path):
    folder = write_folder(tmp_path / "brat", lines=["T1\tPER 0 3\tAda", "T2\tLOC 11 14;15 19\tNew York"])
    assert detect(folder) == detect(folder / "one.ann") == detect(folder / "one.txt") == "brat"
    for source in (folder, folder / "one.ann", folder / "one.txt"):
        (sentence,) = read(source, "brat")
        named = [(word, name) for word, name in zip(sentence.words, sentence.tags) if name != "O"]
        assert named == [("Ada", "B-PER"), ("New", "B-LOC"), ("\n", "I-LOC"), ("York", "I-LOC")]


def test_spans_in_several_parts_are_left_without_annotation(tmp_path):
    folder = write_folder(tmp_path / "brat", text="North and South Wales", lines=["T1\tLOC 0 5;16 21\tNorth Wales"])
    notes = Notes()
    (sentence,) = read_sentences(folder, "brat", ReaderSettings(), notes)
    assert sentence.tags == [None] * 4
    assert notes.skipped["spans in several parts"] == 1


@pytest.mark.parametrize(
    "line, expected",
    [
        ("T1\tPER 0 4\tKarl", "one.ann, line 1: the span 0-4 PER 'Ada ' says that its text is 'Karl'"),
        ("T1\tPER 0 99\tAda", "one.ann, line 1: the span 0-99 PER is empty or outside"),
        ("T1 PER 0 3 Ada", "one.ann, line 1: expected an entity as in T1"),
        ("T1\tPER 0 2\tAd", "one.txt: the span 0-2 PER 'Ad' does not start and end at token borders"),
    ],
)
def test_broken_annotations_are_refused(tmp_path, line, expected):
    with pytest.raises(UserError, match=expected):
        read(write_folder(tmp_path / "brat", lines=[line]), "brat")


def test_annotations_without_a_text_are_refused(tmp_path):
    folder = write_folder(tmp_path / "brat")
    (folder / "one.txt").unlink()
    assert_refused(run_command(corpus_cli, folder, tmp_path / "corpus"), f"There is no {folder / 'one.txt'}")
