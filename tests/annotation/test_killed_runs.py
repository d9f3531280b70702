"""Runs whose processes are killed go on where they were."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import srsly

pytest.importorskip("ray")


from scripts.annotation.results import beside

from .. import helpers
from .runs import N_TEXTS, read_rows


def start(compiled_path, source, output):
    command = [sys.executable, "-m", "scripts.annotate", compiled_path, source, output, "--text-field", "body"]
    options = ["--chunk-size", 25, "--workers", 2, "--threads", 1]
    return subprocess.Popen(
        list(map(str, command + options)), cwd=helpers.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for_parts(process, output, n_parts):
    """Wait until parts are done, or the process has ended."""
    while process.poll() is None and len(list(beside(output, "parts").glob("*.done"))) < n_parts:
        time.sleep(0.02)


def find_workers(parent):
    """Find Ray's actors among the descendants of a process."""
    parents = {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, young = [], {parent}
    while young:
        young = {child for child, its_parent in parents.items() if its_parent in young}
        found.extend(young)
    return [child for child in found if b"MapWorker" in read_command_line(child)]


def read_command_line(process):
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_runs_go_on(tmp_path, compiled_path, texts, expected):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rounds = 60
    srsly.write_jsonl(source, [{"body": text} for text in texts * rounds])
    driver = start(compiled_path, source, output)
    wait_for_parts(driver, output, 1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert not output.exists()
    done = {path.name: path.stat().st_mtime_ns for path in beside(output, "parts").glob("*.done")}
    assert done

    driver = start(compiled_path, source, output)
    # Orphans of the first driver may finish a part: what tells that this one works are its own workers.
    while driver.poll() is None and not find_workers(driver.pid):
        time.sleep(0.02)
    wait_for_parts(driver, output, len(list(beside(output, "parts").glob("*.done"))) + 1)
    kept = {path.name: path.stat().st_mtime_ns for path in beside(output, "parts").glob("*.done")}
    workers = find_workers(driver.pid)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert driver.wait() == 0
    assert workers
    assert done.items() <= kept.items()  # What was finished was not done again.
    rows = read_rows(output)
    assert [row["id"] for row in rows] == [str(number + 1) for number in range(rounds * N_TEXTS)]
    assert [row["entities"] for row in rows] == expected * rounds
