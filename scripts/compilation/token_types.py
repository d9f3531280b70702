"""Token types of encoders that look them up among the wordpieces, where none is not the same as all zeros."""

import copy

import torch
from transformers import FlaubertModel, PreTrainedModel, PreTrainedTokenizerBase, XLMModel


def fold_token_types(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Add the vector of token type 0, which all wordpieces of a text have, to those of the positions.

    So an artefact needs no token types, whichever engine runs it.

    encoder (PreTrainedModel): The trained encoder; it is not changed.
    tokenizer (PreTrainedTokenizerBase): Its tokenizer, which says whether it is given token types.
    RETURNS (PreTrainedModel): A copy that gives without token types what the encoder gives with them, or the encoder
        itself where there is no difference.
    """
    if not isinstance(encoder, (XLMModel, FlaubertModel)) or "token_type_ids" not in tokenizer.model_input_names:
        return encoder
    folded = copy.deepcopy(encoder)
    with torch.no_grad():
        folded.position_embeddings.weight += folded.embeddings.weight[0]
    return folded
