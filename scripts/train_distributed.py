"""Train the reference pipeline on several CPUs or GPUs, of one machine or of many.

    python -m torch.distributed.run --standalone --nproc-per-node 2 -m scripts.train_distributed CONFIG CORPUS ENCODER OUTPUT

The way of the data: as `scripts.train`, and training/checkpoint on the way.
"""

import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Dict, Optional

import safetensors.torch
import srsly
import typer
from typer import Argument as Arg
from typer import Option as Opt

from .common.console import UserError, exit_on_user_error
from .common.files import check_folder
from .training.loop import Trainer
from .training.overrides import parse_overrides
from .training.parameters import walk_parameters
from .training.prepare import begin_training, describe_settings, make_pipeline, publish
from .training.ranks import Ranks, connect


def train_distributed_cli(
    # fmt: off
    context: typer.Context,
    config: Path = Arg(..., help="Training config"),
    corpus_dir: Path = Arg(..., help="Folder with train.spacy and dev.spacy"),
    encoder: Path = Arg(..., help="Folder of the pretrained encoder"),
    output_dir: Path = Arg(..., help="Folder for model-best, model-last and the checkpoint"),
    metrics_dir: Optional[Path] = Opt(None, "--metrics", help="Folder for training.json and training.png"),
    gpu: int = Opt(-1, "--gpu", "-g", help="First GPU of each machine to train on, -1 for the CPU"),
    fp32: bool = Opt(False, "--fp32", help="Compute in float32, also where the hardware has bfloat16"),
    resume: bool = Opt(False, "--resume", help="Continue from the last checkpoint in the output folder"),
    # fmt: on
):
    """Train a transformer NER pipeline with the processes that torchrun has started.

    The batches of the config are divided among them: the trained pipeline is that of one process. A checkpoint is
    written at each evaluation. Any setting of the config can be overridden, as in `spacy train`.
    """
    with exit_on_user_error():
        overrides = parse_overrides(context.args)
        train_distributed(
            config, corpus_dir, encoder, output_dir,
            metrics_dir=metrics_dir, gpu=gpu, fp32=fp32, resume=resume, overrides=overrides,
        )  # fmt: skip


def train_distributed(
    config: Path,
    corpus_dir: Path,
    encoder: Path,
    output_dir: Path,
    *,
    metrics_dir: Optional[Path] = None,
    gpu: int = -1,
    fp32: bool = False,
    resume: bool = False,
    overrides: Dict[str, Any],
) -> None:
    """Be one rank of a training. The first one evaluates, saves and prints.

    config (Path): Training config.
    corpus_dir (Path): Folder with train.spacy and dev.spacy.
    encoder (Path): Folder of the pretrained encoder.
    output_dir (Path): Folder for model-best, model-last and the checkpoint, of the first rank's machine.
    metrics_dir (Optional[Path]): Folder for training.json and training.png, None for none.
    gpu (int): First GPU of each machine to train on, -1 for the CPU.
    fp32 (bool): Compute in float32, also where the hardware has bfloat16.
    resume (bool): Continue from the last checkpoint.
    overrides (Dict[str, Any]): Settings of the config to override.
    RAISES (UserError): If something is missing, the ranks differ, one is lost, or a loss is not finite.
    """
    with connect(gpu) as own_gpu:
        leads = int(os.environ["RANK"]) == 0
        if leads:
            check_folder(output_dir)
        nlp = make_pipeline(config, corpus_dir, encoder, gpu=own_gpu, fp32=fp32, overrides=overrides, silent=not leads)
        group = Ranks(own_gpu, nlp.config.interpolate()["training"]["seed"] or 0)
        checkpoint = output_dir / "checkpoint"
        with begin_training(output_dir) if leads else nullcontext() as in_progress:
            trainer = Trainer(nlp, in_progress, group=group, gpu=own_gpu, checkpoint=checkpoint)
            start_equal(trainer, corpus_dir / "train.spacy")
            progress = trainer.run(resume=resume)
            if leads:
                settings = describe_settings(config, trainer, gpu=gpu, fp32=fp32)
                publish(in_progress, output_dir, metrics_dir, progress, settings)
                shutil.rmtree(checkpoint, ignore_errors=True)


def start_equal(trainer: Trainer, corpus: Path) -> None:
    """Give all ranks the weights of the first one, after a check that they do the same otherwise.

    trainer (Trainer): What will train on this rank.
    corpus (Path): The train corpus, which each machine has for itself.
    RAISES (UserError): If ranks differ in the settings, the corpus or the labels, or the corpus is a stream.
    """
    group, nlp = trainer.group, trainer.nlp
    if trainer.settings["max_epochs"] < 0:
        raise UserError("Several ranks can't share a streamed corpus. Set training.max_epochs to 0 or more.")
    parameters = walk_parameters(nlp, trainer.components)
    labels = {name: nlp.pipe_labels.get(name) for name in trainer.components}
    shapes = {parameter.name: list(parameter.weights.shape) for parameter in parameters}
    group.check_equal(
        srsly.json_dumps(trainer.settings, sort_keys=True).encode("utf8"), "The training settings differ."
    )
    group.check_equal(corpus.read_bytes(), f"The corpora at {corpus} differ.")
    group.check_equal(srsly.json_dumps([labels, shapes]).encode("utf8"), "The labels or the weights' shapes differ.")
    weights = {parameter.name: parameter.weights.cpu().contiguous() for parameter in parameters} if group.leads else {}
    weights = safetensors.torch.load(group.broadcast(safetensors.torch.save(weights)))
    for parameter in parameters:
        parameter.weights = weights[parameter.name]


if __name__ == "__main__":
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train_distributed_cli)
    app()
