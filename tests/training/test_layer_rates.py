"""Learning rates of their own for the layers of an encoder, and for what is no part of it."""

import numpy
import pytest
import spacy
from thinc.api import Adam
from transformers import AutoConfig, AutoModel

from scripts.common.console import UserError
from scripts.training.layer_rates import LayerwiseAdam, configure

SMALL = {
    "num_hidden_layers": 3, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 20
}  # fmt: skip
OTHER_NAMES = {"distilbert": {"n_layers": 3, "dim": 8, "n_heads": 2, "hidden_dim": 16, "vocab_size": 20}}


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra", "deberta-v2", "modernbert", "gpt2"])
def test_each_layer_learns_slower_than_the_one_above(family):
    sizes = {"pad_token_id": 0} if family == "modernbert" else {}
    encoder = AutoModel.from_config(AutoConfig.for_model(family, **OTHER_NAMES.get(family, SMALL), **sizes))
    optimizer = configure(1e-3, layers=3, layer_decay=0.5, head_factor=4.0)
    for name, _ in encoder.named_parameters():
        numbers = [int(part) for part in name.split(".") if part.isdigit()]
        is_embedding = name.startswith(("embed", "wte", "wpe"))
        expected = 0.125 if is_embedding else 0.5 ** (2 - numbers[0]) if numbers else 1.0
        assert optimizer.get_factor(name) == expected, name
    assert {optimizer.get_factor(name) for name, _ in encoder.named_parameters()} >= {0.125, 0.25, 0.5, 1.0}
    assert optimizer.get_factor("W") == optimizer.get_factor("lower_pad") == 4.0


def test_steps_are_those_of_adam():
    weights, gradient = numpy.ones((2, 3), dtype="f"), numpy.linspace(-1, 1, 6, dtype="f").reshape(2, 3)
    settings = {"L2": 0.01, "L2_is_weight_decay": True, "grad_clip": 1.0}
    for name, factor in (("W", 4.0), ("encoder.layer.2.output.dense.weight", 1.0), ("encoder.layer.0.x.weight", 0.25)):
        mine = configure(1e-3, layers=3, layer_decay=0.5, head_factor=4.0, **settings)
        other = Adam(1e-3 * factor, use_averages=False, **settings)
        for _ in range(3):
            found, _ = mine((0, name), weights.copy(), gradient.copy())
            expected, _ = other((0, name), weights.copy(), gradient.copy())
            numpy.testing.assert_allclose(found, expected, rtol=1e-6)


def test_in_a_config():
    block = {
        "@optimizers": "compiled-transformers.LayerwiseAdam.v1",
        "learn_rate": 1e-3,
        "layers": 6,
        "layer_decay": 0.9,
    }
    (optimizer,) = spacy.registry.resolve({"optimizer": block}).values()
    assert isinstance(optimizer, LayerwiseAdam) and optimizer.averages is None


def test_too_few_layers():
    with pytest.raises(UserError, match=r"'encoder.layer.3.x.weight', and `training.optimizer.layers` is 3"):
        configure(1e-3, layers=3).get_factor("encoder.layer.3.x.weight")
