"""Several compiled pipelines in one process, each from a wheel with its own copy of the runtime, or from the project."""

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest
import spacy

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.artefact import FORMAT, MANIFEST
from scripts.package import package

from . import helpers
from .isolation import BUILD_TOOLS, TRAINING, install, run_isolated

ONE, TWO, PROJECT = "en_one", "en_two", "scripts.compiled_transformer"

# What is loaded is annotated only after the last was loaded, so that each copy is there while each pipeline runs.
LOAD = """
import importlib, spacy

def describe(docs):
    return [[[[ent.start, ent.end, ent.label_] for ent in doc.ents], [token.tag_ for token in doc]] for doc in docs]

def load(name, folder):
    importlib.import_module(name)
    return spacy.load(folder or name)
"""
IN_TURN = f"""{LOAD}
pipelines, texts = json.load(sys.stdin)
loaded = [load(*pipeline) for pipeline in pipelines]
found = [describe(nlp.pipe(texts)) for nlp in loaded]
code = [type(nlp.get_pipe("transformer")).__module__ for nlp in loaded]
print(json.dumps([found, code]))
"""
AT_ONCE = f"""{LOAD}
import threading

pipelines, texts = json.load(sys.stdin)
sys.setswitchinterval(1e-6)  # Python changes threads as often as it can.
barrier, found = threading.Barrier(len(pipelines)), {{}}

def run(name, folder):
    barrier.wait()
    found[name] = describe(load(name, folder).pipe(texts))

threads = [threading.Thread(target=run, args=pipeline) for pipeline in pipelines]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([found[name] for name, _ in pipelines]))
"""
COPIES = f"""{LOAD}
import multiprocessing, pickle
from spacy.util import load_model_from_config

if __name__ == "__main__":
    name, texts = json.load(sys.stdin)
    multiprocessing.set_start_method("spawn")
    nlp = load(name, None)
    docs = list(nlp.pipe(texts))
    component = pickle.loads(pickle.dumps(nlp.get_pipe("transformer")))
    found = {{
        "component": all((one == doc.tensor).all() for one, doc in zip(component.predict(docs), docs)),
        "doc": describe(pickle.loads(pickle.dumps(docs))),
        "n_process": describe(nlp.pipe(texts, n_process=2, batch_size=8)),
        "to_bytes": describe(load_model_from_config(nlp.config).from_bytes(nlp.to_bytes()).pipe(texts)),
    }}
    nlp.get_pipe("transformer").model = pickle.loads(pickle.dumps(nlp.get_pipe("transformer").model))
    found["model"] = describe(nlp.pipe(texts))
    print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folders(compiled_path, multi_head_path, tmp_path_factory) -> Dict[str, Path]:
    """Two compiled pipelines with different components, by the name of their packages."""
    return {ONE: compiled_path, TWO: helpers.compile_reference(multi_head_path, tmp_path_factory.mktemp("two"))}


@pytest.fixture(scope="module")
def site(folders, tmp_path_factory) -> Path:
    """A folder in which the wheels of both are installed."""
    workspace = tmp_path_factory.mktemp("wheels")
    wheels = [package(folder, workspace / "packages", name, "1.0.0") for name, folder in folders.items()]
    return install(wheels, workspace / "site")


@pytest.fixture(scope="module")
def texts(test_corpus) -> List[str]:
    return [example[0] for example in helpers.MULTI_HEAD_EXAMPLES] + [
        doc.text for doc in helpers.read_docs(test_corpus)
    ]


@pytest.fixture(scope="module")
def expected(folders, texts) -> Dict[str, Any]:
    """What each pipeline finds, loaded from its folder: entities and tags of each text."""
    found = {}
    for name, folder in folders.items():
        docs = list(spacy.load(folder).pipe(texts))
        assert sum(len(doc.ents) for doc in docs) > 20
        found[name] = [
            [[list(entity) for entity in helpers.get_entities(doc)], [token.tag_ for token in doc]] for doc in docs
        ]
    assert found[ONE] != found[TWO]
    return found


def change_runtime(site: Path, name: str, target: Path, old: str, new: str, *, module: str) -> Path:
    """Copy an installed package, and make its runtime that of another version.

    RETURNS (Path): The folder in which the copy is installed.
    """
    folder = Path(shutil.copytree(site / name, target / name))
    path = folder / "compiled_transformer" / module
    code = path.read_text(encoding="utf8")
    assert code.count(old) == 1
    path.write_text(code.replace(old, new), encoding="utf8")
    return target


# Several copies of one version


@pytest.mark.parametrize("names", [(ONE, TWO), (TWO, ONE), (ONE, PROJECT), (PROJECT, ONE)], ids=" then ".join)
def test_pipelines_are_loaded_one_after_the_other(site, folders, texts, expected, names, tmp_path):
    """The project's code runs the second pipeline from its folder."""
    pipelines = [(name, str(folders[TWO]) if name == PROJECT else None) for name in names]
    blocked = [name for name in BUILD_TOOLS if name != "scripts" or PROJECT not in names]
    found, code = run_isolated(tmp_path, IN_TURN, [pipelines, texts], blocked=blocked, places=[site, helpers.ROOT])
    assert found == [expected[TWO if name == PROJECT else name] for name in names]
    # The copy that came first runs all.
    assert {module.partition(".compiled_transformer")[0] for module in code} == {names[0].partition(".")[0]}


