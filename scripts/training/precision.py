"""Train with bfloat16 matrix products, where the hardware has them: a step takes half the time or less."""

from functools import wraps
from typing import Any, Callable

import torch
from spacy.language import Language
from thinc.shims import PyTorchShim

from ..common.machine import FAST_WITH, get_cpu_features


def has_fast_bf16(gpu: int) -> bool:
    """Tell whether a device has hardware for bfloat16. Without it, bfloat16 is a hundred times slower than float32.

    gpu (int): The GPU to train on, -1 for the CPU.
    RETURNS (bool): Whether the device that trains has such hardware.
    """
    if gpu >= 0:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(feature in FAST_WITH["bf16"] for feature in get_cpu_features())


def use_bf16(nlp: Language, gpu: int) -> None:
    """Run the torch models of a pipeline under autocast: products in bfloat16, weights and gradients in float32.

    thinc's own `mixed_precision` is for GPUs only, in float16 with loss scaling, which bfloat16 doesn't need.
    The trained pipeline is the same stock pipeline as without it, and runs in float32.

    nlp (Language): An initialized pipeline, changed in place.
    gpu (int): The GPU to train on, -1 for the CPU.
    """
    for _, component in nlp.pipeline:
        for node in component.model.walk() if hasattr(component, "model") else []:
            for shim in node.shims:
                if isinstance(shim, PyTorchShim):
                    shim._model.forward = in_bf16(shim._model.forward, "cuda" if gpu >= 0 else "cpu")


def in_bf16(forward: Callable, device: str) -> Callable:
    """Wrap a forward pass: its products are bfloat16, and its outputs float32, as spaCy's layers expect.

    forward (Callable): The forward pass of a torch model of transformers.
    device (str): "cpu" or "cuda".
    """

    @wraps(forward)
    def autocast_forward(*args: Any, **kwargs: Any) -> Any:
        # Each weight is used once in a pass: a cache of converted weights would only cost memory.
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            outputs = forward(*args, **kwargs)
        for name, value in outputs.items():
            if isinstance(value, torch.Tensor):
                outputs[name] = value.float()
        return outputs

    return autocast_forward
