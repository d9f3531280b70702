"""The pipeline to serve: where it is, and what the front has to know of it without loading it."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import srsly
from spacy import util

from ..compiled_transformer import DEFAULT_CONFIG, MANIFEST, TOKENIZER, get_encoder_id
from ..console import UserError


class Place(NamedTuple):
    """A compiled pipeline. Plain data, which goes to other processes."""

    name: str  # What `spacy.load` takes: a folder, or the name of an installed package.
    title: str
    transformer: str
    others: List[str]  # Components after the transformer.
    tokenizer: str  # Path of the encoder's tokenizer.
    encoder_id: str
    encoder: str  # In words.
    width: int


def find_pipeline(name: str) -> Place:
    """Find a compiled pipeline.

    name (str): Folder or name of an installed package.
    RAISES (UserError): If there is none, or its transformer is not compiled.
    """
    folder = find_folder(name)
    meta, config = srsly.read_json(folder / "meta.json"), util.load_config(folder / "config.cfg")
    components: Dict[str, Any] = config["components"]
    compiled = [key for key, block in components.items() if block.get("factory") == "compiled_transformer"]
    if not compiled:
        raise UserError(
            f"{name} has no compiled transformer. Compile it first: `python -m scripts.optimize` (see its --help)."
        )
    transformer = compiled[0]
    for file_name in (MANIFEST, TOKENIZER):
        if not (folder / transformer / file_name).is_file():
            raise UserError(f"There is no {file_name} in {folder / transformer}. Copy the whole pipeline again.")
    settings = {**DEFAULT_CONFIG, **components[transformer]}
    if settings["remote"]:
        raise UserError(
            f"{name} asks {settings['remote']} for its token vectors. Serve the pipeline that has the encoder itself."
        )
    manifest = srsly.read_json(folder / transformer / MANIFEST)
    pipeline: List[str] = config["nlp"]["pipeline"]
    return Place(
        name=str(folder.resolve()) if Path(name).is_dir() else name,
        title=f"{meta['lang']}_{meta['name']} {meta['version']}",
        transformer=transformer,
        others=pipeline[pipeline.index(transformer) + 1 :],
        tokenizer=str((folder / transformer / TOKENIZER).resolve()),
        encoder_id=get_encoder_id(manifest, settings),
        encoder=f"{manifest['engine']} {manifest['precision']}, width {manifest['width']}, {settings['spans']} windows "
        f"of {settings['window']} with stride {settings['stride']}",
        width=manifest["width"],
    )


def find_folder(name: str) -> Path:
    """RETURNS (Path): The folder with the pipeline's config.cfg."""
    folder = Path(name)
    if not folder.exists() and util.is_package(name):
        package = util.get_package_path(name)
        meta = util.get_model_meta(package)
        folder = package / f"{meta['lang']}_{meta['name']}-{meta['version']}"
    if not (folder / "config.cfg").is_file():
        raise UserError(
            f"There is no pipeline at {name}. Give the folder of a compiled one, such as training/model-compiled, "
            "or the name of an installed package."
        )
    return folder