@pytest.mark.parametrize("names", [(ONE, TWO), (ONE, PROJECT)], ids=" and ".join)
def test_pipelines_are_loaded_by_two_threads_at_once(site, folders, texts, expected, names, tmp_path):
    pipelines = [(name, str(folders[TWO]) if name == PROJECT else None) for name in names]
    blocked = TRAINING if PROJECT in names else BUILD_TOOLS
    found = run_isolated(tmp_path, AT_ONCE, [pipelines, texts], blocked=blocked, places=[site, helpers.ROOT])
    assert found == [expected[TWO if name == PROJECT else name] for name in names]


def test_everything_of_a_wheel_can_be_copied(site, texts, expected, tmp_path):
    """Into bytes, a pickle and other processes, which import the wheel themselves."""
    found = run_isolated(tmp_path, COPIES, [ONE, texts], blocked=BUILD_TOOLS, places=[site])
    assert found.pop("component") is True
    assert found == dict.fromkeys(("doc", "n_process", "to_bytes", "model"), expected[ONE])


# Copies of several versions


@pytest.mark.parametrize("names", [(ONE, TWO), (TWO, ONE)], ids=" then ".join)
def test_wheels_of_different_versions(site, texts, expected, names, tmp_path):
    place = change_runtime(
        site, TWO, tmp_path / "newer", "import srsly\n", "import srsly\n\nVERSION = 2\n", module="encoder.py"
    )
    found, code = run_isolated(
        tmp_path,
        IN_TURN,
        [[(name, None) for name in names], texts],
        blocked=BUILD_TOOLS,
        places=[place, site],
    )
    assert found == [expected[name] for name in names]
    assert {module.partition(".")[0] for module in code} == {names[0]}


REFUSED = f"""{LOAD}
first, second = json.load(sys.stdin)
load(*first)
try:
    load(*second)
    print(json.dumps(None))
except ValueError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture
def newer(site, tmp_path) -> Path:
    """Where the second package is installed with a runtime and files of a later format."""
    place = change_runtime(
        site, TWO, tmp_path / "newer", f"FORMAT = {FORMAT}", f"FORMAT = {FORMAT + 1}", module="artefact.py"
    )
    (path,) = place.glob(f"{TWO}/{TWO}-*/transformer/{MANIFEST}")
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf8")), "format": FORMAT + 1}), encoding="utf8")
    return place


@pytest.mark.parametrize("first, owner", [(ONE, f"the package {ONE}"), (PROJECT, "this project")])
def test_newer_format_is_refused_by_older_code(site, newer, folders, first, owner, tmp_path):
    """With the name of what to upgrade."""
    pipelines = [(first, str(folders[ONE]) if first == PROJECT else None), (TWO, None)]
    blocked = TRAINING if first == PROJECT else BUILD_TOOLS
    message = run_isolated(tmp_path, REFUSED, pipelines, blocked=blocked, places=[newer, site, helpers.ROOT])
    assert f"{TWO}-1.0.0/transformer has format {FORMAT + 1}" in message
    assert f"that of {owner}, knows formats up to {FORMAT}. Upgrade {owner}, or load this pipeline before" in message


def test_newer_code_runs_older_formats(site, newer, texts, expected, tmp_path):
    pipelines = [(TWO, None), (ONE, None)]
    found, _ = run_isolated(tmp_path, IN_TURN, [pipelines, texts], blocked=BUILD_TOOLS, places=[newer, site])
    assert found == [expected[TWO], expected[ONE]]
