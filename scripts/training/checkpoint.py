"""Checkpoints of a training: weights, optimizer, position in the data and the best pipeline so far, without pickle."""

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import safetensors.torch
import torch
from spacy.language import Language
from thinc.api import Optimizer, xp2torch

from ..common.console import UserError
from ..common.files import replace_when_done
from .parameters import Parameter, find_unseen_classes
from .ranks import OneProcess

ARRAYS, DOCUMENT = "state.safetensors", "training.json"
MOMENTS = ("mom1", "mom2", "averages")  # the optimizer's arrays
COUNTS = ("nr_update", "last_seen")  # its numbers


def save_checkpoint(
    folder: Path, nlp: Language, parameters: List[Parameter], optimizer: Optimizer, document: Dict[str, Any], best: Path
) -> None:
    """Write a checkpoint; the one that was there stays until the new one is whole.

    folder (Path): The checkpoint.
    nlp (Language): The pipeline in training.
    parameters (List[Parameter]): What is trained.
    optimizer (Optimizer): Its state is kept by the parameters' names, for its own keys are different in each process.
    document (Dict[str, Any]): Whatever else the training must know, as JSON has it.
    best (Path): The best pipeline so far.
    """
    arrays = {f"weights {parameter.name}": parameter.weights for parameter in parameters}
    for kind in MOMENTS:
        kept = getattr(optimizer, kind) or {}
        arrays.update({f"{kind} {p.name}": xp2torch(kept[p.key]) for p in parameters if p.key in kept})
    counts = {
        kind: {p.name: getattr(optimizer, kind)[p.key] for p in parameters if p.key in getattr(optimizer, kind)}
        for kind in COUNTS
    }
    unseen = {name: sorted(classes) for name, classes in find_unseen_classes(nlp).items()}
    with replace_when_done(folder) as path:
        path.mkdir()
        safetensors.torch.save_file({name: array.cpu().contiguous() for name, array in arrays.items()}, path / ARRAYS)
        document = {**document, "optimizer": counts, "unseen_classes": unseen}
        (path / DOCUMENT).write_text(json.dumps(document), encoding="utf8")
        shutil.copytree(best, path / best.name)


def load_checkpoint(
    folder: Path, nlp: Language, parameters: List[Parameter], optimizer: Optimizer, group: OneProcess
) -> Dict[str, Any]:
    """Put weights and the optimizer's state back to where a checkpoint was written. Only the first rank reads files.

    folder (Path): The checkpoint.
    nlp (Language): The pipeline as it was initialized for the training that is continued.
    parameters (List[Parameter]): What is trained.
    optimizer (Optimizer): A new one. Its schedules are left at their start.
    group (OneProcess): The ranks.
    RETURNS (Dict[str, Any]): The document that was saved.
    RAISES (UserError): If there is no checkpoint, or it belongs to other weights.
    """
    files = [b"", b""]
    if group.leads:
        if not (folder / DOCUMENT).is_file():
            raise UserError(
                f"There is no checkpoint in {folder} to continue from. Leave --resume away to start a new training."
            )
        files = [(folder / DOCUMENT).read_bytes(), (folder / ARRAYS).read_bytes()]
    document = json.loads(group.broadcast(files[0]))
    arrays = safetensors.torch.load(group.broadcast(files[1]))
    for parameter in parameters:
        weights = arrays.get(f"weights {parameter.name}", torch.empty(0))
        if weights.shape != parameter.weights.shape:
            raise UserError(
                f"The checkpoint in {folder} has other weights for {parameter.name} ({list(weights.shape)}, not "
                f"{list(parameter.weights.shape)}). Continue with the config, corpus and encoder it was started with."
            )
        parameter.weights = weights
        for kind in MOMENTS:
            if f"{kind} {parameter.name}" in arrays:
                getattr(optimizer, kind)[parameter.key] = parameter.to_array(arrays[f"{kind} {parameter.name}"])
        for kind in COUNTS:
            if parameter.name in document["optimizer"][kind]:
                getattr(optimizer, kind)[parameter.key] = document["optimizer"][kind][parameter.name]
        if parameter.name in document["optimizer"]["nr_update"]:
            # It has had a gradient, so the optimizer moves it in each step, by its momentum if nothing else.
            parameter.gradient = torch.zeros_like(parameter.weights)
    for name, classes in find_unseen_classes(nlp).items():
        classes.intersection_update(document["unseen_classes"][name])
    return document
