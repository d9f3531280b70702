"""Servers that load a pipeline, fork, and use it in the children."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Dict

import pytest

from scripts.compilation import build_torch
from scripts.compilation.artefact_writer import finish_artefact
from scripts.compilation.reference import load_reference
from scripts.compilation.swap import assemble, save_skeleton

from .. import helpers
from ..isolation import TRAINING, isolate, run_isolated
from .checks import ENGINES

HANG = 100  # Seconds. A child that hangs has to fail; the limit is far from what a slow machine takes.


@pytest.fixture(scope="module")
def all_paths(paths, reference_path, tmp_path_factory) -> Dict[str, Path]:
    """Compiled pipelines of all engines."""
    workspace = tmp_path_factory.mktemp("torch")
    reference = load_reference(reference_path)
    (workspace / "artefact").mkdir()
    build_torch.build(reference.encoder, workspace / "artefact")
    artefact = finish_artefact(reference, workspace / "artefact", "torch", "fp32", {"dtype": "float32"})
    save_skeleton(reference, workspace / "skeleton")
    assemble(workspace / "skeleton", artefact, "transformer", workspace / "pipeline")
    return {**paths, "torch": workspace / "pipeline"}


FORK = """
import gc, os, signal, threading, warnings
import spacy
from scripts import compiled_transformer

path, texts, used, hang = json.load(sys.stdin)
settings = {"components.transformer.threads": 2, "components.transformer.batch_wordpieces": 200}
if used == "warmed up":
    settings["components.transformer.warm_up_lengths"] = [16]
nlp = spacy.load(path, config=settings)
short_text, long_text = " ".join(texts[0].split()[:4]), " ".join(texts)
get = lambda doc: [[ent.start, ent.end, ent.label_] for ent in doc.ents]

def start_in_child(action):
    process = os.fork()
    if process:
        return process
    signal.alarm(hang)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [get(doc) for doc in [nlp(short_text), *nlp.pipe(texts, batch_size=4), nlp(long_text)]]
    with open(f"{os.getpid()}.json", "w") as file_:
        json.dump([found, [str(warning.message) for warning in caught if "forked" in str(warning.message)]], file_)
    if action == "load again":
        globals().pop("nlp")
        gc.collect()
        again = spacy.load(path, config=settings)
        assert get(again(short_text)) == found[0]
    sys.exit(0)

if used == "called":
    nlp(short_text), list(nlp.pipe(texts, batch_size=4)), nlp(long_text)
if used == "is calling":
    thread = threading.Thread(target=nlp, args=(long_text,))
    starts, start = threading.Event(), sys.modules["scripts.compiled_transformer.encoder"].start_engine
    def start_and_say(*arguments):
        starts.set()
        return start(*arguments)
    sys.modules["scripts.compiled_transformer.encoder"].start_engine = start_and_say
    thread.start()
    starts.wait()
children = {start_in_child(action): action for action in ("exit", "load again")}
results = {}
for child, action in children.items():
    _, status = os.waitpid(child, 0)
    results[action] = [status, *json.load(open(f"{child}.json"))] if status == 0 else [status, None, None]
if used == "is calling":
    thread.join()
own = [get(doc) for doc in [nlp(short_text), *nlp.pipe(texts, batch_size=4), nlp(long_text)]]
print(json.dumps([results, own]))
"""


@pytest.mark.parametrize(
    "engine, used",
    [
        *((engine, "called") for engine in ENGINES),
        *(
            pytest.param(engine, used, marks=pytest.mark.slow)
            for engine, used in [
                ("torch", "called"),
                ("torch", "is calling"),
                *((engine, "is calling") for engine in ENGINES),
                *((engine, "warmed up") for engine in ENGINES),
                *((engine, "loaded") for engine in (*ENGINES, "torch")),
            ]
        ),
    ],
)
def test_children_compute_and_end(all_paths, texts, tmp_path, engine, used):
    argument = [str(all_paths[engine]), texts[:8], used, HANG]
    blocked = () if engine == "torch" else TRAINING  # To start sooner
    results, own = run_isolated(tmp_path, FORK, argument, blocked=blocked, places=[helpers.ROOT])
    for status, found, warned in results.values():
        assert status == 0
        assert found == own
        # Only torch loses something.
        assert len(warned) == (engine == "torch" and used in ("called", "is calling"))
        for message in warned:
            assert "one of its threads" in message and "after the fork" in message


APPLICATION = """
import json, sys
sys.path.insert(0, {root!r})
import spacy
from scripts import compiled_transformer

nlp = spacy.load({path!r})
expected = [ent.text for ent in nlp({text!r}).ents]

def application(environ, start_response):
    found = [ent.text for ent in nlp({text!r}).ents]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [json.dumps(found == expected).encode()]
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_gunicorn_that_loads_before_it_forks(paths, texts, tmp_path, engine):
    """Its workers answer, end when they have had their number of requests, are started again, and end with it."""
    code = APPLICATION.format(root=str(helpers.ROOT), path=str(paths[engine]), text=texts[0])
    (tmp_path / "served.py").write_text(code, encoding="utf8")
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers=2", "--max-requests=5", "--bind=127.0.0.1:0"]
    deployed = isolate(tmp_path, TRAINING)
    server = subprocess.Popen(
        [*command, "served:application"], cwd=tmp_path, env=deployed, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = []
        for line in server.stderr:
            lines.append(line)
            if "Listening at" in line:
                break
        address = re.search("http://[0-9.:]+", lines[-1])[0]
        answers = [urllib.request.urlopen(address, timeout=HANG).read() for _ in range(25)]
        server.send_signal(signal.SIGTERM)
        lines.extend(server.communicate(timeout=HANG)[1].splitlines())
    finally:
        server.kill()
    assert answers == [b"true"] * 25
    assert server.returncode == 0
    assert sum("Booting worker" in line for line in lines) > 4
    for line in lines:
        # What is said of a worker that hangs, or ends as it should not.
        assert not re.search("SIG(KILL|ABRT|SEGV)|TIMEOUT|exited with code|Traceback", line), lines
