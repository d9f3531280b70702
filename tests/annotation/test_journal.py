"""The parts of a run: which run may go on with them, full disks, and what a killed run leaves."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import pytest

pytest.importorskip("ray")

from scripts.annotate import annotate_cli
from scripts.annotation.annotate import annotate, describe_run
from scripts.annotation.journal import Journal
from scripts.annotation.outputs import open_output
from scripts.annotation.results import beside
from scripts.annotation.settings import AnnotationSettings, RowSettings
from scripts.common.console import UserError
from scripts.common.pipelines import find_pipeline

from .. import helpers
from .runs import finish_parts, make_worker, read_rows, write_input

ROWS = RowSettings(chunk_size=10, with_text=True, stats=True)
OPTIONS = ["--chunk-size", 10, "--with-text", "--stats"]
KILLED_IN_THE_JOIN = """
import os, signal, sys
from pathlib import Path
from scripts.annotation import outputs
from scripts.annotation.annotate import annotate
from scripts.annotation.settings import AnnotationSettings, RowSettings
join = outputs.join_files
def join_and_die(parts, path):
    join(parts, path)
    os.kill(os.getpid(), signal.SIGKILL)
outputs.join_files = join_and_die
rows = RowSettings(chunk_size=10, with_text=True, stats=True)
annotate(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), AnnotationSettings(rows))
"""


@pytest.fixture
def source(tmp_path, texts):
    path = tmp_path / "in.txt"
    write_input(path, texts)
    return path


@pytest.fixture
def small_disk():
    """Make disks of a size in MB, and fill them."""
    mounted = []

    def mount(folder, size):
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("not allowed to mount a small disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder):
    """Write a file that takes all the room that is left."""
    path = folder / "filler"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file_:
        while True:
            file_.write(bytes(4096))
    return path


def test_other_options_are_refused(tmp_path, compiled_path, jsonl):
    output = tmp_path / "out.jsonl"
    journal = Journal(output)
    journal.start({"--chunk-size": 5, "--stats": False})
    with pytest.raises(UserError, match="Another run is writing"):
        Journal(output).start({"--chunk-size": 5, "--stats": False})
    journal.close()
    # No part is finished yet.
    journal.start({"--chunk-size": 6, "--stats": False})
    journal.commit(0, open_output(output, RowSettings()), [], {"number": 0})
    journal.close()
    with pytest.raises(UserError, match="another --chunk-size.*delete the folder"):
        Journal(output).start({"--chunk-size": 5, "--stats": False})
    journal.start({"--chunk-size": 6, "--stats": False})


def test_a_run_that_is_killed_in_the_join_leaves_nothing_for_ever(tmp_path, compiled_path, source, expected):
    output = tmp_path / "results" / "out.jsonl"
    finish_parts(compiled_path, source, output, ROWS)
    arguments = [str(compiled_path), str(source), str(output)]
    killed = subprocess.run([sys.executable, "-c", KILLED_IN_THE_JOIN, *arguments], cwd=helpers.ROOT)
    assert killed.returncode == -signal.SIGKILL
    left = {path.name for path in output.parent.iterdir()}
    assert left == {"out.jsonl.parts", "out.jsonl.stats.json", "out.jsonl.stats.html"}
    annotate(str(compiled_path), source, output, AnnotationSettings(ROWS))
    assert [row["entities"] for row in read_rows(output)] == expected
    names = {"out.jsonl", "out.jsonl.summary.json", "out.jsonl.stats.json", "out.jsonl.stats.html"}
    assert {path.name for path in output.parent.iterdir()} == names


def test_a_run_that_is_killed_while_it_removes_the_parts(tmp_path, compiled_path, source):
    output = tmp_path / "out.jsonl"
    finish_parts(compiled_path, source, output, ROWS)
    summary = annotate(str(compiled_path), source, output, AnnotationSettings(ROWS))
    beside(output, "parts.removed").mkdir()
    assert annotate(str(compiled_path), source, output, AnnotationSettings(ROWS)) == summary
    assert not beside(output, "parts.removed").exists()


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".spacy"])
def test_a_full_disk_in_a_part(tmp_path, compiled_path, source, expected, small_disk, ending):
    disk = small_disk(tmp_path / "disk", "4m")
    output = disk / f"out{ending}"
    worker = make_worker(compiled_path, source, output, chunk_size=10, stats=True)
    worker.journal.start(describe_run(find_pipeline(str(compiled_path)), source, ROWS))
    worker.load()
    chunks = list(worker.input.plan(10))
    assert "problem" not in worker.process(chunks[0])
    filler = fill(disk)
    problem = worker.process(chunks[1])["problem"]
    assert problem.startswith("No space left on device") and "\n" not in problem
    worker.journal.close()
    # With some room the same run goes on.
    filler.unlink()
    assert worker.journal.read_entry(0) is not None and worker.journal.read_entry(1) is None
    finish_parts(compiled_path, source, output, ROWS)
    annotate(str(compiled_path), source, output, AnnotationSettings(ROWS))
    assert [row["entities"] for row in read_rows(output)] == expected


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".spacy"])
def test_a_full_disk_in_the_join(tmp_path, compiled_path, source, expected, small_disk, ending):
    disk = small_disk(tmp_path / "disk", "4m")
    output = disk / f"out{ending}"
    finish_parts(compiled_path, source, output, ROWS)
    filler = fill(disk)
    arguments = [compiled_path, source, output, *OPTIONS]
    helpers.assert_refused(
        helpers.run_command(annotate_cli, *arguments), f"Can't write {output}: No space left on device"
    )
    assert {path.name for path in disk.iterdir()} == {"filler", f"{output.name}.parts"}
    filler.unlink()
    result = helpers.run_command(annotate_cli, *arguments)
    assert result.exit_code == 0, result.output
    assert [row["entities"] for row in read_rows(output)] == expected


def test_an_output_that_is_read_only(tmp_path, compiled_path, source, small_disk):
    disk = small_disk(tmp_path / "disk", "1m")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    result = helpers.run_command(annotate_cli, compiled_path, source, disk / "out.jsonl", *OPTIONS)
    helpers.assert_refused(result, f"Can't write {disk / 'out.jsonl'}: Read-only file system")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_the_users(tmp_path, compiled_path, source):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    result = helpers.run_command(annotate_cli, compiled_path, source, folder / "out.jsonl", *OPTIONS)
    helpers.assert_refused(result, f"Can't write {folder / 'out.jsonl'}: Permission denied")
