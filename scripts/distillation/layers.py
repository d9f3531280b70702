"""Make a student of a trained pipeline: the same one with fewer layers in its encoder."""

from pathlib import Path
from typing import List, Optional

import torch
from torch.nn import ModuleList
from transformers import AutoModel, PreTrainedModel

from ..common.console import UserError
from ..common.files import replace_when_done
from ..compilation.reference import Reference

SAMPLE = "Ada Lovelace wrote to Charles Babbage in London."


def choose_layers(n_layers: int) -> List[int]:
    """Choose every second layer, counted from 0, with the last one, from which the token vectors come."""
    return list(range((n_layers - 1) % 2, n_layers, 2))


def parse_layers(text: str, reference: Reference) -> List[int]:
    """Read the layers to keep from the command line, where they are counted from 1.

    text (str): Numbers with commas between, in ascending order; empty for every second one.
    reference (Reference): The teacher.
    RETURNS (List[int]): The layers, counted from 0.
    RAISES (UserError): If the encoder has no list of layers, or the text does not name some of them.
    """
    n_layers = reference.encoder.config.num_hidden_layers
    if find_stack(reference.encoder) is None:
        raise UserError(
            f"Can't drop layers of {type(reference.encoder).__name__} in {reference.path}: it has no list of "
            f"{n_layers} layers with weights of their own. Make the CNN alone with `--no-encoder`."
        )
    if not text:
        return choose_layers(n_layers)
    layers = [int(part) - 1 if part.strip().isdecimal() else -1 for part in text.split(",")]
    if layers != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= n_layers:
        example = ",".join(str(layer + 1) for layer in choose_layers(n_layers))
        raise UserError(
            f"--layers is {text!r}. The teacher's encoder has {n_layers}: give those to keep in ascending order, with "
            f"commas between, such as {example}."
        )
    return layers


def drop_layers(reference: Reference, layers: List[int]) -> None:
    """Keep some layers of a loaded pipeline's encoder; everything else stays as it was trained.

    reference (Reference): The teacher, loaded for this: it is changed in place.
    layers (List[int]): The layers to keep, counted from 0.
    """
    encoder = reference.encoder
    stack = find_stack(encoder)
    kept = [stack[layer] for layer in layers]
    del stack[:]
    stack.extend(kept)
    encoder.config.num_hidden_layers = len(kept)


def find_stack(encoder: PreTrainedModel) -> Optional[ModuleList]:
    """Find the layers of an encoder; there is no such list if they share weights or are in several lists."""
    n_layers = encoder.config.num_hidden_layers
    stacks = [module for module in encoder.modules() if isinstance(module, ModuleList) and len(module) == n_layers]
    return stacks[0] if len(stacks) == 1 else None


def save_encoder(reference: Reference, folder: Path) -> None:
    """Save an encoder as the hub has them, for `scripts.train`, and prove that it can be read back.

    reference (Reference): The pipeline with the encoder.
    folder (Path): Gets config.json, model.safetensors and the tokenizer.
    RAISES (UserError): If the saved encoder computes something else, as where the layers differ in kind.
    """
    inputs = reference.tokenizer(SAMPLE, return_tensors="pt", return_token_type_ids=False)
    encoder = reference.encoder.eval()
    with replace_when_done(folder) as path:
        encoder.save_pretrained(path)
        reference.tokenizer.save_pretrained(path)
        saved = AutoModel.from_pretrained(path).eval()
        inputs = {name: values.to(encoder.device) for name, values in inputs.items()}
        with torch.inference_mode():
            expected = encoder(**inputs).last_hidden_state
            found = saved.to(encoder.device)(**inputs).last_hidden_state
        if not torch.allclose(expected, found, atol=1e-4):
            raise UserError(
                f"Layers of {type(encoder).__name__} can't be dropped: read back from disk, it computes other "
                "vectors. Make the CNN alone with `--no-encoder`."
            )
