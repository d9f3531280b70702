"""The pipeline to serve: where it is, and what the front has to know of it without loading it."""

from typing import List, NamedTuple

import srsly

from ..common.console import UserError
from ..common.pipelines import find_pipeline
from ..common.texts import uses_spacy_tokenizer
from ..compiled_transformer.artefact import MANIFEST, TOKENIZER
from ..compiled_transformer.component import DEFAULT_CONFIG, FACTORY
from ..compiled_transformer.remote import get_encoder_id


class ServedPipeline(NamedTuple):
    """A compiled pipeline. Plain data, which goes to other processes."""

    name: str  # What `spacy.load` takes: a folder, or the name of an installed package.
    title: str
    transformer: str
    others: List[str]  # Components after the transformer.
    tokenizer: str  # Path of the encoder's tokenizer.
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
    RAISES (UserError): If there is none, its transformer is not compiled, or it gives no vectors but has to.
    """
    found = find_pipeline(name)
    if not found.compiled:
        raise UserError(
            f"{name} has no compiled transformer. Compile it first: `python -m scripts.optimize` (see its --help)."
        )
    transformer = found.compiled[0]
    files = found.folder / transformer
    for file_name in (MANIFEST, TOKENIZER):
        if not (files / file_name).is_file():
            raise UserError(f"There is no {file_name} in {files}. Copy the whole pipeline again.")
    if encoder_only and found.config["components"][transformer]["factory"] != FACTORY:
        raise UserError(
            f"{name} gives no token vectors: its {transformer!r} labels wordpieces. Serve it without --encoder-only."
        )
    settings = {**DEFAULT_CONFIG, **found.config["components"][transformer]}
    if settings["remote"]:
        raise UserError(
            f"{name} asks {settings['remote']} for its token vectors. Serve the pipeline that has the encoder itself."
        )
    meta, manifest = srsly.read_json(found.folder / "meta.json"), srsly.read_json(files / MANIFEST)
    pipeline: List[str] = found.config["nlp"]["pipeline"]
    return ServedPipeline(
        name=found.name,
        title=f"{meta['lang']}_{meta['name']} {meta['version']}",
        transformer=transformer,
        others=pipeline[pipeline.index(transformer) + 1 :],
        tokenizer=str((files / TOKENIZER).resolve()),
        encoder_id=get_encoder_id(manifest, settings),
        encoder=f"{manifest['engine']} {manifest['precision']}, width {manifest['width']}, {settings['spans']} windows "
        f"of {settings['window']} with stride {settings['stride']}",
        width=manifest["width"],
        has_spacy_tokenizer=uses_spacy_tokenizer(found.config),
        scores_entities=found.scores_entities,
    )
