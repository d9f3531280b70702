"""Train the reference pipeline on several CPUs or GPUs, of one machine or of many.

    python -m torch.distributed.run --standalone --nproc-per-node 2 -m scripts.train_distributed CONFIG CORPUS ENCODER OUTPUT

The data flow: as `scripts.train`, with training/checkpoint in between.
"""

from pathlib import Path
from typing import Optional

import typer
from typer import Argument as Arg
from typer import Option as Opt

from .common.console import exit_on_user_error
from .training.distributed import train_distributed
from .training.overrides import parse_overrides
from .training.settings import TrainingSettings


def train_distributed_cli(
    # fmt: off
    context: typer.Context,
    config: Path = Arg(..., help="Training config"),
    corpus_dir: Path = Arg(..., help="Folder with train.spacy and dev.spacy"),
    encoder: Path = Arg(..., help="Folder of the pretrained encoder"),
    output_dir: Path = Arg(..., help="Folder for model-best, model-last and the checkpoint"),
    metrics_dir: Optional[Path] = Opt(None, "--metrics", help="Folder for training.json and training.png"),
    gpu: int = Opt(-1, "--gpu", "-g", help="First GPU of each machine to train on, -1 for the CPU"),
    learn_rate: str = Opt("", "--learn-rate", help="Highest learning rate; empty means that of the config"),
    fp32: bool = Opt(False, "--fp32", help="Compute in float32, also where the hardware has bfloat16"),
    resume: bool = Opt(False, "--resume", help="Continue from the last checkpoint in the output folder"),
    # fmt: on
):
    """Train a transformer NER pipeline with the processes that torchrun has started.

    The batches of the config are divided among them: the trained pipeline is that of one process. A checkpoint is
    written at each evaluation. Any setting of the config can be overridden, as in `spacy train`.
    """
    with exit_on_user_error():
        overrides = parse_overrides(context.args, learn_rate)
        settings = TrainingSettings(config, corpus_dir, encoder, output_dir, metrics_dir, gpu, fp32, overrides)
        train_distributed(settings, resume=resume)


if __name__ == "__main__":
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train_distributed_cli)
    app()
