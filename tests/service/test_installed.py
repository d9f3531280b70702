"""A service that runs an installed wheel, as the command's help says."""

import os
import shutil
import zipfile

import pytest

pytest.importorskip("ray")

from scripts.package import package

from .service_process import Service

pytestmark = pytest.mark.slow
NAME = "en_served_trf"


def test_installed_wheel(compiled_path, texts, expected_entities, tmp_path):
    """The wheel brings a copy of the runtime, and the command imports the project's own."""
    pipeline = shutil.copytree(compiled_path, tmp_path / "pipeline")
    wheel = package(pipeline, tmp_path / "packages", NAME, "1.2.3")
    with zipfile.ZipFile(wheel) as file_:
        file_.extractall(tmp_path / "site")
    python_path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    with Service(NAME, PYTHONPATH=python_path) as service:
        assert service.wait_for_status("/health", 200)["pipeline"] == f"{NAME} 1.2.3"
        assert service.post("/entities", {"text": texts[0]}) == (200, {"entities": expected_entities[0]})
