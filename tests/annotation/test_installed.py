"""`scripts.annotate` beside an installed wheel, where the tools that built it are not: it phones nobody."""

import os
import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("ray")

from scripts.package import package

from .. import helpers
from ..isolation import TRAINING
from ..watched import watch_ray
from .runs import read_rows

NAME = "en_beside_torch"
# Each process leaves its command line, Ray's workers too.
RECORD = """
import os
with open({path!r}, "a") as file_:
    file_.write(" ".join(sys.orig_argv) + "\\n")
"""


@pytest.mark.slow
def test_a_wheel_needs_no_torch_and_phones_nobody(tmp_path, reference_path, jsonl, expected):
    compiled = helpers.compile_reference(reference_path, tmp_path, "openvino")
    wheel = package(compiled, tmp_path / "packages", NAME, "1.0.0")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    with watch_ray([*TRAINING, "onnx", "nncf"]) as watch:
        folder = watch.record.parent
        with (folder / "site" / "sitecustomize.py").open("a") as file_:
            file_.write(RECORD.format(path=str(folder / "started")))
        places = [watch.environment["PYTHONPATH"], str(tmp_path / "site")]
        environment = {**watch.environment, "PYTHONPATH": os.pathsep.join(places)}
        blocked = subprocess.run(
            [sys.executable, "-c", "import torch"], env=environment, capture_output=True, text=True
        )
        assert "torch is blocked" in blocked.stderr
        output = folder / "out.jsonl"
        command = [sys.executable, "-m", "scripts.annotate", NAME, jsonl, output, "--text-field", "body"]
        result = subprocess.run(
            list(map(str, command)), cwd=helpers.ROOT, env=environment, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert [row["entities"] for row in read_rows(output)] == expected
        assert "default_worker.py" in (folder / "started").read_text()
        assert watch.read() == []
