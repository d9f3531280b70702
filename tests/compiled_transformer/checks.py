"""What tests of the runtime compare, and how they run code in a Python of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

from numpy.testing import assert_allclose
from spacy.tokens import Doc

from scripts.compiled_transformer.artefact import MANIFEST

from .. import helpers

ENGINES = ("onnxruntime", "openvino")
TIMEOUT = 300  # A hang has to fail; the limit is far from what a slow machine takes.


def assert_same(docs: List[Doc], expected: List[Doc], atol: float = 0.0) -> None:
    """The same entities and the same vectors: the very same ones where the same windows share the rows."""
    assert [helpers.get_entities(doc) for doc in docs] == [helpers.get_entities(doc) for doc in expected]
    for doc, expected_doc in zip(docs, expected):
        assert_allclose(doc.tensor, expected_doc.tensor, rtol=0, atol=atol)


def read_files(folder: Path) -> Dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_component(folder: Path) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The files of a compiled transformer by name, the manifest as what it says."""
    files = read_files(folder)
    return {**files, MANIFEST: json.loads(files[MANIFEST])}


def run_script(script: Path, code: str, argument: Any) -> Any:
    """Run code in a Python of its own, in the project's root.

    script (Path): Where to write the code: processes that it starts read it again.
    argument (Any): Gets to it as JSON.
    RETURNS (Any): What it printed last, read as JSON.
    """
    script.write_text(code)
    # Without what the tests set to be quick, which would hide a hang.
    environment = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    process = subprocess.run(
        [sys.executable, script, json.dumps(argument)],
        cwd=helpers.ROOT,
        env={**environment, "PYTHONPATH": str(helpers.ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])
