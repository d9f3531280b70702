"""What comes before and after the loop: check the input, make the pipeline, publish what was trained."""

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

import torch
from spacy.cli._util import setup_gpu, show_validation_error
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from wasabi import msg

from ..common.console import UserError
from ..common.corpora import read_corpus
from ..common.files import replace_when_done
from ..common.machine import describe_machine
from ..common.pipelines import require_gpu
from .loop import MODEL_BEST, MODEL_LAST, Progress, Trainer
from .precision import has_fast_bf16, use_bf16
from .training_report import write_metrics


def make_pipeline(
    config: Path,
    corpus_dir: Path,
    encoder: Path,
    *,
    gpu: int,
    fp32: bool,
    overrides: Dict[str, Any],
    silent: bool = False,
) -> Language:
    """Make the pipeline of a config, initialized on a corpus and with an encoder.

    config (Path): Training config.
    corpus_dir (Path): Folder with train.spacy and dev.spacy.
    encoder (Path): Folder of the pretrained encoder.
    gpu (int): GPU to train on, -1 for the CPU.
    fp32 (bool): Compute in float32, also where the hardware has bfloat16.
    overrides (Dict[str, Any]): Settings of the config to override.
    silent (bool): Print nothing.
    RETURNS (Language): The pipeline.
    RAISES (UserError): If a file or the GPU is missing, or a corpus can't be read.
    """
    require_gpu(gpu)
    if not config.is_file():
        raise UserError(f"There is no config at {config}. Name one of the folder `configs` with `--vars.config`.")
    corpora = {f"paths.{split}": corpus_dir / f"{split}.spacy" for split in ("train", "dev")}
    for corpus in corpora.values():
        read_corpus(corpus)
    for name in ("config.json", "model.safetensors"):
        if not (encoder / name).is_file():
            raise UserError(
                f"There is no {name} in the encoder folder {encoder}. "
                "Make it with `python -m spacy project run encoder`."
            )
    paths = {name: str(path) for name, path in {**corpora, "paths.encoder": encoder}.items()}
    setup_gpu(gpu, silent=silent)
    with show_validation_error(config):
        nlp = init_nlp(load_config(config, overrides={**paths, **overrides}), use_gpu=gpu)
    if trains_in_bf16(gpu, fp32):
        if not silent:
            msg.info("Training with bfloat16 products: the hardware has them")
        use_bf16(nlp, gpu)
    return nlp


def trains_in_bf16(gpu: int, fp32: bool) -> bool:
    return not fp32 and has_fast_bf16(gpu)


def describe_settings(config: Path, trainer: Trainer, *, gpu: int, fp32: bool) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): What decides the outcome of a training, for its metrics."""
    return {
        "config": str(config),
        "components": trainer.components,
        "precision": "bf16" if trains_in_bf16(gpu, fp32) else "fp32",
        "ranks": trainer.group.size,
        "gpu": gpu,
        "training": trainer.settings,
    }


@contextmanager
def begin_training(output_dir: Path) -> Iterator[Path]:
    """YIELDS (Path): A folder for the models in training. It is gone after the block, with what was not published."""
    in_progress = output_dir / "in-progress"
    shutil.rmtree(in_progress, ignore_errors=True)
    in_progress.mkdir(parents=True)
    try:
        yield in_progress
    finally:
        shutil.rmtree(in_progress, ignore_errors=True)


def publish(
    in_progress: Path, output_dir: Path, metrics_dir: Optional[Path], progress: Progress, settings: Dict[str, Any]
) -> None:
    """Replace the models of an earlier training, and write the metrics.

    in_progress (Path): Folder with the models.
    output_dir (Path): Folder for model-best and model-last.
    metrics_dir (Optional[Path]): Folder for training.json and training.png, None for none.
    progress (Progress): What the training did.
    settings (Dict[str, Any]): How it was done.
    """
    for name in (MODEL_BEST, MODEL_LAST):
        with replace_when_done(output_dir / name) as path:
            (in_progress / name).rename(path)
    if metrics_dir:
        machine = {**describe_machine(settings["gpu"]), "threads": torch.get_num_threads()}
        write_metrics(metrics_dir, progress, {"machine": machine, "settings": settings})
    msg.good(f"Trained {output_dir / MODEL_BEST}")
