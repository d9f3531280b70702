"""A search that is killed or fails goes on where it stopped."""

import os
import shutil
import time
from functools import partial

import pytest
import srsly

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking.process import PipelineProcess
from scripts.compilation import search
from scripts.compilation import selection as choice
from scripts.compilation.build_onnxruntime import build_fp32
from scripts.compilation.candidates import Candidate
from scripts.compilation.gate import Gate
from scripts.compilation.optimize import SearchSettings
from scripts.compiled_transformer.artefact import MANIFEST
from scripts.optimize import optimize_cli

from ..forkserver import CONTEXT, use_forkserver
from ..helpers import assert_refused, run_command
from .searches import EXACT, SAFE, build_nothing, find_entities, make_quick, read_files, run_search

# Killed in the middle


def build_logged(name, log, workbench, folder):
    with log.open("a") as file_:
        file_.write(f"{name}\n")
    build_fp32(workbench.exported, workbench.reference.encoder.config, folder)


def make_logged_candidates(log):
    return [Candidate(name, "onnxruntime", "fp32", partial(build_logged, name, log)) for name in ("first", "second")]


def optimize_until(moment, log, marker, arguments):
    """Run a search, write a marker when a moment has come, and wait. It runs in a process of its own."""

    def stop(text="now"):
        marker.with_suffix(".new").write_text(text)
        marker.with_suffix(".new").rename(marker)
        time.sleep(3600)

    annotations = PipelineProcess.annotations

    def stop_in_second(self, corpus):
        if self.path.name == "second":
            stop(str(self._process.pid))
        return annotations(self, corpus)

    with pytest.MonkeyPatch.context() as patch:
        use_forkserver(patch)
        make_quick(patch, make_logged_candidates(log))
        patch.setattr(search, "get_setting_changes", lambda trial, base: [])
        if moment == "measure":
            patch.setattr(PipelineProcess, "annotations", stop_in_second)
        elif moment == "copy":  # Everything of the output is there but its manifest.
            patch.setattr(choice, "write_manifest", lambda *_: stop())
        run_search(*arguments, SearchSettings(Gate(0, 0)))


def kill_at(moment, log, marker, arguments):
    """RETURNS (str): What was in the marker when the search was killed."""
    process = CONTEXT.Process(target=optimize_until, args=(moment, log, marker, arguments))
    process.start()
    while not marker.exists():
        assert process.is_alive(), f"The search ended before it came to the moment {moment!r}"
        time.sleep(0.05)
    process.kill()
    process.join()
    text = marker.read_text()
    marker.unlink()
    return text


def wait_for_end(pid):
    deadline = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


@pytest.mark.slow
def test_killed_search_goes_on(reference_path, compiled_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    output, log, marker = tmp_path / "training" / "compiled", tmp_path / "builds.txt", tmp_path / "marker"
    shutil.copytree(compiled_path, output)
    before = read_files(output)
    arguments = (reference_path, output, train_corpus, dev_corpus, tmp_path / "metrics")
    expected = find_entities(reference_path, dev_corpus)

    worker = kill_at("measure", log, marker, arguments)
    assert log.read_text().split() == ["first", "second"]
    assert read_files(output) == before
    wait_for_end(int(worker))  # What it started ends with it.

    kill_at("copy", log, marker, arguments)
    assert log.read_text().split() == ["first", "second", "second"]
    assert read_files(output) == before
    assert find_entities(output, dev_corpus) == expected
    assert not (tmp_path / "metrics").exists()

    make_quick(monkeypatch, make_logged_candidates(log))
    monkeypatch.setattr(search, "get_setting_changes", lambda trial, base: [])
    report = run_search(*arguments, SearchSettings(Gate(0, 0)))
    assert log.read_text().split() == ["first", "second", "second"]
    assert [row["name"] for row in report["candidates"]] == ["first", "second"]
    assert "measured" in srsly.read_json(output / "transformer" / MANIFEST)
    assert find_entities(output, dev_corpus) == expected
    assert not output.with_name("compiled-candidates").exists()


def test_rows_of_another_search_are_not_used(tmp_path):
    folder = tmp_path / "candidates"
    row = {"name": "safe, batch_wordpieces 512", "status": "passed"}
    assert search.load_rows(folder, {"gpu": -1}) == {}
    search.save_row(folder, row)
    assert search.load_rows(folder, {"gpu": -1}) == {row["name"]: row}
    assert search.load_rows(folder, {"gpu": 0}) == {}
    assert search.load_rows(folder, {"gpu": 0}) == {}
    assert [path.name for path in folder.iterdir()] == ["search.json"]


def test_damaged_key_starts_a_new_search(tmp_path):
    (tmp_path / "search.json").write_text('{"gpu": ')
    assert search.load_rows(tmp_path, {"gpu": -1}) == {}


# What fails for another reason than the candidate


@pytest.mark.slow
def test_what_failed_is_tried_again(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    arguments = (reference_path, tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics")
    make_quick(monkeypatch, [SAFE._replace(build=build_nothing)])
    result = run_command(optimize_cli, *arguments, *EXACT)
    assert_refused(result, "No candidate could be built and compared with", "optimize.json")
    make_quick(monkeypatch, [SAFE])
    assert run_search(*arguments, SearchSettings(Gate(0, 0)))["chosen"].startswith("safe")


@pytest.mark.slow
def test_death_of_the_reference_is_not_the_candidates(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    arguments = (reference_path, tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics")
    make_quick(monkeypatch, [SAFE, SAFE._replace(name="second")])
    throughput = PipelineProcess.throughput

    def kill_reference(self, *arguments):
        if self.path == reference_path:
            self._process.kill()
        return throughput(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PipelineProcess, "throughput", kill_reference)
        result = run_command(optimize_cli, *arguments, *EXACT)
    assert_refused(result, "The trained pipeline failed", reference_path, "exit code -9")
    report = run_search(*arguments, SearchSettings(Gate(0, 0)))
    assert {row["status"] for row in report["candidates"]} == {"passed", "chosen"}
