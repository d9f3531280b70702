"""Nothing phones home, and nothing is written but what was asked for.

Annotating and serving are watched where an installed wheel does it: `annotation/test_installed.py`, `service/test_installed.py`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

from . import helpers
from .isolation import TRAINING
from .watched import Watch

TIMEOUT = 900  # Seconds. A hang has to fail; the limit is far from what a slow machine takes.

CALLS = """
import json, sys
import spacy
from scripts import compiled_transformer

paths, text = json.loads(sys.argv[1])
for path in paths:
    nlp = spacy.load(path, config={"components.transformer.warm_up_lengths": [16]})
    list(nlp.pipe([text] * 10, batch_size=4))
    nlp.get_pipe("transformer").to_bytes()
"""
PHONES = """
import pathlib, socket
try:
    socket.getaddrinfo("analytics.invalid", 443)
except OSError:
    pass
client = socket.socket()
client.setblocking(False)
try:
    client.connect(("192.0.2.1", 9))
except OSError:
    pass
socket.create_server(("127.0.0.1", 0))
(pathlib.Path.home() / "id").write_text("1")
"""


def run(watch: Watch, *arguments: Any) -> None:
    command = [sys.executable, *map(str, arguments)]
    process = subprocess.run(
        command, cwd=helpers.ROOT, env=watch.environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert process.returncode == 0, process.stderr


@pytest.fixture
def watched(tmp_path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def openvino_path(reference_path, tmp_path_factory) -> Path:
    return helpers.compile_reference(reference_path, tmp_path_factory.mktemp("openvino"), "openvino")


def test_the_watch_sees_what_phones_home(watched):
    watch = Watch(watched)
    run(watch, "-c", PHONES)
    found: List[Any] = watch.read()
    assert [line[0] for line in found[:-1]] == ["socket.getaddrinfo", "socket.connect", "open"]
    assert found[-1] == str(watch.home / "id")


def test_loading_and_calling_phones_nobody(compiled_path, openvino_path, watched):
    watch = Watch(watched, blocked=TRAINING)  # To start sooner
    run(watch, "-c", CALLS, json.dumps([[str(compiled_path), str(openvino_path)], "Ada met Karl in Bergen ."]))
    assert watch.read() == []


@pytest.mark.slow
def test_optimize_phones_nobody(reference_path, dev_corpus, watched):
    """With torch and transformers, which run the trained pipeline, onnxruntime, which checks what is exported, and NNCF."""
    watch = Watch(watched)
    folders = [reference_path, watched / "compiled", dev_corpus, dev_corpus, watched / "metrics"]
    options = ["--candidates", "openvino-int8", "--budget", "0", "--max-f1-drop", "1"]
    run(watch, "-m", "scripts.optimize", *folders, *options)
    assert watch.read() == []
