"""Build a wheel of the compiled pipeline with `spacy package`.

The way of the data: training/model-compiled and scripts/compiled_transformer.py -> packages/*/dist/*.whl
"""

from pathlib import Path

import srsly
import typer
from spacy.cli.package import package as spacy_package
from typer import Argument as Arg
from wasabi import msg

from . import compiled_transformer
from .console import UserError, exit_on_user_error, replace_when_done


def package_cli(
    # fmt: off
    pipeline: Path = Arg(..., help="Folder of the compiled pipeline"),
    output_dir: Path = Arg(..., help="Folder for packages"),
    name: str = Arg(..., help="Name without the language: wikiner_trf becomes en_wikiner_trf"),
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
    RAISES (UserError): If there is no pipeline, or the wheel was not built.
    """
    if not (pipeline / "meta.json").is_file():
        raise UserError(f"There is no pipeline in {pipeline}. Make it with `python -m spacy project run optimize`.")
    prefix = f"{srsly.read_json(pipeline / 'meta.json')['lang']}_"
    full_name = prefix + name.removeprefix(prefix)  # As spaCy names it.
    folder = output_dir / f"{full_name}-{version}"
    with replace_when_done(folder) as path:
        path.parent.mkdir(parents=True, exist_ok=True)
        spacy_package(
            pipeline,
            path.parent,
            code_paths=[Path(compiled_transformer.__file__)],
            name=name,
            version=version,
            create_sdist=False,
            create_wheel=True,
            require_parent=True,
        )
        wheels = list((path / "dist").glob("*.whl"))
        if not wheels:
            raise UserError(f"No wheel was built from {pipeline}: read the messages above. `pip install build` may help.")
    return folder / "dist" / wheels[0].name


if __name__ == "__main__":
    typer.run(package_cli)
