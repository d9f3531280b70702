"""`project.yml`: its commands fit together, and the whole workflow runs in a copy of the project."""

import bz2
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import islice

import pytest
import spacy
import srsly
from weasel.util import load_project_config

from scripts import compiled_transformer  # noqa: F401

from .helpers import ROOT, read_docs, read_sentences

FILES = ("project.yml", "requirements.txt", "COMMANDS.md", "configs", "scripts")
QUICK = "--rounds 1 --words 2000 --sentences 20 --longest 1000"
STEPS = ["encoder", "corpus", "train", "optimize", "evaluate", "benchmark", "package"]


@pytest.fixture
def project(tmp_path):
    """A copy of the project, without what its commands make."""
    folder = tmp_path / "project"
    (folder / "assets").mkdir(parents=True)
    shutil.copy(ROOT / "assets" / "wikiner-sample.bz2", folder / "assets")
    for name in FILES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def run_project(project, *arguments):
    """RETURNS (str): What a project command prints, without colours and line breaks."""
    # As on a user's machine, where Python keeps compiled files beside the scripts.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "spacy", "project", *map(str, arguments)]
    result = subprocess.run(
        command, cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf8"
    )
    printed = re.sub("\x1b\\[[0-9;]*m", "", result.stdout)
    assert result.returncode == 0, printed
    assert "Traceback" not in printed
    return " ".join(printed.split())


def test_what_a_command_reads_is_there_before(project):
    """Every dependency is in the project, or made by a step before; every path in a script is declared."""
    config = load_project_config(project)
    commands = {command["name"]: command for command in config["commands"]}
    assert config["workflows"]["all"] == ["setup", *STEPS]
    made = {asset["dest"] for asset in config["assets"]}
    for step in STEPS:
        command = commands[step]
        for path in command["deps"]:
            assert path in made or (project / path).exists(), f"{step} depends on {path}"
        arguments = shlex.split(command["script"][-1])
        known = [*command["deps"], *command["outputs"], *config["directories"]]
        for argument in arguments:
            if argument.startswith(("corpus/", "training/", "metrics/", "assets/", "scripts/", "configs/")):
                assert argument in known, f"{step} does not declare {argument}"
        modules = [argument for argument in arguments if argument.startswith("scripts.")]
        for module in modules:
            assert f"{module.replace('.', '/')}.py" in command["deps"]
        made.update(command["outputs"])


def test_no_command_depends_on_a_folder_of_code(project):
    """Python writes compiled files there, which look like a change."""
    for command in load_project_config(project)["commands"]:
        folders = [project / path for path in command.get("deps", []) if (project / path).is_dir()]
        assert [path for folder in folders for path in folder.rglob("*.py")] == []


def test_vars_are_used_and_defined(project):
    text = (project / "project.yml").read_text(encoding="utf8")
    defined = set(srsly.yaml_loads(text)["vars"])
    assert set(re.findall(r"\$\{vars\.(\w+)\}", text)) == defined


def test_package_has_the_language_in_its_name(project):
    variables = {"vars.lang": "de", "vars.package": "tiny", "vars.version": "1.2.3"}
    commands = {command["name"]: command for command in load_project_config(project, overrides=variables)["commands"]}
    assert commands["package"]["outputs"] == ["packages/de_tiny-1.2.3/dist/de_tiny-1.2.3-py3-none-any.whl"]


def test_the_list_of_commands_is_up_to_date(project):
    written = project / "COMMANDS.md"
    before = written.read_text(encoding="utf8")
    run_project(project, "document", "--output", written.name)
    assert written.read_text(encoding="utf8") == before, "Run `python -m spacy project document --output COMMANDS.md`"


@pytest.mark.slow
def test_workflow(project, sample_path, tiny_encoder):
    source = project / "assets" / "cut.bz2"
    sentences = [
        " ".join("|".join(token) for token in sentence) for sentence in islice(read_sentences(sample_path), 150)
    ]
    source.write_bytes(bz2.compress("\n\n".join(sentences).encode("utf8")))
    variables = {
        "source": "assets/cut.bz2", "encoder": tiny_encoder, "n_sents": 3, "dev_share": 0.2, "test_share": 0.2,
        "max_steps": 4, "warmup_steps": 1, "eval_frequency": 2, "budget": 0, "package": "tiny", "version": "1.2.3",
    }  # fmt: skip
    options = [part for name, value in variables.items() for part in (f"--vars.{name}", value)]
    config = (project / "project.yml").read_text(encoding="utf8")
    # Nothing is installed, and little is tried and measured.
    shortened = {
        "    - setup\n": "",
        "scripts.optimize ": "scripts.optimize --candidates onnxruntime-fp32 ",
        "scripts.benchmark ": f"scripts.benchmark {QUICK} ",
    }
    for text, instead in shortened.items():
        assert config.count(text) == 1
        config = config.replace(text, instead)
    (project / "project.yml").write_text(config, encoding="utf8")

    printed = run_project(project, "run", "all", ".", *options)
    assert "Skipping" not in printed
    commands = {
        command["name"]: command
        for command in load_project_config(project, overrides={f"vars.{k}": str(v) for k, v in variables.items()})[
            "commands"
        ]
    }
    outputs = [path for step in STEPS for path in commands[step]["outputs"]]
    assert [path for path in outputs if not (project / path).exists()] == []
    nlp = spacy.load(project / "training" / "model-compiled")
    doc = next(nlp.pipe(doc.text for doc in read_docs(project / "corpus" / "test.spacy")))
    assert doc.tensor.shape == (len(doc), 64)

    printed = run_project(project, "run", "all", ".", *options)
    assert [step for step in STEPS if f"Skipping '{step}': nothing changed" not in printed] == []

    for name in ("reference.json", "compiled.json"):
        (project / "metrics" / name).unlink()
    printed = run_project(project, "run", "evaluate", ".", *options)
    assert "Entity F1" in printed
    assert (project / "metrics" / "compiled.json").is_file()
