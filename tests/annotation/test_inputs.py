"""Inputs: every record in one chunk, and bad ones with their place and reason."""

import os
from pathlib import Path

import pytest
import spacy
import srsly

pytest.importorskip("ray")

import pyarrow
import pyarrow.parquet as parquet

from scripts.annotation.inputs import describe_input, open_input
from scripts.common.console import UserError

from .runs import BAD_LINES, N_TEXTS, make_worker, run_worker, write_input


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet", "in.txt", "folder", "in.spacy"])
def test_chunks_hold_every_record_once(name, chunk_size, tmp_path, texts):
    source = tmp_path / name
    write_input(source, texts)
    reader = open_input(source, "text", None)
    chunks = list(reader.plan(chunk_size))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.records <= chunk_size for chunk in chunks)
    vocab = spacy.blank("en").vocab
    contents = [content for chunk in chunks for content in reader.read(chunk, vocab).contents]
    assert sorted(map(str, contents)) == sorted(texts)


def test_lines_are_cut_alike_whatever_is_read_at_once(tmp_path, texts, monkeypatch):
    source = tmp_path / "in.txt"
    write_input(source, texts)
    plans = []
    for n_bytes in (10, 1000, 1_000_000):
        monkeypatch.setattr("scripts.annotation.text_inputs.BLOCK_BYTES", n_bytes)
        monkeypatch.setattr("scripts.annotation.text_inputs.MAX_BYTES", 700)
        plans.append(list(open_input(source, "text", None).plan(8)))
    assert plans[0] == plans[1] == plans[2]
    assert len(plans[0]) > N_TEXTS / 8


def test_bad_lines_are_told_with_place_and_reason(tmp_path, compiled_path, bad_jsonl):
    output = tmp_path / "out.jsonl"
    worker = make_worker(compiled_path, bad_jsonl, output, id_field="id")
    rows, errors = run_worker(worker, bad_jsonl, output, chunk_size=4)
    assert [row["id"] for row in rows] == ["good", "good"]
    assert len(errors) == len(BAD_LINES)
    for number, (error, (_, id_, reason)) in enumerate(zip(errors, BAD_LINES), start=3):
        assert (error["file"], error["line"], error.get("id")) == (str(bad_jsonl), number, id_)
        assert reason in error["reason"]


def test_bad_rows_and_files(tmp_path, compiled_path):
    table, folder, output = tmp_path / "in.parquet", tmp_path / "folder", tmp_path / "out.jsonl"
    texts = pyarrow.array([b"Ada .", None, b"\xff", b"Bergen ."], pyarrow.binary())
    parquet.write_table(pyarrow.table({"text": texts.view(pyarrow.string())}), table)
    rows, errors = run_worker(make_worker(compiled_path, table, output), table, output)
    assert [row["id"] for row in rows] == ["1", "4"]
    assert [(error["record"], error["reason"]) for error in errors] == [
        (2, "field 'text' is null, expected a string"),
        (3, "byte 1 is not UTF-8"),
    ]
    write_input(folder, ["Ada .", "Bergen ."])
    (folder / "0" / "001.txt").write_bytes(b"ok \xff")
    rows, errors = run_worker(make_worker(compiled_path, folder, output), folder, output)
    assert [row["id"] for row in rows] == ["0/000.txt", "1/001.txt"]
    assert errors[0]["file"].endswith("001.txt") and errors[0]["reason"] == "byte 4 is not UTF-8"


def test_names_that_are_not_utf8(tmp_path, compiled_path):
    folder, output = tmp_path / os.fsdecode(b"folder-\xff"), tmp_path / "out.jsonl"
    try:
        write_input(folder, ["Ada .", "Bergen ."])
        (folder / "0" / os.fsdecode(b"caf\xe9.txt")).write_text("Karl .")
        (folder / "1" / "002.txt").write_bytes(b"\xff")
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    rows, errors = run_worker(make_worker(compiled_path, folder, output), folder, output)
    assert [row["id"] for row in rows] == ["0/000.txt", "1/001.txt"]
    assert [(error["id"], error["reason"]) for error in errors] == [
        ("0/caf\\xe9.txt", "the file's name is not UTF-8"),
        ("1/002.txt", "byte 1 is not UTF-8"),
    ]
    assert [error["file"] for error in errors] == [f"{tmp_path}/folder-\\xff/{error['id']}" for error in errors]
    srsly.json_dumps(describe_input(folder)).encode("utf8")  # It goes into the summary.


@pytest.mark.parametrize(
    "damage, cause",
    [
        (lambda footer: b"\xff" * len(footer), OSError),
        (lambda footer: footer.replace(b"text", b"\xffext"), UnicodeDecodeError),
    ],
)
def test_damaged_end_of_a_parquet_file(damage, cause, tmp_path):
    path = tmp_path / "in.parquet"
    write_input(path, ["Ada lives here ."])
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    path.write_bytes(data[:start] + damage(data[start:-8]) + data[-8:])
    with pytest.raises(UserError, match="in.parquet is not a Parquet file, or damaged: .*[^.]\\.$") as raised:
        list(open_input(path, "text", None).plan(10))
    assert type(raised.value.__cause__) is cause


@pytest.mark.parametrize("name", ["in.jsonl", "in.txt", "in.parquet", "in.spacy", "in"])
def test_pipes_are_refused_at_once(name, tmp_path):
    """Nobody writes to this one: whoever opens it waits for ever."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} is a pipe or a device, which can be read only once.*to a file"):
        open_input(tmp_path / name, "text", None)


def test_standard_input_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="^Standard input, which can be read only once"):
        open_input(Path("-"), "text", None)
    Path("-").write_text("Ada lives here .")
    with pytest.raises(UserError, match="unknown ending"):
        open_input(Path("-"), "text", None)


def test_a_broken_link_is_refused(tmp_path):
    (tmp_path / "in.jsonl").symlink_to("gone.jsonl")
    with pytest.raises(UserError, match="in.jsonl is a link to gone.jsonl, which is not there"):
        open_input(tmp_path / "in.jsonl", "text", None)


def test_what_a_folder_holds_besides_texts_is_said(tmp_path, compiled_path):
    folder, output = tmp_path / "folder", tmp_path / "out.jsonl"
    write_input(folder, ["Ada .", "Bergen ."])
    for name in ("readme.md", "0/notes.md", "LICENSE", "upper.TXT"):
        (folder / name).write_text("Karl .")
    (folder / "loop").symlink_to(folder)
    (folder / "folder.txt").mkdir()
    (folder / "0" / "good.txt").symlink_to(folder / "readme.md")
    (folder / "0" / "lost.txt").symlink_to("gone.txt")
    os.mkfifo(folder / "0" / "pipe.txt")
    worker = make_worker(compiled_path, folder, output)
    assert worker.input.count_left_out() == {
        ".TXT files": 1,
        ".md files": 2,
        "files without an ending": 1,
        "links to folders": 1,
    }
    rows, errors = run_worker(worker, folder, output)
    assert [row["id"] for row in rows] == ["0/000.txt", "0/good.txt", "1/001.txt"]
    assert [(error["id"], error["reason"]) for error in errors] == [
        ("0/lost.txt", "a link to gone.txt, which is not there"),
        ("0/pipe.txt", "not a file, but a pipe or a device"),
    ]
