"""Save encoders for torch: weights as safetensors, the architecture as transformers' config."""

from pathlib import Path

from transformers import PreTrainedModel


def build(encoder: PreTrainedModel, folder: Path) -> None:
    """Save the weights in float32; the engine casts them to the precision that the manifest asks for.

    encoder (PreTrainedModel): The trained encoder.
    folder (Path): Gets config.json and model.safetensors.
    """
    encoder.save_pretrained(folder, safe_serialization=True)
