"""Build a wheel of the compiled pipeline that brings the runtime's code.

The data flow: training/model-compiled and scripts/compiled_transformer/ -> packages/*/dist/*.whl
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import srsly
import typer
from spacy.cli.package import package as spacy_package
from typer import Argument as Arg
from wasabi import msg

from . import compiled_transformer
from .common.console import UserError, exit_on_user_error
from .common.files import replace_when_done
from .common.pipelines import read_config, read_meta
from .compiled_transformer import component, ner, token_classification

RUNTIME = Path(compiled_transformer.__file__).parent
FACTORIES = {
    component.FACTORY: "component:make_compiled_transformer",
    ner.FACTORY: "ner:make_greedy_ner",
    token_classification.FACTORY: "token_classification:make_compiled_token_classifier",
}

# Its values are JSON, which is TOML too.
PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = {name}
version = {version}
description = {description}
dependencies = {requirements}
authors = [{author}]
license = {{text = {license}}}
{urls}

[project.entry-points.spacy_models]
{name} = {name}

[project.entry-points.spacy_factories]
{factories}

[tool.setuptools]
packages = {packages}

[tool.setuptools.package-data]
{name} = {data}
"""


def package_cli(
    # fmt: off
    pipeline: Path = Arg(..., help="Folder of the compiled pipeline"),
    output_dir: Path = Arg(..., help="Folder for packages"),
    name: str = Arg(..., help="Name, with or without the language: wikiner_trf becomes en_wikiner_trf"),
    version: str = Arg(..., help="Version of the package"),
    # fmt: on
):
    """Build a wheel that requires spaCy and one engine, and brings the compiled transformer's code."""
    with exit_on_user_error():
        wheel = package(pipeline, output_dir, name, version)
    msg.good(f"Built {wheel} ({wheel.stat().st_size / 1e6:.1f} MB). Install it: pip install {wheel}")


def package(pipeline: Path, output_dir: Path, name: str, version: str) -> Path:
    """Package a pipeline in a new folder, which then replaces the one of an earlier build.

    pipeline (Path): Folder of the compiled pipeline.
    output_dir (Path): Folder for packages.
    name (str): Name, with the language before it or without.
    version (str): Version of the package.
    RETURNS (Path): The wheel.
    RAISES (UserError): If there is no pipeline, it is damaged, or the wheel was not built.
    """
    if not (pipeline / "meta.json").is_file():
        raise UserError(f"There is no pipeline in {pipeline}. Make it with `python -m spacy project run optimize`.")
    read_config(pipeline)
    prefix = f"{read_meta(pipeline)['lang']}_"
    name = name.removeprefix(prefix)
    folder = output_dir / f"{prefix}{name}-{version}"
    with replace_when_done(folder) as path:
        path.parent.mkdir(parents=True, exist_ok=True)
        spacy_package(
            pipeline,
            path.parent,
            name=name,
            version=version,
            create_sdist=False,
            create_wheel=False,
            require_parent=True,
        )
        add_runtime(path, f"{prefix}{name}")
        wheel = build_wheel(path)
    return folder / "dist" / wheel


def add_runtime(folder: Path, name: str) -> None:
    """Put the runtime into a package, as the spaCy package's own code would be, and describe the whole for pip.

    folder (Path): What `spacy package` made.
    name (str): Name of the package, which its module has too.
    """
    module = folder / name
    shutil.copytree(RUNTIME, module / RUNTIME.name, ignore=shutil.ignore_patterns("__pycache__"))
    init = module / "__init__.py"
    init.write_text(f"from . import {RUNTIME.name}  # noqa: F401\n{init.read_text()}")
    for target in (module, module / folder.name):  # As spaCy's setup.py does it, which is replaced here.
        shutil.copy(folder / "meta.json", target)
    (folder / "setup.py").unlink()
    (folder / "pyproject.toml").write_text(make_pyproject(name, folder.name, srsly.read_json(folder / "meta.json")))


def make_pyproject(name: str, data: str, meta: Dict[str, Any]) -> str:
    """Describe a package of a pipeline for pip.

    name (str): Name of the package.
    data (str): Name of the folder in it that has the pipeline.
    meta (Dict[str, Any]): The pipeline's meta.json.
    RETURNS (str): The content of pyproject.toml.
    """
    runtime = f"{name}.{RUNTIME.name}"
    author = {key: meta[field] for key, field in (("name", "author"), ("email", "email")) if meta.get(field)}
    url = meta.get("url")
    values = {
        "name": name,
        "version": meta["version"],
        "description": meta.get("description") or "",
        "requirements": meta["requirements"],
        "license": meta.get("license") or "",
        "packages": [name, runtime],
        "data": ["meta.json", f"{data}/**/*"],
    }
    factories = "\n".join(f"{factory} = {json.dumps(f'{runtime}.{place}')}" for factory, place in FACTORIES.items())
    return PYPROJECT.format(
        **{key: json.dumps(value) for key, value in values.items()},
        author=f"{{{', '.join(f'{key} = {json.dumps(value)}' for key, value in author.items())}}}" if author else "",
        urls=f"urls = {{Homepage = {json.dumps(url)}}}" if url else "",
        factories=factories,
    )


def build_wheel(folder: Path) -> str:
    """Build with what is installed here, so that it takes no network.

    folder (Path): Has pyproject.toml; gets the wheel, in `dist`.
    RETURNS (str): Name of the wheel.
    RAISES (UserError): If there is none.
    """
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "."]
    result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wheels = list((folder / "dist").glob("*.whl"))
    if result.returncode or not wheels:
        lines = result.stdout.strip().splitlines() or ["it printed nothing"]
        # The last line of all says only that there was an error.
        reason = ([line for line in lines if "rror: " in line] or lines)[-1]
        raise UserError(
            f"No wheel was built ({reason.rstrip('.')}). Run `pip install -r requirements.txt` and try again."
        )
    return wheels[0].name


if __name__ == "__main__":
    typer.run(package_cli)
