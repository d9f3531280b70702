"""An optimizer with learning rates of its own for the layers of the encoder, and for what is trained from nothing."""

import re
from typing import Any, Tuple

from spacy.util import registry
from thinc.api import Optimizer
from thinc.optimizers import KeyT
from thinc.types import FloatsXd

from ..common.console import UserError

# Of the weights of transformers' encoders: "encoder.layer.5.attention.self.query.weight", "layers.5.", "h.5."
LAYER = re.compile(r"(?:^|\.)(?:layers?|h)\.(\d+)\.")
EMBEDDINGS = re.compile(r"embed|^wte\.|^wpe\.")


class LayerwiseAdam(Optimizer):
    """Adam whose learning rate is that of the encoder's last layer, times a factor for all others.

    layers (int): Of the encoder.
    layer_decay (float): Factor from each layer to the one below, the embeddings last.
    head_factor (float): Factor for what is no part of the encoder.
    settings (Any): See `thinc.api.Optimizer`.
    """

    def __init__(self, layers: int, layer_decay: float, head_factor: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.layers = layers
        self.layer_decay = layer_decay
        self.head_factor = head_factor

    def __call__(
        self, key: KeyT, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> Tuple[FloatsXd, FloatsXd]:
        """Make a step for some weights.

        key (KeyT): Number of the model, and name of the weights in it.
        """
        return super().__call__(key, weights, gradient, lr_scale=lr_scale * self.get_factor(key[1]))

    def get_factor(self, name: str) -> float:
        """Find the factor of weights.

        name (str): As torch or thinc name them. Only torch's have dots.
        RAISES (UserError): If they are of a layer above the last one.
        """
        if "." not in name:
            return self.head_factor
        found = LAYER.search(name)
        below = self.layers if EMBEDDINGS.search(name) else self.layers - 1 - int(found[1]) if found else 0
        if below < 0:
            raise UserError(
                f"The encoder has weights {name!r}, and `training.optimizer.layers` is {self.layers}. Set the layers that it has."
            )
        return self.layer_decay**below


@registry.optimizers("compiled-transformers.LayerwiseAdam.v1")
def configure(
    learn_rate: Any,
    layers: int,
    layer_decay: float = 1.0,
    head_factor: float = 1.0,
    L2: float = 0.0,
    L2_is_weight_decay: bool = True,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    grad_clip: float = 1.0,
) -> LayerwiseAdam:
    """Make the optimizer from a config. Layer-wise decay is that of ULMFiT, Howard and Ruder 2018, https://arxiv.org/abs/1801.06146,
    as ELECTRA has it, https://arxiv.org/abs/2003.10555."""
    return LayerwiseAdam(
        layers,
        layer_decay,
        head_factor,
        learn_rate=learn_rate,
        L2=L2,
        L2_is_weight_decay=L2_is_weight_decay,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        grad_clip=grad_clip,
        use_averages=False,
    )
