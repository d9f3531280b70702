"""What tests of the runtime compare."""

import json
from pathlib import Path
from typing import Any, Dict, List

from numpy.testing import assert_allclose
from spacy.tokens import Doc

from scripts.compiled_transformer.artefact import MANIFEST

from .. import helpers

ENGINES = ("onnxruntime", "openvino")


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
