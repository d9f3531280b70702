"""`scripts.doctor`: what this machine has, and what it lacks."""

import importlib.util
import json
import subprocess
import sys

import pytest

from scripts import doctor
from scripts.common import machine
from scripts.common.machine import FAST_WITH, describe_machine
from scripts.compilation import candidates
from scripts.compilation.candidates import get_candidates
from scripts.doctor import doctor_cli, examine

from .helpers import ROOT, run_command

NAMES = [candidate.name for candidate in get_candidates()]


@pytest.fixture
def remove_package(monkeypatch):
    """A function that makes packages look as if they were not installed."""
    find_spec = importlib.util.find_spec

    def remove(*names):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name in names else find_spec(name, *rest)
        )

    return remove


def test_json_has_everything():
    """In a process of its own, as programs would run it: nothing but JSON is printed."""
    command = [sys.executable, "-m", "scripts.doctor", "--json"]
    report = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert report == json.loads(json.dumps(examine()))
    assert report.keys() == {"machine", "gpus", "pipelines", "candidates"}
    assert report["machine"] == describe_machine()
    assert list(report["candidates"]) == NAMES
    assert report["candidates"]["onnxruntime-fp32"] is None


def test_text_has_the_machine_and_every_candidate():
    result = run_command(doctor_cli)
    assert result.exit_code == 0, result.output
    printed = " ".join(result.stdout.split())
    described = describe_machine()
    for part in (" ".join(described["cpu"].split()), f"Python {described['python']}", "Fast bf16", "Fast int8", "GPU"):
        assert part in printed
    for package, version in described["versions"].items():
        assert f"{package} {version}" in printed
    for name, reason in examine()["candidates"].items():
        assert f"{name}: {' '.join((reason or 'will be tried').split())}" in printed


def test_features_are_in_the_same_order_every_time(monkeypatch):
    described = {**describe_machine(), "cpu_features": list(reversed(FAST_WITH["int8"]))}
    monkeypatch.setattr(doctor, "describe_machine", lambda: described)
    assert ", ".join(FAST_WITH["int8"]) in " ".join(run_command(doctor_cli).stdout.split())


@pytest.mark.parametrize(
    "package,lacking,hint",
    [
        ("nncf", "openvino-int8", "pip install nncf"),
        ("openvino", "openvino-fp32", "pip install openvino"),
        ("onnxruntime", "onnxruntime-fp32", "pip install onnxruntime"),
        ("nebullvm", "nebullvm", "spacy project run setup"),
    ],
)
def test_missing_package_comes_with_a_command(package, lacking, hint, remove_package):
    remove_package(package)
    printed = " ".join(run_command(doctor_cli).stdout.split())
    reason = examine()["candidates"][lacking]
    assert f"{package} is not installed" in reason
    assert hint in reason
    assert f"{lacking}: {reason}" in printed


def test_all_missing_packages_are_named(remove_package):
    remove_package("openvino", "nncf")
    assert "pip install openvino nncf" in examine()["candidates"]["openvino-int8"]
    assert "nncf" not in examine()["candidates"]["openvino-fp32"]


def test_cpu_that_is_slow_with_bf16(monkeypatch):
    monkeypatch.setattr(candidates, "get_cpu_features", lambda: ["avx2"])
    monkeypatch.setattr(machine, "get_cpu_features", lambda: ["avx2"])
    reasons = examine()["candidates"]
    assert "this CPU has no avx512_bf16 or amx_bf16" in reasons["openvino-bf16"]
    assert reasons["onnxruntime-int8"] is None
    assert "Fast bf16 no: none of avx512_bf16, amx_bf16" in " ".join(run_command(doctor_cli).stdout.split())


def test_machine_that_tells_nothing(monkeypatch):
    """As on macOS and Windows, which have no /proc/cpuinfo."""
    monkeypatch.setattr(machine, "read_cpuinfo", dict)
    result = run_command(doctor_cli)
    assert result.exit_code == 0, result.output
    assert examine()["machine"]["cpu"]
