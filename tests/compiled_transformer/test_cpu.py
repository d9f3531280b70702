"""The cores that a process may use: those that it may run on, within the quotas of control groups of both versions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.compiled_transformer.cpu import available_cores, get_threads

from ..helpers import ROOT

UNIFIED, OLD = "0::/\n", "5:memory:/\n4:cpu,cpuacct:/\n0::/\n"
CPU_GROUPS = Path("/sys/fs/cgroup/cpu")


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    """A machine of nine cores whose control groups are in a folder, with this process in those that `own` names."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(9)), raising=False)
    monkeypatch.setattr("scripts.compiled_transformer.cpu.CGROUPS", tmp_path)
    monkeypatch.setattr("scripts.compiled_transformer.cpu.OWN_GROUPS", tmp_path / "own")

    def write(own, files):
        (tmp_path / "own").write_text(own)
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return write


def of_version_1(quota, folder="cpu"):
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    "own, files, cores",
    [
        (UNIFIED, {"cpu.max": "150000 100000"}, 2),
        (UNIFIED, {"cpu.max": "400000 100000"}, 4),
        (UNIFIED, {"cpu.max": "1000 100000"}, 1),
        (UNIFIED, {"cpu.max": "max 100000"}, 9),
        (UNIFIED, {}, 9),
        (OLD, of_version_1(150_000), 2),
        (OLD, of_version_1(400_000), 4),
        (OLD, of_version_1(-1), 9),
        (OLD, of_version_1("damaged"), 9),
        (OLD, {"cpu/cpu.cfs_quota_us": "100000\n"}, 9),
        # The quota of a group that is in another one, of this one, and of both.
        ("0::/app/job\n", {"app/cpu.max": "300000 100000", "app/job/cpu.max": "max 100000"}, 3),
        ("0::/app/job\n", {"app/cpu.max": "300000 100000", "app/job/cpu.max": "200000 100000"}, 2),
        ("3:cpuacct,cpu:/app/job\n", {**of_version_1(500_000, "cpu/app"), **of_version_1(-1, "cpu/app/job")}, 5),
        # A container on version 1 sees the name that its group has outside.
        ("3:cpu:/docker/1f\n", of_version_1(250_000), 3),
        # That of another controller is none of the CPU's.
        ("3:cpuset:/\n", of_version_1(100_000), 9),
    ],
)
def test_threads_stay_within_the_quota(cgroups, own, files, cores):
    cgroups(own, files)
    assert available_cores() == cores
    assert get_threads({"threads": None}) == cores
    assert get_threads({"threads": 3}) == 3


def test_no_control_groups(cgroups):
    assert available_cores() == 9


@pytest.mark.skipif(
    len(getattr(os, "sched_getaffinity", lambda _: [0])(0)) < 2, reason="needs two cores to choose from"
)
def test_a_real_quota_of_version_1():
    group = CPU_GROUPS / f"quota-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no control groups of version 1, or not allowed to make one")
    try:
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text("100000")
        program = (
            f"import os; open('{group}/cgroup.procs', 'w').write(str(os.getpid())); "
            "from scripts.compiled_transformer.cpu import available_cores; print(available_cores())"
        )
        result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert result.stdout == "1\n", result.stderr
    finally:
        group.rmdir()
