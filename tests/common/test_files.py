"""Files and folders that are whole or not there."""

import os
from pathlib import Path

import pytest

from scripts.common.console import UserError
from scripts.common.files import replace_when_done


class Interruption(Exception):
    pass


def write_folder(folder: Path, **contents: str) -> None:
    folder.mkdir()
    for name, text in contents.items():
        (folder / name).write_text(text)


def read_folder(folder: Path):
    return {path.name: path.read_text() for path in folder.iterdir()}


def list_all(folder: Path):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# Files


def test_new_file(tmp_path):
    target = tmp_path / "deep" / "down" / "file.txt"
    with replace_when_done(target) as path:
        assert not path.exists()
        path.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list_all(tmp_path) == ["deep", "deep/down", "deep/down/file.txt"]


def test_replaced_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with replace_when_done(target) as path:
        path.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list_all(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("error", [Interruption, KeyboardInterrupt, SystemExit])
def test_failure_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(error):
        with replace_when_done(target) as path:
            path.write_text("half of the n")
            raise error()
    assert target.read_text() == "old"
    assert list_all(tmp_path) == ["file.txt"]


def test_failure_leaves_no_new_file(tmp_path):
    with pytest.raises(Interruption):
        with replace_when_done(tmp_path / "file.txt") as path:
            path.write_text("half of the n")
            raise Interruption()
    assert list_all(tmp_path) == []


def test_file_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with replace_when_done(Path("file.txt")) as path:
        path.write_text("new")
    assert list_all(tmp_path) == ["file.txt"]


# Folders


def test_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "old.txt").write_text("old")
    monkeypatch.chdir(tmp_path / "here")
    with replace_when_done(Path(".")) as path:
        path.mkdir()
        (path / "new.txt").write_text("new")
    assert list_all(tmp_path) == ["here", "here/new.txt"]


def test_new_folder(tmp_path):
    target = tmp_path / "folder"
    with replace_when_done(target) as path:
        write_folder(path, a="new")
        assert not target.exists()
    assert read_folder(target) == {"a": "new"}
    assert list_all(tmp_path) == ["folder", "folder/a"]


@pytest.mark.parametrize("name", ["folder", "replaced", ".hidden"])
def test_replaced_folder_keeps_nothing_of_the_old_one(tmp_path, name):
    target = tmp_path / name
    write_folder(target, a="old", b="old")
    with replace_when_done(target) as path:
        write_folder(path, a="new", c="new")
        assert read_folder(target) == {"a": "old", "b": "old"}
    assert read_folder(target) == {"a": "new", "c": "new"}
    assert list_all(tmp_path) == [name, f"{name}/a", f"{name}/c"]


def test_replaced_empty_folder(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    with replace_when_done(target) as path:
        write_folder(path, a="new")
    assert read_folder(target) == {"a": "new"}


@pytest.mark.parametrize("error", [Interruption, KeyboardInterrupt])
def test_failure_leaves_the_old_folder(tmp_path, error):
    target = tmp_path / "folder"
    write_folder(target, a="old", b="old")
    with pytest.raises(error):
        with replace_when_done(target) as path:
            write_folder(path, a="half")
            raise error()
    assert read_folder(target) == {"a": "old", "b": "old"}
    assert list_all(tmp_path) == ["folder", "folder/a", "folder/b"]


def test_block_that_writes_nothing_leaves_the_old_folder(tmp_path):
    target = tmp_path / "folder"
    write_folder(target, a="old")
    with pytest.raises(FileNotFoundError):
        with replace_when_done(target):
            pass
    assert read_folder(target) == {"a": "old"}
    assert list_all(tmp_path) == ["folder", "folder/a"]


def test_folder_does_not_replace_a_file(tmp_path):
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(UserError, match="it is a file already"):
        with replace_when_done(target) as path:
            write_folder(path, a="new")
    assert target.read_text() == "old"
    assert list_all(tmp_path) == ["target"]


def test_file_does_not_replace_a_folder(tmp_path):
    target = tmp_path / "metrics"
    write_folder(target, a="old")
    with pytest.raises(UserError, match="it is a folder already"):
        with replace_when_done(target) as path:
            path.write_text("new")
    assert read_folder(target) == {"a": "old"}
    assert list_all(tmp_path) == ["metrics", "metrics/a"]


def test_link_to_a_folder_is_replaced_and_its_folder_is_not_touched(tmp_path):
    write_folder(tmp_path / "elsewhere", a="old")
    target = tmp_path / "target"
    os.symlink(tmp_path / "elsewhere", target, target_is_directory=True)
    with replace_when_done(target) as path:
        write_folder(path, a="new")
    assert read_folder(target) == {"a": "new"}
    assert read_folder(tmp_path / "elsewhere") == {"a": "old"}


@pytest.mark.parametrize("target", ["file/folder", "file/deep/down/folder"])
def test_file_among_the_parents_is_the_users_mistake(tmp_path, target):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file, not a folder"):
        with replace_when_done(tmp_path / target):
            raise AssertionError("the block must not run")
    assert (tmp_path / "file").read_text() == "mine"
    assert list_all(tmp_path) == ["file"]
