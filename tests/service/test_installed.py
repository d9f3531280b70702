"""A service that runs an installed wheel, as the command's help says: it phones nobody."""

import os
import shutil
import zipfile

import pytest

pytest.importorskip("ray")

from scripts.package import package

from ..isolation import TRAINING
from ..watched import watch_ray
from .service_process import Service

pytestmark = pytest.mark.slow
NAME = "en_served_trf"


def test_installed_wheel_phones_nobody(compiled_path, texts, expected_entities, tmp_path):
    """The wheel brings a copy of the runtime, and the command imports the project's own."""
    pipeline = shutil.copytree(compiled_path, tmp_path / "pipeline")
    wheel = package(pipeline, tmp_path / "packages", NAME, "1.2.3")
    with zipfile.ZipFile(wheel) as file_:
        file_.extractall(tmp_path / "site")
    with watch_ray(TRAINING) as watch:
        places = [watch.environment["PYTHONPATH"], str(tmp_path / "site")]
        with Service(NAME, **{**watch.environment, "PYTHONPATH": os.pathsep.join(places)}) as service:
            assert service.wait_for_status("/health", 200)["pipeline"] == f"{NAME} 1.2.3"
            assert service.post("/entities", {"text": texts[0]}) == (200, {"entities": expected_entities[0]})
            service.stop()
        assert watch.read() == []
