"""Encoders of curated-transformers in the architecture of transformers, which the exporter knows."""

from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import torch
from thinc.api import Model
from transformers import BertConfig, BertModel, PretrainedConfig, PreTrainedModel, RobertaConfig, RobertaModel

from ..common.console import UserError
from .export import get_padding_position

# CamemBERT and XLM-R are RoBERTa with other sizes, there as here.
ARCHITECTURES = {"BertEncoder": (BertConfig, "bert"), "RobertaEncoder": (RobertaConfig, "roberta")}
ACTIVATIONS = {"GELU": "gelu", "GeluNew": "gelu_new", "ReLU": "relu"}
EMBEDDINGS = {
    "word_embeddings": "word_embeddings",
    "position_embeddings": "position_embeddings",
    "token_type_embeddings": "token_type_embeddings",
    "layer_norm": "LayerNorm",
}
LAYERS = {
    "mha.output": "attention.output.dense",
    "attn_output_layernorm": "attention.output.LayerNorm",
    "ffn.intermediate": "intermediate.dense",
    "ffn.output": "output.dense",
    "ffn_output_layernorm": "output.LayerNorm",
}
Weights = Tuple[float, ...]  # Of the embeddings and each layer, in what a listener reads


class WeightedLayers:
    """Give the weighted sum of the embeddings and all layers as the last hidden state."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.register_buffer("layer_weights", torch.zeros(config.num_hidden_layers + 1))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: Optional[torch.Tensor] = None,
        position_ids: Optional[torch.Tensor] = None,
    ) -> Any:
        """*Shape:* (n_rows, length) each."""
        output = super().forward(
            input_ids, attention_mask=attention_mask, position_ids=position_ids, output_hidden_states=True
        )
        weighted = [weight * layer for weight, layer in zip(self.layer_weights, output.hidden_states)]
        output.last_hidden_state = torch.stack(weighted).sum(dim=0)
        return output


class WeightedBert(WeightedLayers, BertModel):
    """BERT, all of whose layers are read."""


class WeightedRoberta(WeightedLayers, RobertaModel):
    """RoBERTa, all of whose layers are read."""


MODELS = {"bert": (BertModel, WeightedBert), "roberta": (RobertaModel, WeightedRoberta)}


def convert_encoder(layer: Model, weights: Optional[Weights], path: Path) -> PreTrainedModel:
    """Make an encoder of transformers with the weights of one of curated-transformers.

    layer (Model): The component's transformer.
    weights (Optional[Weights]): How the layers are summed up, None for the last one alone.
    path (Path): The pipeline, for messages.
    RAISES (UserError): If it is of another architecture.
    """
    encoder = getattr(getattr(layer.shims[0], "_model", None), "curated_encoder", None)
    kind = type(encoder).__name__
    if isinstance(encoder, torch.jit.ScriptModule):
        kind = "TorchScript encoder"
    if kind not in ARCHITECTURES:
        raise UserError(
            f"The transformer in {path} is a {kind} of curated-transformers, which can't be compiled. "
            "BERT, RoBERTa, CamemBERT and XLM-R can be."
        )
    make_config, name = ARCHITECTURES[kind]
    state = {key: value.detach().cpu().float() for key, value in encoder.state_dict().items()}
    embeddings = "embeddings.inner" if name == "roberta" else "embeddings"
    vocabulary, width = state[f"{embeddings}.word_embeddings.weight"].shape
    first = encoder.layers[0]
    config = make_config(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=len(encoder.layers),
        num_attention_heads=first.mha.num_heads,
        intermediate_size=first.ffn.intermediate.out_features,
        hidden_act=ACTIVATIONS[type(first.ffn.activation).__name__],
        max_position_embeddings=len(state[f"{embeddings}.position_embeddings.weight"]),
        type_vocab_size=len(state[f"{embeddings}.token_type_embeddings.weight"]),
        layer_norm_eps=first.attn_output_layernorm.eps,
        pad_token_id=encoder.padding_idx,
    )
    last, weighted = MODELS[name]
    converted = (last if weights is None else weighted)(config).eval()
    renamed = rename(state, embeddings, len(encoder.layers))
    if weights is not None:
        renamed["layer_weights"] = torch.tensor(weights)
    # Nothing reads the pooler.
    pooler = {key: value for key, value in converted.state_dict().items() if key.startswith("pooler.")}
    converted.load_state_dict({**renamed, **pooler})
    return converted


def rename(state: Dict[str, torch.Tensor], embeddings: str, n_layers: int) -> Dict[str, torch.Tensor]:
    """Give weights the names that they have in transformers, and queries, keys and values a matrix each.

    embeddings (str): What the names of the embeddings begin with.
    """
    renamed = {}
    for part in ("weight", "bias"):
        for ours, theirs in EMBEDDINGS.items():
            if f"{embeddings}.{ours}.{part}" in state:
                renamed[f"embeddings.{theirs}.{part}"] = state[f"{embeddings}.{ours}.{part}"]
        for number in range(n_layers):
            layer = f"encoder.layer.{number}"
            for name, matrix in zip(("query", "key", "value"), state[f"layers.{number}.mha.input.{part}"].chunk(3)):
                renamed[f"{layer}.attention.self.{name}.{part}"] = matrix
            for ours, theirs in LAYERS.items():
                renamed[f"{layer}.{theirs}.{part}"] = state[f"layers.{number}.{ours}.{part}"]
    return renamed


def get_max_length(layer: Model, converted: PreTrainedModel) -> int:
    """Find the most pieces that an encoder takes.

    layer (Model): The component's transformer.
    converted (PreTrainedModel): The same encoder, from `convert_encoder`.
    """
    padding_position = get_padding_position(converted)
    positions = converted.config.max_position_embeddings
    positions -= 0 if padding_position is None else padding_position + 1
    return min(positions, layer.shims[0]._model.curated_encoder.max_seq_len)
