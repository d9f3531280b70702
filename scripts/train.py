"""Train the reference pipeline, on corpora and an encoder that are there.

The way of the data: configs/*.cfg, corpus/{train,dev}.spacy and assets/encoder -> training/model-best, metrics/training.json
"""

from pathlib import Path
from typing import Any, Dict, Optional

import typer
from typer import Argument as Arg
from typer import Option as Opt

from .common.console import exit_on_user_error
from .common.files import check_folder
from .training.loop import Trainer
from .training.overrides import parse_overrides
from .training.prepare import begin_training, describe_settings, make_pipeline, publish


def train_cli(
    # fmt: off
    context: typer.Context,
    config: Path = Arg(..., help="Training config"),
    corpus_dir: Path = Arg(..., help="Folder with train.spacy and dev.spacy"),
    encoder: Path = Arg(..., help="Folder of the pretrained encoder"),
    output_dir: Path = Arg(..., help="Folder for model-best and model-last"),
    metrics_dir: Optional[Path] = Opt(None, "--metrics", help="Folder for training.json and training.png"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU to train on, -1 for the CPU"),
    fp32: bool = Opt(False, "--fp32", help="Compute in float32, also where the hardware has bfloat16"),
    # fmt: on
):
    """Train a transformer NER pipeline.

    Any setting of the config can be overridden, as in `spacy train`: --training.max_steps 1000. The models that are in
    the output folder are replaced when the training has ended well.
    """
    with exit_on_user_error():
        overrides = parse_overrides(context.args)
        train(config, corpus_dir, encoder, output_dir, metrics_dir=metrics_dir, gpu=gpu, fp32=fp32, overrides=overrides)


def train(
    config: Path,
    corpus_dir: Path,
    encoder: Path,
    output_dir: Path,
    *,
    metrics_dir: Optional[Path] = None,
    gpu: int = -1,
    fp32: bool = False,
    overrides: Dict[str, Any],
) -> None:
    """Train a pipeline and put it in the output folder when it is done.

    config (Path): Training config.
    corpus_dir (Path): Folder with train.spacy and dev.spacy.
    encoder (Path): Folder of the pretrained encoder.
    output_dir (Path): Folder for model-best and model-last.
    metrics_dir (Optional[Path]): Folder for training.json and training.png, None for none.
    gpu (int): GPU to train on, -1 for the CPU.
    fp32 (bool): Compute in float32, also where the hardware has bfloat16.
    overrides (Dict[str, Any]): Settings of the config to override.
    RAISES (UserError): If a file or the GPU is missing, a corpus can't be read, the output is a file, or a loss is not finite.
    """
    check_folder(output_dir)
    nlp = make_pipeline(config, corpus_dir, encoder, gpu=gpu, fp32=fp32, overrides=overrides)
    with begin_training(output_dir) as in_progress:
        trainer = Trainer(nlp, in_progress, gpu=gpu)
        progress = trainer.run()
        settings = describe_settings(config, trainer, gpu=gpu, fp32=fp32)
        publish(in_progress, output_dir, metrics_dir, progress, settings)


if __name__ == "__main__":
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train_cli)
    app()
