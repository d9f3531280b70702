"""What comes before and after the loop: check the input, make the pipeline, publish what was trained."""

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator

import torch
from spacy.cli._util import setup_gpu, show_validation_error
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from thinc.api import Config
from wasabi import msg

from ..common.console import UserError
from ..common.corpora import read_corpus
from ..common.files import replace_when_done
from ..common.machine import describe_machine
from ..common.pipelines import require_gpu
from .loop import MODEL_BEST, MODEL_LAST, Trainer
from .precision import has_fast_bf16, use_bf16
from .settings import TrainingSettings
from .training_report import write_metrics


def make_pipeline(settings: TrainingSettings, *, silent: bool = False) -> Language:
    """Make the pipeline of a config, initialized on a corpus and with an encoder.

    settings (TrainingSettings): What is trained.
    silent (bool): Print nothing.
    RETURNS (Language): The pipeline.
    RAISES (UserError): If a file or the GPU is missing, or a corpus can't be read.
    """
    encoder, gpu = settings.encoder, settings.gpu
    require_gpu(gpu)
    corpora = check_input(settings)
    for name in ("config.json", "model.safetensors"):
        if not (encoder / name).is_file():
            raise UserError(
                f"There is no {name} in the encoder folder {encoder}. "
                "Make it with `python -m spacy project run encoder`."
            )
    overrides = {**corpora, "paths.encoder": str(encoder), **settings.overrides}
    setup_gpu(gpu, silent=silent)
    with show_validation_error(settings.config):
        config = load_config(settings.config, overrides=overrides)
        if gpu < 0:
            check_precision(config, settings.config)
        nlp = init_nlp(config, use_gpu=gpu)
    if trains_in_bf16(gpu, settings.fp32):
        if not silent:
            msg.info("Training with bfloat16 products: the hardware has them")
        use_bf16(nlp, gpu)
    return nlp


def check_input(settings: TrainingSettings) -> Dict[str, str]:
    """Check that the config and the corpora are there and can be used.

    settings (TrainingSettings): What is trained.
    RETURNS (Dict[str, str]): Paths of the corpora, by the names that the config has for them.
    RAISES (UserError): If a file is missing, or a corpus can't be read or holds no entities.
    """
    if not settings.config.is_file():
        raise UserError(
            f"There is no config at {settings.config}. Name one of the folder `configs` with `--vars.config`."
        )
    train, dev = (settings.corpus_dir / f"{split}.spacy" for split in ("train", "dev"))
    read_corpus(train, purpose="learned from")
    read_corpus(dev)
    return {"paths.train": str(train), "paths.dev": str(dev)}


def check_precision(config: Config, path: Path) -> None:
    """Check that nothing in a config takes a GPU.

    path (Path): The config's file.
    RAISES (UserError): If a component is to train in thinc's mixed precision.
    """
    for name, block in config["components"].items():
        if isinstance(block.get("model"), dict) and block["model"].get("mixed_precision"):
            raise UserError(
                f"The component {name!r} of {path} trains in mixed precision, which takes a GPU. Give `--gpu 0`, or "
                f"`--components.{name}.model.mixed_precision false`."
            )


def trains_in_bf16(gpu: int, fp32: bool) -> bool:
    """Tell whether a training computes products in bfloat16.

    gpu (int): The GPU to train on, -1 for the CPU.
    fp32 (bool): Whether float32 was asked for.
    """
    return not fp32 and has_fast_bf16(gpu)


@contextmanager
def begin_training(output_dir: Path) -> Iterator[Path]:
    """Make a folder for the models in training. It is gone after the block, with what was not published.

    output_dir (Path): The folder to make it in.
    YIELDS (Path): The new folder.
    """
    in_progress = output_dir / "in-progress"
    shutil.rmtree(in_progress, ignore_errors=True)
    in_progress.mkdir(parents=True)
    try:
        yield in_progress
    finally:
        shutil.rmtree(in_progress, ignore_errors=True)


def publish(settings: TrainingSettings, trainer: Trainer, in_progress: Path) -> None:
    """Replace the models of an earlier training, and write the metrics.

    settings (TrainingSettings): How it was trained, and where it goes.
    trainer (Trainer): What has trained it.
    in_progress (Path): Folder with the models.
    """
    for name in (MODEL_BEST, MODEL_LAST):
        with replace_when_done(settings.output_dir / name) as path:
            (in_progress / name).rename(path)
    if settings.metrics_dir:
        about = {
            "machine": {**describe_machine(settings.gpu), "threads": torch.get_num_threads()},
            "settings": {
                "config": str(settings.config),
                "components": trainer.components,
                "precision": "bf16" if trains_in_bf16(settings.gpu, settings.fp32) else "fp32",
                "ranks": trainer.group.size,
                "gpu": settings.gpu,
                "training": trainer.settings,
            },
        }
        write_metrics(settings.metrics_dir, trainer.progress, about)
    msg.good(f"Trained {settings.output_dir / MODEL_BEST}")
