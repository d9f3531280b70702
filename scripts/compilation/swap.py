"""Swap the transformer of a trained pipeline for a compiled encoder."""

import shutil
from pathlib import Path
from typing import Any, Dict, List

import srsly
from spacy.language import Language
from spacy.util import registry
from thinc.api import Config

from ..compiled_transformer.listener import IN_TENSOR, LISTENER
from ..compiled_transformer.ner import FACTORY as GREEDY_NER
from ..compiled_transformer.pooling import MEAN
from .artefact_writer import Artefact
from .compilable import Compilable, Listener, get_pooling, is_listener, list_poolings
from .leftovers import get_kept_requirements
from .tensors import choose_place


def save_skeleton(reference: Compilable, folder: Path) -> None:
    """Save everything of a compiled pipeline but the encoder.

    Every listener becomes spaCy's own `Tok2VecListener`, or that of the runtime if another component writes `doc.tensor`,
    in the models and in the config, and every "ner" the faster "greedy_ner"; all weights stay as they were. The loaded
    reference is changed by this and must not be used afterwards; its folder is not touched.

    reference (Compilable): The trained pipeline.
    folder (Path): The folder to write.
    """
    name = reference.transformer.name
    place = choose_place(reference.nlp, name)
    for component, listeners in reference.listeners.items():
        model = reference.nlp.get_pipe(component).model
        for listener in listeners:
            block = make_block(reference, listener, place)
            model.replace_node(listener.layer, registry.resolve({"listener": block})["listener"])
    config = make_config(reference, place)
    reference.nlp.to_disk(folder, exclude=[name])
    config.to_disk(folder / "config.cfg")
    write_requirements(folder, get_kept_requirements(reference.nlp, name))


def make_config(reference: Compilable, place: str) -> Config:
    """Change a trained pipeline's config: the compiled component and what listens to it.

    place (str): Where the compiled vectors are put, see `choose_place`.
    """
    config = reference.nlp.config.copy()
    components = config["components"]
    components[reference.transformer.name] = {
        "factory": reference.factory,
        **Language.get_factory_meta(reference.factory).default_config,
        **reference.settings,
    }
    if reference.listeners:
        components[reference.transformer.name]["vectors_in"] = place
    for component in reference.listeners:
        components[component] = replace_listeners(components[component], reference, place)
    use_greedy_ner(config)
    # They are for training, and would make the wheel require the package that they come from.
    config["initialize"].get("components", {}).pop(reference.transformer.name, None)
    before_update = config["training"].get("before_update") or {}
    if "curated-transformers" in str(before_update.get("@callbacks")):
        config["training"]["before_update"] = None
    return config


def use_greedy_ner(config: Config) -> None:
    """Replace spaCy's "ner" by the faster "greedy_ner" in a pipeline's config."""
    for component in config["components"].values():
        if component.get("factory") == "ner":
            component["factory"] = GREEDY_NER


def replace_listeners(block: Any, reference: Compilable, place: str) -> Any:
    """Copy a config block with every transformer listener in it replaced."""
    if not isinstance(block, dict):
        return block
    if is_listener(block):
        pooling = get_pooling(block.get("pooling", {}).get("@layers", MEAN))
        return make_block(reference, Listener(None, block.get("upstream", "*"), pooling), place)
    return {key: replace_listeners(value, reference, place) for key, value in block.items()}


def make_block(reference: Compilable, listener: Listener, place: str) -> Dict[str, Any]:
    """Describe what takes the place of a transformer listener: spaCy's own where it finds the vectors, else the runtime's.

    place (str): Where the compiled vectors are put, see `choose_place`.
    """
    poolings = list_poolings(reference)
    if len(poolings) == 1 and place == IN_TENSOR:
        return {
            "@architectures": "spacy.Tok2VecListener.v1",
            "width": reference.width,
            "upstream": listener.upstream,
        }
    return {
        "@architectures": LISTENER,
        "width": reference.width,
        "upstream": listener.upstream,
        "vectors_in": place,
        "pooling": poolings.index(listener.pooling),
        "n_poolings": len(poolings),
    }


def assemble(skeleton: Path, artefact: Artefact, transformer: str, folder: Path) -> None:
    """Put a compiled encoder into a copy of the skeleton: a pipeline that `spacy.load` takes.

    skeleton (Path): Folder from `save_skeleton`.
    artefact (Artefact): The compiled encoder. Its folder is moved.
    transformer (str): Name of the transformer component.
    folder (Path): The folder to write; it must not exist.
    """
    shutil.copytree(skeleton, folder)
    shutil.move(artefact.folder, folder / transformer)
    kept = srsly.read_json(folder / "meta.json")["requirements"]
    write_requirements(folder, [*artefact.manifest["requirements"], *kept])


def write_requirements(folder: Path, requirements: List[str]) -> None:
    """Let a pipeline's wheel bring what the code file imports: spaCy doesn't look into it for that."""
    meta = srsly.read_json(folder / "meta.json")
    srsly.write_json(folder / "meta.json", {**meta, "requirements": list(dict.fromkeys(requirements))})
