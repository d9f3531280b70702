"""README, docs/ and the other pages: commands that exist, with options that exist, and links that lead somewhere."""

import ast
import contextlib
import importlib
import inspect
import re
import shlex
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest
import srsly
import typer
import typer.exceptions
from spacy.util import load_config

from scripts.compiled_transformer.component import DEFAULT_CONFIG
from scripts.training.overrides import parse_overrides

from .helpers import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
MOST_LINES = 150  # Of the README.
PROJECT = srsly.read_yaml(ROOT / "project.yml")
RUNNABLE = {command["name"] for command in PROJECT["commands"]} | set(PROJECT["workflows"])
TORCHRUN = "torch.distributed.run"
OF_OTHERS = {"--code", "--force", "--output", "--preload"}  # Options of spaCy's own commands.


class Command(NamedTuple):
    """A command that a page gives."""

    module: str  # after `python -m`
    arguments: List[str]


def read(page: Path) -> str:
    return page.read_text(encoding="utf8")


def get_blocks(page: Path, *languages: str) -> List[str]:
    """RETURNS (List[str]): The fenced blocks with one of these languages, "" for none."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", read(page), flags=re.MULTILINE | re.DOTALL)
    return [block for language, block in blocks if language in languages]


def get_spans(page: Path) -> List[str]:
    """RETURNS (List[str]): The code inside sentences and tables."""
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()).replace("\\|", "|") for span in re.findall(r"`([^`]+)`", text)]


def find_commands(page: Path) -> Iterator[Command]:
    """YIELDS (Command): What a reader is told to run with `python -m`."""
    blocks = "\n".join(get_blocks(page, "", "bash")).replace("\\\n", " ")
    for line in [*blocks.splitlines(), *get_spans(page)]:
        for part in line.split(" && "):
            if part.startswith("python -m "):
                module, *arguments = shlex.split(part)[2:]
                if module == TORCHRUN:
                    start = arguments.index("-m")
                    module, arguments = arguments[start + 1], arguments[start + 2 :]
                yield Command(module, arguments)


def get_command(module: str) -> Any:
    """Build a command as its own file does.

    module (str): Its name, such as "scripts.optimize".
    """
    function = getattr(importlib.import_module(module), f"{module.partition('.')[2]}_cli")
    takes_overrides = typer.Context in [
        parameter.annotation for parameter in inspect.signature(function).parameters.values()
    ]
    settings = {"allow_extra_args": True, "ignore_unknown_options": True} if takes_overrides else {}
    app = typer.Typer()
    app.command(context_settings=settings)(function)
    return typer.main.get_command(app)


def check_script(command: Command) -> None:
    """Parse a command of ours as its file would, and look up what it overrides in the default config."""
    with contextlib.suppress(typer.Exit):  # `--help` ends there.
        context = get_command(command.module).make_context(command.module, list(command.arguments))
        config = load_config(ROOT / "configs" / "default.cfg").interpolate()
        for name in parse_overrides(context.args):
            block = config
            for key in name.split("."):
                assert key in block, f"configs/default.cfg has no {name}"
                block = block[key]


def check_project(command: Command) -> None:
    """Check a command of `spacy project`."""
    kind, action, *arguments = command.arguments
    if kind == "evaluate":
        assert (ROOT / arguments[arguments.index("--code") + 1]).is_file()
        return
    assert kind == "project"
    if action == "document":
        assert arguments == ["--output", "COMMANDS.md"]
    elif action == "run":
        name, *options = arguments
        assert name in RUNNABLE or name == "COMMAND"
        overridden = [option.partition("=")[0] for option in options if option.startswith("--vars.")]
        assert {option.removeprefix("--vars.") for option in overridden} <= set(PROJECT["vars"])
        if overridden:
            assert options[0] == ".", "An option of the project takes its folder before it"
    else:
        assert action == "assets"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist(page):
    for command in find_commands(page):
        if command.module == "spacy":
            check_project(command)
        elif command.module.startswith("scripts."):
            check_script(command)
        else:
            assert command.module in ("pip", "pytest", "venv", "tests.kinds_table", "tests.base_size")


def test_commands_are_found():
    """The pages are read as a reader reads them: the check above sees commands in blocks, in sentences, and on two lines."""
    found = {page.stem: list(find_commands(page)) for page in PAGES}
    assert Command("scripts.doctor", []) in found["compile-your-own"]
    assert any(command.arguments[-2:] == ["--steps", "1000"] for command in found["students"])
    assert "scripts.train_distributed" in [command.module for command in found["training"]]
    assert ["project", "run", "all"] in [command.arguments for command in found["README"]]


@pytest.mark.parametrize(
    "line",
    [
        "python -m scripts.serve training/model-compiled --prot 8001",
        "python -m scripts.optimize my_pipeline",
        "python -m scripts.train configs/default.cfg corpus assets/encoder training --training.max_stepps 200",
        "python -m spacy project run optimise",
        "python -m spacy project run train . --vars.stepps 200",
        "python -m spacy project run train --vars.max_steps 200",
    ],
)
def test_a_mistyped_command_is_seen(tmp_path, monkeypatch, line):
    page = tmp_path / "page.md"
    page.write_text(f"```\n{line}\n```\n")
    with pytest.raises((AssertionError, typer.exceptions.TyperException)):
        test_commands_exist(page)


def list_options() -> Dict[str, List[str]]:
    """RETURNS (Dict[str, List[str]]): The options of each of our commands."""
    names = [path.stem for path in (ROOT / "scripts").glob("*.py") if "_cli(" in path.read_text(encoding="utf8")]
    commands = {name: get_command(f"scripts.{name}") for name in names}
    return {name: [option for param in command.params for option in param.opts] for name, command in commands.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_in_sentences_exist(page):
    known = {option for options in list_options().values() for option in options} | OF_OTHERS | {"--help"}
    known.update(f"--vars.{name}" for name in PROJECT["vars"])
    named = {span.split()[0].rstrip(",") for span in get_spans(page) if span.startswith("--")}
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_vars_and_settings_exist(page):
    assert set(re.findall(r"\bvars\.(\w+)", read(page))) <= set(PROJECT["vars"])
    assert set(re.findall(r"components\.transformer\.(\w+)", read(page))) <= set(DEFAULT_CONFIG)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_is_python(page):
    for block in get_blocks(page, "python"):
        ast.parse(block)


def make_anchor(heading: str) -> str:
    """RETURNS (str): What GitHub calls a heading in links."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    visible = re.sub(r"<!--.*?-->", "", read(page), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", visible):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", read(linked), flags=re.MULTILINE)
            assert anchor in map(make_anchor, headings), f"{target} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_of_the_project_are_there(page):
    for span in get_spans(page):
        if re.fullmatch(r"(scripts|configs|tests|docs|\.ci)/[\w./-]+", span) and not re.search(r"[A-Z]", span):
            assert (ROOT / span).exists(), f"{span} is not there"


def test_every_page_is_linked_from_the_readme():
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in read(ROOT / "README.md")


def test_the_readme_is_short():
    assert len(read(ROOT / "README.md").splitlines()) <= MOST_LINES


def test_the_newest_version_comes_first():
    versions = re.findall(r"^## \[(.+?)\]", read(ROOT / "CHANGELOG.md"), flags=re.MULTILINE)
    assert versions[0] == "Unreleased"
    numbers = [tuple(map(int, version.split("."))) for version in versions[1:]]
    assert numbers == sorted(set(numbers), reverse=True)
