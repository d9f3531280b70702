"""Run code in a Python of its own, as on a machine where some of what is installed here is not."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, Sequence

import pytest

TRAINING = (
    "torch",
    "transformers",
    "spacy_transformers",
    "spacy_curated_transformers",
    "curated_transformers",
    "spacy_huggingface_pipelines",
)
BUILD_TOOLS = (*TRAINING, "scripts", "onnx", "nncf", "nebullvm", "huggingface_hub")
TIMEOUT = 300  # Seconds. A hang has to fail; the limit is far from what a slow machine takes.
# Python imports it when it starts, in every process. The packages can't be imported then, and spaCy, which loads every
# component that a package offers, is not told of them.
SITECUSTOMIZE = """
import importlib.metadata, sys

BLOCKED = {blocked!r}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocker())
installed = importlib.metadata.distributions
importlib.metadata.distributions = lambda **options: (
    package for package in installed(**options) if package.metadata["Name"].replace("-", "_") not in BLOCKED
)
"""


def isolate(folder: Path, blocked: Sequence[str], places: Sequence[Path] = ()) -> Dict[str, str]:
    """Make an environment for processes in which packages are not installed.

    folder (Path): For files that it takes.
    blocked (Sequence[str]): The packages.
    places (Sequence[Path]): Where modules are found, beside those that are installed.
    RETURNS (Dict[str, str]): The environment's variables.
    """
    site = folder / "isolated"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE.format(blocked=tuple(blocked)), encoding="utf8")
    # Without what the tests set to be quick, which would hide a hang.
    environment = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    return {**environment, "PYTHONPATH": os.pathsep.join(map(str, (site, *places)))}


@contextlib.contextmanager
def start_without(folder: Path, blocked: Sequence[str]) -> Iterator[None]:
    """Let processes that are started meanwhile be as on a machine where packages are not installed.

    folder (Path): For files that it takes.
    blocked (Sequence[str]): The packages.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", isolate(folder, blocked)["PYTHONPATH"])
        yield


def run_isolated(
    folder: Path,
    code: str,
    argument: Any,
    *,
    blocked: Sequence[str] = (),
    places: Sequence[Path] = (),
    python: str = sys.executable,
) -> Any:
    """Run code far from the project.

    folder (Path): Where it runs, and where the code is written, which processes that it starts read again.
    code (str): Reads `json.load(sys.stdin)`, and prints JSON in its last line.
    argument (Any): What the code reads.
    blocked (Sequence[str]): Packages that are not installed for it.
    places (Sequence[Path]): Where it finds modules, beside those that are installed.
    python (str): The Python that runs it.
    RETURNS (Any): What it printed.
    """
    script = folder / "script.py"
    script.write_text(f"import json, sys\nfrom sitecustomize import BLOCKED\n{code}", encoding="utf8")
    process = subprocess.run(
        [python, script],
        cwd=folder,
        env=isolate(folder, blocked, places),
        input=json.dumps(argument),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def install(wheels: Sequence[Path], target: Path) -> Path:
    """Install wheels into a folder, without a network.

    RETURNS (Path): The folder.
    """
    options = ["--quiet", "--no-index", "--no-deps", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *wheels], check=True, cwd=target.parent)
    return target
