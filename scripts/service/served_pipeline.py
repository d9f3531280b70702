"""The pipeline to serve: where it is, and what the front has to know of it without loading it."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from ..common.console import UserError
from ..common.pipelines import find_pipeline
from ..common.texts import uses_spacy_tokenizer
from ..compiled_transformer.artefact import MANIFEST
from ..compiled_transformer.component import DEFAULT_CONFIG, FACTORY
from ..compiled_transformer.encoder import CompiledEncoder
from ..compiled_transformer.remote import get_encoder_id


class ServedPipeline(NamedTuple):
    """A compiled pipeline. Plain data, which goes to other processes."""

    name: str  # What `spacy.load` takes: a folder, or the name of an installed package.
    title: str
    transformer: str
    others: List[str]  # Components after the transformer.
    artefact: str  # Folder of the compiled encoder.
    encoder_id: str
    encoder: str  # In words.
    width: int
    has_spacy_tokenizer: bool
    scores_entities: bool


def find_served_pipeline(name: str, encoder_only: bool = False) -> ServedPipeline:
    """Find a compiled pipeline without loading it.

    name (str): Folder or name of an installed package.
    encoder_only (bool): It has to give token vectors.
    RETURNS (ServedPipeline): The pipeline.
    RAISES (UserError): If there is none, its transformer is not compiled or damaged, or it gives no vectors but has to.
    """
    found = find_pipeline(name)
    if not found.compiled:
        raise UserError(
            f"{name} has no compiled transformer. Compile it first: `python -m scripts.optimize` (see its --help)."
        )
    transformer = found.compiled[0]
    files = found.folder / transformer
    manifest = check_artefact(files)
    if encoder_only and found.config["components"][transformer]["factory"] != FACTORY:
        raise UserError(
            f"{name} gives no token vectors: its {transformer!r} labels wordpieces. Serve it without --encoder-only."
        )
    settings = {**DEFAULT_CONFIG, **found.config["components"][transformer]}
    if settings["remote"]:
        raise UserError(
            f"{name} asks {settings['remote']} for its token vectors. Serve the pipeline that has the encoder itself."
        )
    pipeline: List[str] = found.config["nlp"]["pipeline"]
    return ServedPipeline(
        name=found.name,
        title="{lang}_{name} {version}".format(**found.meta),
        transformer=transformer,
        others=pipeline[pipeline.index(transformer) + 1 :],
        artefact=str(files.resolve()),
        encoder_id=get_encoder_id(manifest, settings),
        encoder=f"{manifest['engine']} {manifest['precision']}, width {manifest['width']}, {settings['spans']} windows "
        f"of {settings['window']} with stride {settings['stride']}",
        width=manifest["width"],
        has_spacy_tokenizer=uses_spacy_tokenizer(found.config),
        scores_entities=found.scores_entities,
    )


def check_artefact(folder: Path) -> Dict[str, Any]:
    """Check the files of a compiled encoder, before anything is started to load them.

    RETURNS (Dict[str, Any]): The manifest.
    RAISES (UserError): If one is missing or damaged.
    """
    if not (folder / MANIFEST).is_file():
        raise UserError(f"There is no {MANIFEST} in {folder}. Copy the whole pipeline again.")
    try:
        return CompiledEncoder().from_disk(folder).manifest
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error
