"""The wheel: what it needs, and that it works where the tools that built it are not."""

import json
import os
import re
import shlex
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from importlib.metadata import version

import pytest
import spacy
import srsly
from packaging.requirements import Requirement

from .helpers import ROOT, get_entities, read_docs

NAME = "en_made_up_trf"
# Runs where the pipeline is used: reads texts, prints entities. What its first argument lists can't be imported.
PROGRAM = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(f"{name} is blocked")

blocked = json.loads(sys.argv[1])
sys.meta_path.insert(0, Blocker())
import spacy
nlp = spacy.load(sys.argv[2])
docs = list(nlp.pipe(json.load(sys.stdin)))
print(json.dumps({
    "entities": [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs],
    "blocked": [name for name in blocked if name in sys.modules],
    "file": sys.modules[sys.argv[2]].__file__,
}))
"""
BUILD_TOOLS = ["torch", "transformers", "spacy_transformers", "scripts", "onnx", "nncf", "nebullvm", "huggingface_hub"]


def read_command():
    """RETURNS (List[str]): The project's own command, with this test's names."""
    project = srsly.read_yaml(ROOT / "project.yml")
    script = next(command["script"] for command in project["commands"] if command["name"] == "package")
    line = next(line for line in script if "spacy package" in line)
    line = line.replace("${vars.package}", NAME.partition("_")[2]).replace("${vars.version}", "1.2.3")
    assert "${" not in line
    return shlex.split(line)


def build_wheel(pipeline, folder, env):
    """RETURNS (Path): The wheel of a pipeline, built with the project's options."""
    packages = folder / "packages"
    packages.mkdir()
    places = {"python": sys.executable, "training/model-compiled": str(pipeline), "packages": str(packages)}
    command = [places.get(part, part) for part in read_command()]
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = packages.rglob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(compiled_path, tmp_path_factory):
    """The wheel of the compiled pipeline.

    Built without the network: `build` can't make its isolated environment then, and `spacy package` goes on without it.
    """
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    return build_wheel(compiled_path, tmp_path_factory.mktemp("package"), env)


@pytest.fixture(scope="module")
def texts(test_corpus):
    return [doc.text for doc in read_docs(test_corpus)]


@pytest.fixture(scope="module")
def expected(reference_path, texts):
    """The reference's entities."""
    entities = [get_entities(doc) for doc in spacy.load(reference_path).pipe(texts)]
    assert sum(map(len, entities)) > 20
    return [[list(entity) for entity in found] for found in entities]


def run_program(python, texts, blocked, folder, env):
    """Load the pipeline by its name in another process, far from the project."""
    result = subprocess.run(
        [python, "-c", PROGRAM, json.dumps(blocked), NAME],
        cwd=folder,
        env={**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **env},
        input=json.dumps(texts),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def read_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode("utf8"))


def test_wheel_is_where_the_project_says(wheel):
    project = srsly.read_yaml(ROOT / "project.yml")
    (declared,) = next(command["outputs"] for command in project["commands"] if command["name"] == "package")
    pattern = declared.replace("${vars.package}", NAME.partition("_")[2]).replace("${vars.version}", "1.2.3")
    assert str(wheel).endswith(f"/{pattern}")


def test_wheel_requires_the_engine_and_no_torch(wheel):
    requirements = {
        requirement.name: requirement
        for requirement in map(Requirement, read_metadata(wheel).get_all("Requires-Dist"))
    }
    assert requirements.keys() == {"spacy", "tokenizers", "onnxruntime"}
    for name, requirement in requirements.items():
        assert requirement.specifier.contains(version(name))
    assert str(requirements["onnxruntime"].specifier) == f"=={version('onnxruntime')}"


def test_wheel_holds_one_code_file_and_no_weights_of_torch(wheel, compiled_path):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.read(f"{NAME}/compiled_transformer.py") == (
            ROOT / "scripts" / "compiled_transformer.py"
        ).read_bytes()
    assert {name for name in names if name.endswith(".py")} == {f"{NAME}/__init__.py", f"{NAME}/compiled_transformer.py"}
    data = {name.partition(f"{NAME}-1.2.3/")[2] for name in names if name.startswith(f"{NAME}/{NAME}-1.2.3/")}
    written = {str(path.relative_to(compiled_path)) for path in compiled_path.rglob("*") if path.is_file()}
    assert data == {*written, "README.md"}
    assert not [name for name in names if re.search(r"\.(pkl|pt|bin|safetensors)$", name)]


def test_installed_wheel_finds_the_same_entities_without_the_build_tools(wheel, texts, expected, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(install, check=True, cwd=tmp_path)
    answer = run_program(sys.executable, texts, BUILD_TOOLS, tmp_path, {"PYTHONPATH": str(target)})
    assert answer["file"].startswith(str(target))
    assert answer["blocked"] == []
    assert answer["entities"] == expected


def test_wheel_built_again_has_nothing_of_the_one_before(compiled_path, tmp_path):
    """Another engine's files must not stay in it."""


@pytest.mark.slow
def test_clean_environment(compiled_path, texts, expected, tmp_path):
    """The wheel as the project builds it, installed with all that it requires and nothing else."""
    can_download = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--retries=0", "--no-deps", "--dest", tmp_path, "setuptools"],
        capture_output=True,
    )
    if can_download.returncode != 0:
        pytest.skip("pip can't reach a package index")
    wheel = build_wheel(compiled_path, tmp_path, {})
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, cwd=tmp_path)
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True).stdout
    installed = {package["name"].lower() for package in json.loads(listed)}
    assert {"spacy", "onnxruntime", "tokenizers"} <= installed
    assert not {"torch", "transformers", "spacy-transformers", "openvino", "onnx"} & installed
    answer = run_program(python, texts, ["torch"], tmp_path, {})
    assert answer["file"].startswith(str(tmp_path / "venv"))
    assert answer["entities"] == expected
