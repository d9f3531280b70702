"""Train a pipeline in several processes that torchrun has started."""

import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import srsly

from ..common.console import UserError
from ..common.files import check_folder
from .loop import Trainer
from .parameters import walk_parameters
from .prepare import begin_training, make_pipeline, publish
from .ranks import Ranks, connect
from .settings import TrainingSettings


def train_distributed(settings: TrainingSettings, *, resume: bool = False) -> None:
    """Be one rank of a training. The first one evaluates, saves and prints.

    settings (TrainingSettings): What is trained, and where it goes: the output folder is of the first rank's machine,
        and gets the checkpoint too.
    resume (bool): Continue from the last checkpoint.
    RAISES (UserError): If something is missing, the ranks differ, one is lost, or a loss is not finite.
    """
    output_dir = settings.output_dir
    with connect(settings.gpu) as own_gpu:
        leads = int(os.environ["RANK"]) == 0
        if leads:
            check_folder(output_dir)
        nlp = make_pipeline(replace(settings, gpu=own_gpu), silent=not leads)
        group = Ranks(own_gpu, nlp.config.interpolate()["training"]["seed"] or 0)
        checkpoint = output_dir / "checkpoint"
        with begin_training(output_dir) if leads else nullcontext() as in_progress:
            trainer = Trainer(nlp, in_progress, group=group, gpu=own_gpu, checkpoint=checkpoint)
            start_equal(trainer, settings.corpus_dir / "train.spacy")
            trainer.run(resume=resume)
            if leads:
                publish(settings, trainer, in_progress)
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
