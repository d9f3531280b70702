"""`scripts.annotate` beside an installed wheel, where the tools that built it are not."""

import os
import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("ray")

from scripts.package import package

from .. import helpers
from ..isolation import SITECUSTOMIZE, TRAINING
from .runs import read_rows

NAME = "en_beside_torch"
# Each process leaves its command line, Ray's workers too.
RECORD = """
import os
with open(os.path.join(os.path.dirname(__file__), "started"), "a") as file_:
    file_.write(" ".join(sys.orig_argv) + "\\n")
"""


@pytest.mark.slow
def test_a_wheel_needs_no_torch(tmp_path, compiled_path, jsonl, expected):
    wheel = package(compiled_path, tmp_path / "packages", NAME, "1.0.0")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE.format(blocked=(*TRAINING, "onnx", "nncf")) + RECORD)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    blocked = subprocess.run([sys.executable, "-c", "import torch"], env=environment, capture_output=True, text=True)
    assert "torch is blocked" in blocked.stderr
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "scripts.annotate", NAME, jsonl, output, "--text-field", "body"]
    result = subprocess.run(list(map(str, command)), cwd=helpers.ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [row["entities"] for row in read_rows(output)] == expected
    assert "default_worker.py" in (site / "started").read_text()
