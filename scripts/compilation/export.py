"""Export the encoder of a trained pipeline to ONNX."""

import contextlib
import io
import logging
import sys
import warnings
from pathlib import Path
from typing import Iterator

import onnx
import torch
from transformers import PreTrainedModel

OPSET = 17  # The first with LayerNormalization as one operation, which engines recognize.


class LastHiddenState(torch.nn.Module):
    """Narrow an encoder to what the pipeline reads: two inputs, one output, no pooler."""

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """*Shape:* (n_windows, length) twice, to (n_windows, length, width)."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def copy_encoder(encoder: PreTrainedModel, attention: str) -> LastHiddenState:
    """Make a copy on the CPU, in float32, for inference.

    encoder (PreTrainedModel): The trained encoder; it is not changed.
    attention (str): "eager" (separate operations, which exporters trace and engines fuse) or "sdpa".
    RETURNS (LastHiddenState): The copy.
    """
    config = type(encoder.config).from_dict(encoder.config.to_dict())
    config._attn_implementation = attention
    copy = type(encoder)(config)
    copy.load_state_dict(encoder.state_dict())
    return LastHiddenState(copy.float().cpu().eval())


def example_inputs() -> "tuple[torch.Tensor, torch.Tensor]":
    """Make wordpiece ids and a mask for two windows, the second one with padding."""
    ids = torch.randint(5, 90, (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 11:] = 0
    return ids, mask


def export_onnx(encoder: PreTrainedModel, path: Path) -> None:
    """Write an encoder as ONNX, float32, with free batch and sequence axes.

    encoder (PreTrainedModel): The trained encoder; it is not changed.
    path (Path): The .onnx file to write. Inputs `input_ids` and `attention_mask`, output `last_hidden_state`.
    """
    module = copy_encoder(encoder, "eager")
    axes = {0: "windows", 1: "wordpieces"}
    with quiet(), plain_branches(module):
        torch.onnx.export(
            module,
            example_inputs(),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["last_hidden_state"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "last_hidden_state": axes},
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
