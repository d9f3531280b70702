"""The project's structure: what imports what, and project.yml, which must know it too."""

import shlex

import pytest
import srsly

from .helpers import ROOT
from .imports import find_closure, find_imports, list_modules

COMMANDS = srsly.read_yaml(ROOT / "project.yml")["commands"]
MOST_LINES = 300


def is_command(name):
    return name.count(".") == 1 and list_modules()[name].name != "__init__.py"


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if "deps" in command], ids=lambda command: command["name"]
)
def test_deps_are_what_a_command_imports(command):
    """Else `spacy project run` skips a command although its code changed, or repeats it for nothing."""
    modules = list_modules()
    (entry,) = {shlex.split(line)[2] for line in command["script"]}
    wanted = sorted(str(modules[name]) for name in find_closure(entry) if (ROOT / modules[name]).stat().st_size)
    listed = [dep for dep in command["deps"] if dep.startswith("scripts/")]
    assert listed == wanted, "In project.yml:\n" + "\n".join(f'      - "{path}"' for path in wanted)


def test_no_library_imports_a_command():
    commands = {name for name in list_modules() if is_command(name)}
    importers = {name: find_imports(name) & commands for name in list_modules()}
    assert {name: found for name, found in importers.items() if found} == {}


def test_imports_make_no_circle():
    finished = set()

    def visit(name, path):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in finished:
            for imported in sorted(find_imports(name)):
                visit(imported, [*path, name])
            finished.add(name)

    for name in list_modules():
        visit(name, [])


def test_the_runtime_stands_alone():
    """It ships without the rest of the project."""
    for name in list_modules():
        if name.startswith("scripts.compiled_transformer"):
            assert all(imported.startswith("scripts.compiled_transformer") for imported in find_imports(name))


def test_compilation_takes_from_benchmarking_what_it_times_with():
    times_with = {"scripts.benchmarking", "scripts.benchmarking.process", "scripts.benchmarking.timing"}
    for name in list_modules():
        if name.startswith("scripts.compilation"):
            found = {imported for imported in find_imports(name) if imported.startswith("scripts.benchmarking")}
            assert found <= times_with


@pytest.mark.parametrize("name", list_modules())
def test_files_fit_on_a_few_screens(name):
    assert len((ROOT / list_modules()[name]).read_text(encoding="utf8").splitlines()) <= MOST_LINES
