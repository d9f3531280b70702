"""Train the reference pipeline, on corpora and an encoder that are there.

The data flow: configs/*.cfg, corpus/{train,dev}.spacy and assets/encoder -> training/model-best, metrics/training.json
"""

from pathlib import Path
from typing import Optional

import typer
from typer import Argument as Arg
from typer import Option as Opt

from .common.console import exit_on_user_error
from .training.overrides import parse_overrides
from .training.settings import TrainingSettings
from .training.train import train


def train_cli(
    # fmt: off
    context: typer.Context,
    config: Path = Arg(..., help="Training config"),
    corpus_dir: Path = Arg(..., help="Folder with train.spacy and dev.spacy"),
    encoder: Path = Arg(..., help="Folder of the pretrained encoder"),
    output_dir: Path = Arg(..., help="Folder for model-best and model-last"),
    metrics_dir: Optional[Path] = Opt(None, "--metrics", help="Folder for training.json and training.png"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU to train on, -1 for the CPU"),
    learn_rate: str = Opt("", "--learn-rate", help="Highest learning rate; empty means that of the config"),
    fp32: bool = Opt(False, "--fp32", help="Compute in float32, also where the hardware has bfloat16"),
    # fmt: on
):
    """Train a transformer NER pipeline.

    Any setting of the config can be overridden, as in `spacy train`: --training.max_steps 1000. The models that are in
    the output folder are replaced when the training has ended well.
    """
    with exit_on_user_error():
        overrides = parse_overrides(context.args, learn_rate)
        train(TrainingSettings(config, corpus_dir, encoder, output_dir, metrics_dir, gpu, fp32, overrides))


if __name__ == "__main__":
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train_cli)
    app()
