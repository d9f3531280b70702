"""The folder of a compiled encoder: the engine's files, the tokenizer, and a manifest that says what they are."""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import srsly
from transformers import PreTrainedModel

from ..common.machine import FAST_WITH, describe_machine
from ..compiled_transformer.artefact import FORMAT, MANIFEST, PADDED_INPUTS, get_digest
from .compilable import Compilable, list_poolings
from .export import get_padding_position, sees_padding

TOKENIZERS_REQUIREMENT = "tokenizers>=0.21,<1.0"  # What the alignment needs is their offsets, stable since 0.10.


class Artefact(NamedTuple):
    """A compiled encoder on disk."""

    folder: Path
    manifest: Dict[str, Any]


def finish_artefact(
    reference: Compilable,
    folder: Path,
    engine: str,
    precision: str,
    options: Optional[Dict[str, Any]] = None,
    inputs: Sequence[str] = PADDED_INPUTS,
) -> Artefact:
    """Add what makes wordpieces, and the manifest, to a folder with the engine's files.

    reference (Compilable): The pipeline that the encoder comes from.
    folder (Path): Folder with the engine's files, as `compiled_transformer` reads them.
    engine (str): Name of the engine, also its name on PyPI and to import.
    precision (str): "fp32", "int8" and so on, for people to read.
    options (Optional[Dict[str, Any]]): The engine's own settings that belong to the artefact.
    inputs (Sequence[str]): Names of the engine's inputs, for padded or for packed windows.
    RETURNS (Artefact): The complete artefact.
    """
    segments = reference.write_segmentation(folder)
    poolings = list_poolings(reference)
    manifest = {
        "format": FORMAT,
        "engine": engine,
        "precision": precision,
        "options": options or {},
        "inputs": list(inputs),
        "exact_lengths": sees_padding(reference.encoder),
        "cpu_features": [features for number, features in FAST_WITH.items() if number in precision],
        "requirements": [*get_requirements(engine), TOKENIZERS_REQUIREMENT, *segments.requirements],
        "width": len(poolings) * reference.width,
        "poolings": poolings,
        "max_length": reference.max_length,
        "pad_id": get_pad_id(reference),
        "padding_position": get_padding_position(reference.encoder),
        **segments.manifest,
        "encoder": describe_encoder(reference.encoder),
        "machine": describe_machine(),
        "files": {path.name: get_digest(path.read_bytes()) for path in sorted(folder.iterdir())},
    }
    return write_manifest(folder, manifest)


def describe_encoder(encoder: PreTrainedModel) -> Dict[str, Any]:
    """Describe what an encoder is, and what its number of operations follows from."""
    config = encoder.config
    width = config.hidden_size
    # DistilBERT's, XLM's and GPT-2's have other names, or none for four times the width.
    between = (getattr(config, name, None) for name in ("intermediate_size", "hidden_dim", "n_inner"))
    return {
        "architecture": type(encoder).__name__,
        "layers": config.num_hidden_layers,
        "width": width,
        "intermediate": next(filter(None, between), 4 * width),
        "parameters": encoder.num_parameters(),
    }


def get_pad_id(reference: Compilable) -> int:
    """Choose the padding wordpiece."""
    return reference.encoder.config.pad_token_id or 0


def get_requirements(engine: str) -> List[str]:
    """List what pip has to install to run an engine: the versions that were measured here."""
    packages = [engine, "transformers", "safetensors"] if engine == "torch" else [engine]
    return [f"{package}=={version(package)}" for package in packages]


def write_manifest(folder: Path, manifest: Dict[str, Any]) -> Artefact:
    srsly.write_json(folder / MANIFEST, manifest)
    return Artefact(folder, manifest)
