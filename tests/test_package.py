"""The wheel: what it needs, and that it works where the tools that built it are not."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from email.utils import parseaddr
from importlib.metadata import version

import pytest
import spacy
import srsly
from packaging.requirements import Requirement

from scripts.package import package_cli

from .helpers import ROOT, assert_refused, get_entities, read_docs, run_command
from .isolation import BUILD_TOOLS, install, run_isolated

NAME, VERSION = "en_made_up_trf", "1.2.3"
# Runs where the pipeline is used: reads texts, prints entities.
PROGRAM = """
import spacy

name, texts = json.load(sys.stdin)
docs = list(spacy.load(name).pipe(texts))
print(json.dumps({
    "entities": [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs],
    "blocked": [name for name in BLOCKED if name in sys.modules],
    "file": sys.modules[name].__file__,
}))
"""


def read_project_command():
    """RETURNS (Dict[str, List[str]]): The project's own command, with this test's names."""
    text = (ROOT / "project.yml").read_text(encoding="utf8")
    lang, _, name = NAME.partition("_")
    for variable, value in (("lang", lang), ("package", name), ("version", VERSION)):
        text = text.replace(f"${{vars.{variable}}}", value)
    return next(command for command in srsly.yaml_loads(text)["commands"] if command["name"] == "package")


def build_wheel(pipeline, folder, env):
    """RETURNS (Path): The wheel of a pipeline, built as the project does."""
    shutil.copytree(pipeline, folder / "training" / "model-compiled")
    (folder / "scripts").symlink_to(ROOT / "scripts")
    (folder / "packages").mkdir(exist_ok=True)
    command = read_project_command()
    for line in command["script"]:
        assert "${" not in line
        program, *arguments = shlex.split(line)
        line = [sys.executable if program == "python" else program, *arguments]
        result = subprocess.run(line, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    return folder / command["outputs"][0]


@pytest.fixture(scope="module")
def wheel(compiled_path, tmp_path_factory):
    """The wheel of the compiled pipeline, in a folder where one with another engine was built before.

    Built without the network: `build` can't make its isolated environment then, and `spacy package` goes on without it.
    """
    folder = tmp_path_factory.mktemp("package")
    before = folder / "packages" / f"{NAME}-{VERSION}" / "build" / "lib" / NAME / f"{NAME}-{VERSION}" / "transformer"
    before.mkdir(parents=True)
    (before / "encoder.bin").write_bytes(b"of another engine")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    return build_wheel(compiled_path, folder, env)


@pytest.fixture(scope="module")
def texts(test_corpus):
    return [doc.text for doc in read_docs(test_corpus)]


@pytest.fixture(scope="module")
def expected(reference_path, texts):
    """The reference's entities."""
    entities = [get_entities(doc) for doc in spacy.load(reference_path).pipe(texts)]
    assert sum(map(len, entities)) > 20
    return [[list(entity) for entity in found] for found in entities]


def read_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode("utf8"))


def test_wheel_is_where_the_project_says(wheel):
    assert wheel.is_file()
    assert wheel.name == f"{NAME}-{VERSION}-py3-none-any.whl"


def test_wheel_requires_the_engine_and_no_torch(wheel):
    requirements = {
        requirement.name: requirement for requirement in map(Requirement, read_metadata(wheel).get_all("Requires-Dist"))
    }
    assert requirements.keys() == {"spacy", "tokenizers", "onnxruntime"}
    for name, requirement in requirements.items():
        assert requirement.specifier.contains(version(name))
    assert str(requirements["onnxruntime"].specifier) == f"=={version('onnxruntime')}"


def test_wheel_holds_the_pipeline_and_the_runtime(wheel, compiled_path):
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if name.startswith(f"{NAME}/")}
    runtime = {path.name: path.read_bytes() for path in (ROOT / "scripts" / "compiled_transformer").glob("*.py")}
    for name, code in runtime.items():
        assert found[f"{NAME}/compiled_transformer/{name}"] == code
    written = {str(path.relative_to(compiled_path)) for path in compiled_path.rglob("*") if path.is_file()}
    data = {f"{NAME}-{VERSION}/{name}" for name in (*written, "README.md")}
    code = {f"compiled_transformer/{name}" for name in runtime}
    assert found.keys() == {f"{NAME}/{name}" for name in (*data, *code, "__init__.py", "meta.json")}


def test_installed_wheel_finds_the_same_entities_without_the_build_tools(wheel, texts, expected, tmp_path):
    site = install([wheel], tmp_path / "site")
    answer = run_isolated(tmp_path, PROGRAM, [NAME, texts], blocked=BUILD_TOOLS, places=[site])
    assert answer["file"].startswith(str(site))
    assert answer["blocked"] == []
    assert answer["entities"] == expected


def test_missing_pipeline(tmp_path):
    result = run_command(package_cli, tmp_path / "nowhere", tmp_path / "packages", "tiny", "1.0.0")
    assert_refused(result, tmp_path / "nowhere", "project run optimize")
    assert not (tmp_path / "packages").exists()


def test_name_that_has_the_language_already(compiled_path, tmp_path):
    pipeline = shutil.copytree(compiled_path, tmp_path / "pipeline")
    meta = srsly.read_json(pipeline / "meta.json")
    author = {"author": 'Zoë "Z" Doe', "email": "zoe@example.org", "url": "https://example.org", "license": "CC BY 4.0"}
    srsly.write_json(pipeline / "meta.json", {**meta, **author})
    result = run_command(package_cli, pipeline, tmp_path / "packages", "en_tiny", "1.0.0")
    assert result.exit_code == 0, result.output
    (wheel,) = (tmp_path / "packages").glob("*/dist/*.whl")
    assert wheel == tmp_path / "packages" / "en_tiny-1.0.0" / "dist" / "en_tiny-1.0.0-py3-none-any.whl"
    metadata = read_metadata(wheel)
    assert metadata["Name"] == "en_tiny"
    assert parseaddr(metadata["Author-email"]) == (author["author"], author["email"])
    assert metadata["License"] == author["license"]
    assert metadata["Project-URL"] == f"Homepage, {author['url']}"


def test_build_that_fails_leaves_the_wheel_before(compiled_path, tmp_path):
    before = tmp_path / "packages" / "en_tiny-first" / "dist"
    before.mkdir(parents=True)
    (before / "old.whl").write_text("old")
    result = run_command(package_cli, compiled_path, tmp_path / "packages", "tiny", "first")
    assert_refused(result, "No wheel was built", "`project.version` must be pep440")
    assert [path.read_text() for path in before.iterdir()] == ["old"]


@pytest.mark.slow
def test_clean_environment(compiled_path, texts, expected, tmp_path):
    """The wheel as the project builds it, installed with all that it requires and nothing else."""
    can_download = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--retries=0",
            "--no-deps",
            "--dest",
            tmp_path,
            "setuptools",
        ],
        capture_output=True,
    )
    if can_download.returncode != 0:
        pytest.skip("pip can't reach a package index")
    (tmp_path / "project").mkdir()
    wheel = build_wheel(compiled_path, tmp_path / "project", {})
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, cwd=tmp_path)
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True).stdout
    installed = {package["name"].lower() for package in json.loads(listed)}
    assert {"spacy", "onnxruntime", "tokenizers"} <= installed
    assert not {"torch", "transformers", "spacy-transformers", "openvino", "onnx"} & installed
    answer = run_isolated(tmp_path, PROGRAM, [NAME, texts], blocked=["torch"], python=python)
    assert answer["file"].startswith(str(tmp_path / "venv"))
    assert answer["entities"] == expected
