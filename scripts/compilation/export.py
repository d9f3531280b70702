"""Export the encoder of a trained pipeline to ONNX."""

import contextlib
import inspect
import io
import logging
import sys
import warnings
from pathlib import Path
from typing import Iterator, Optional, Sequence, Tuple

import onnx
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..compiled_transformer.artefact import PACKED_INPUTS, PADDED_INPUTS
from ..compiled_transformer.engines import encode

OPSET = 17  # The first with LayerNormalization as one operation, which engines recognize.


class LastHiddenState(torch.nn.Module):
    """Narrow an encoder to what the pipeline reads: the inputs of an artefact, one output, no pooler.

    A model that classifies gives its logits instead.

    encoder (PreTrainedModel): The encoder.
    inputs (Sequence[str]): Names of the inputs.
    """

    def __init__(self, encoder: PreTrainedModel, inputs: Sequence[str]) -> None:
        super().__init__()
        self.encoder = encoder
        self.inputs = inputs

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """*Shape:* (n_rows, length) each, to (n_rows, length, width)."""
        return encode(self.encoder, dict(zip(self.inputs, tensors)))


def copy_encoder(encoder: PreTrainedModel, attention: str, inputs: Sequence[str] = PADDED_INPUTS) -> LastHiddenState:
    """Make a copy on the CPU, in float32, for inference.

    encoder (PreTrainedModel): The trained encoder; it is not changed.
    attention (str): "eager" (separate operations, which exporters trace and engines fuse) or "sdpa".
    inputs (Sequence[str]): Names of the inputs: for windows that are padded, or packed.
    RETURNS (LastHiddenState): The copy.
    """
    config = type(encoder.config).from_dict(encoder.config.to_dict())
    config._attn_implementation = attention
    copy = type(encoder)(config)
    copy.load_state_dict(encoder.state_dict())
    return LastHiddenState(copy.float().cpu().eval(), inputs)


def example_inputs(inputs: Sequence[str] = PADDED_INPUTS) -> Tuple[torch.Tensor, ...]:
    """Make inputs of two rows: the second one with padding, or with two windows and padding."""
    ids = torch.randint(5, 90, (2, 16))
    if inputs == PADDED_INPUTS:
        mask = torch.ones_like(ids)
        mask[1, 11:] = 0
        return ids, mask
    positions, segments = torch.arange(16).repeat(2, 1), torch.ones_like(ids)
    positions[1] = torch.tensor([*range(7), *range(5), 0, 0, 0, 0])
    segments[1] = torch.tensor([1] * 7 + [2] * 5 + [0] * 4)
    return ids, positions, segments


def takes_packed_windows(encoder: PreTrainedModel) -> bool:
    """Find out whether an encoder gives windows that share a row the vectors that each has alone.

    It must take position ids, and a mask of which wordpiece sees which; what it does with them is tried.

    encoder (PreTrainedModel): The trained encoder; it is not changed.
    """
    if "position_ids" not in inspect.signature(type(encoder).forward).parameters:
        return False
    packed, padded = (copy_encoder(encoder, "eager", inputs) for inputs in (PACKED_INPUTS, PADDED_INPUTS))
    ids, positions, segments = example_inputs(PACKED_INPUTS)
    padding_position = get_padding_position(encoder)
    positions += 0 if padding_position is None else padding_position + 1
    try:
        with torch.inference_mode(), quiet():
            together = packed(ids, positions, segments)[1, :12]
            alone = [padded(part[None], torch.ones_like(part[None]))[0] for part in (ids[1, :7], ids[1, 7:12])]
    except Exception:
        return False  # Many encoders refuse a mask with three axes, each in its own way.
    return bool(torch.allclose(together, torch.cat(alone), atol=1e-4, rtol=1e-4))


def sees_padding(encoder: PreTrainedModel) -> bool:
    """Find out whether padding changes the vectors of the text beside it, as in ConvBERT, whose convolutions reach into it.

    encoder (PreTrainedModel): The trained encoder; it is not changed.
    """
    ids, mask = example_inputs()
    was_training = encoder.training
    try:
        with torch.inference_mode(), quiet():
            encoder.eval()
            padded = encode(encoder, dict(zip(PADDED_INPUTS, (ids, mask))))[1, :11]
            alone = encode(encoder, dict(zip(PADDED_INPUTS, (ids[1:, :11], mask[1:, :11]))))[0]
    except Exception:
        return False  # It can't be run as an artefact is; the comparison of vectors will tell.
    finally:
        encoder.train(was_training)
    return not torch.allclose(padded, alone, atol=1e-4, rtol=1e-4)


def get_padding_position(encoder: PreTrainedModel) -> Optional[int]:
    """Find the position of padding, where an encoder counts its wordpieces from the next one on, as RoBERTa does."""
    for name, layer in encoder.named_modules():
        if name.endswith("position_embeddings"):
            return getattr(layer, "padding_idx", None)
    return None


def get_max_length(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """Find the most wordpieces that an encoder takes at once, special ones included."""
    positions = getattr(encoder.config, "max_position_embeddings", None)
    if positions is None or positions < 1:  # XLNet has -1 for any number.
        positions = tokenizer.model_max_length
    padding_position = get_padding_position(encoder)
    if padding_position is not None:
        positions -= padding_position + 1  # Some of them can't be used.
    return min(positions, tokenizer.model_max_length)


def export_onnx(encoder: PreTrainedModel, path: Path, inputs: Sequence[str] = PADDED_INPUTS) -> None:
    """Write an encoder as ONNX, float32, with free axes for rows and their length.

    encoder (PreTrainedModel): The trained encoder; it is not changed.
    path (Path): The .onnx file to write. Its output is `last_hidden_state`, also where that is logits.
    inputs (Sequence[str]): Names of the inputs: for windows that are padded, or packed.
    """
    module = copy_encoder(encoder, "eager", inputs)
    axes = {0: "rows", 1: "wordpieces"}
    with quiet(), plain_branches(module):
        torch.onnx.export(
            module,
            example_inputs(inputs),
            str(path),
            input_names=list(inputs),
            output_names=["last_hidden_state"],
            dynamic_axes={name: axes for name in (*inputs, "last_hidden_state")},
            opset_version=OPSET,
            # The newer exporter needs onnxscript and gives engines patterns that they fuse less well.
            dynamo=False,
        )
    onnx.checker.check_model(str(path))


@contextlib.contextmanager
def plain_branches(module: torch.nn.Module) -> Iterator[None]:
    """Let an exporter see only the branch that is taken, where an encoder calls TorchScript functions that branch.

    DeBERTa asks whether there are as many queries as keys. In an encoder there always are, but as a branch of the
    exported graph it is more than OpenVINO can compile.

    module (torch.nn.Module): What is exported. The functions beside its layers' classes are replaced meanwhile.
    """
    namespaces = [vars(sys.modules[name]) for name in {type(layer).__module__ for layer in module.modules()}]
    branching = [
        (namespace, name, function)
        for namespace in namespaces
        for name, function in namespace.items()
        if isinstance(function, torch.jit.ScriptFunction) and "prim::If" in str(function.graph)
    ]
    try:
        for namespace, name, function in branching:
            namespace[name] = function._torchdynamo_inline  # The Python function that it was made from.
        yield
    finally:
        for namespace, name, function in branching:
            namespace[name] = function


@contextlib.contextmanager
def quiet():
    """Keep the warnings and prints of exporters and optimizers off the terminal."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
