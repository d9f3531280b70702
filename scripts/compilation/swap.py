"""Swap the transformer of a trained pipeline for a compiled encoder."""

import shutil
from pathlib import Path
from typing import Any, List

import srsly
from spacy.pipeline.tok2vec import Tok2VecListener
from thinc.api import Config

from ..compiled_transformer.component import DEFAULT_CONFIG, FACTORY
from ..compiled_transformer.ner import FACTORY as GREEDY_NER
from .artefact_writer import Artefact
from .compilable import Compilable

# In the names of their architectures.
LISTENERS = ("TransformerListener", "LastTransformerLayerListener", "ScalarWeightingListener")


def save_skeleton(reference: Compilable, folder: Path) -> None:
    """Save everything of a compiled pipeline but the encoder.

    Every listener becomes spaCy's own `Tok2VecListener`, in the models and in the config, and every "ner"
    the faster "greedy_ner"; all weights stay as they were. The loaded reference is changed by this and must not be used
    afterwards; its folder is not touched.

    reference (Compilable): The trained pipeline.
    folder (Path): The folder to write.
    """
    name = reference.transformer.name
    for component, listeners in reference.listeners.items():
        model = reference.nlp.get_pipe(component).model
        for layer, upstream in listeners:
            model.replace_node(layer, Tok2VecListener(upstream, reference.width))
    config = make_config(reference)
    reference.nlp.to_disk(folder, exclude=[name])
    config.to_disk(folder / "config.cfg")


def make_config(reference: Compilable) -> Config:
    """Change a trained pipeline's config: the compiled component and spaCy's own listeners."""
    config = reference.nlp.config.copy()
    components = config["components"]
    components[reference.transformer.name] = {
        "factory": FACTORY,
        **DEFAULT_CONFIG,
        **reference.settings,
    }
    for component in reference.listeners:
        components[component] = replace_listeners(components[component], reference.width)
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


def replace_listeners(block: Any, width: int) -> Any:
    """Copy a config block with every transformer listener in it replaced."""
    if not isinstance(block, dict):
        return block
    if any(name in str(block.get("@architectures")) for name in LISTENERS):
        return {
            "@architectures": "spacy.Tok2VecListener.v1",
            "width": width,
            "upstream": block.get("upstream", "*"),
        }
    return {key: replace_listeners(value, width) for key, value in block.items()}


def assemble(skeleton: Path, artefact: Artefact, transformer: str, folder: Path) -> None:
    """Put a compiled encoder into a copy of the skeleton: a pipeline that `spacy.load` takes.

    skeleton (Path): Folder from `save_skeleton`.
    artefact (Artefact): The compiled encoder. Its folder is moved.
    transformer (str): Name of the transformer component.
    folder (Path): The folder to write; it must not exist.
    """
    shutil.copytree(skeleton, folder)
    shutil.move(artefact.folder, folder / transformer)
    write_requirements(folder, artefact.manifest["requirements"])


def write_requirements(folder: Path, requirements: List[str]) -> None:
    """Let a pipeline's wheel bring what the code file imports: spaCy doesn't look into it for that."""
    meta = srsly.read_json(folder / "meta.json")
    srsly.write_json(folder / "meta.json", {**meta, "requirements": requirements})
