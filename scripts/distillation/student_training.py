"""Train students: the teacher with fewer layers, and a CNN."""

import shutil
from pathlib import Path
from typing import Any, Dict, List

from spacy.cli._util import setup_gpu, show_validation_error
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from transformers import AutoModel

from ..common.corpora import load_docs
from ..common.files import replace_when_done
from ..compilation.reference import load_reference
from ..training.loop import MODEL_BEST, Trainer
from ..training.precision import use_bf16
from ..training.prepare import begin_training, trains_in_bf16
from .layers import drop_layers, save_encoder
from .settings import DistillationSettings
from .vectors import tokenize_windows, train_vectors

WARMUP_SHARE = 0.1
EVALUATIONS = 8


def learn_vectors(
    teacher_path: Path,
    layers: List[int],
    text: Path,
    output: Path,
    settings: DistillationSettings,
    *,
    silent: bool = True,
) -> Dict[str, Any]:
    """Make an encoder with fewer layers that gives nearly the teacher's vectors.

    teacher_path (Path): The teacher; it is only read.
    layers (List[int]): The layers to keep, counted from 0.
    text (Path): Corpus in .spacy format; what is annotated in it is not used.
    output (Path): Gets the encoder, as `scripts.train` takes it.
    settings (DistillationSettings): How it is trained: "vectors", "seed" and "gpu".
    silent (bool): Show no progress.
    RETURNS (Dict[str, Any]): "vector_errors", the mean squared error in each epoch.
    RAISES (UserError): If the layers can't be dropped, or the error is not finite.
    """
    teacher, student = load_reference(teacher_path), load_reference(teacher_path)
    drop_layers(student, layers)
    windows = tokenize_windows(teacher, load_docs(text))
    errors = train_vectors(
        student.encoder,
        teacher.encoder,
        windows,
        settings.vectors,
        seed=settings.seed,
        gpu=settings.gpu,
        silent=silent,
    )
    save_encoder(student, output)
    return {"vector_errors": errors}


def learn_labels(
    teacher_path: Path,
    layers: List[int],
    encoder: Path,
    corpora: Dict[str, Path],
    output: Path,
    settings: DistillationSettings,
) -> Dict[str, Any]:
    """Train a copy of the teacher with another encoder on labels.

    Its NER head starts as the teacher's. The settings are those that the teacher was trained with, but for those given.

    teacher_path (Path): The teacher; it is only read.
    layers (List[int]): The layers that the encoder was made of, counted from 0.
    encoder (Path): From `learn_vectors`.
    corpora (Dict[str, Path]): Annotated corpora, "train" and "dev".
    output (Path): The pipeline to write.
    settings (DistillationSettings): How it is trained: "steps", "learning_rate", "seed" and "gpu".
    RETURNS (Dict[str, Any]): What `train_labels` returns.
    RAISES (UserError): If a loss is not finite.
    """
    steps, gpu = settings.steps, settings.gpu
    setup_gpu(gpu, silent=True)
    student = load_reference(teacher_path)
    drop_layers(student, layers)
    student.encoder.load_state_dict(AutoModel.from_pretrained(encoder).state_dict())
    nlp = student.nlp
    config = nlp.config.copy()
    config["paths"]["encoder"] = str(encoder)
    for name in ("train", "dev"):
        config["corpora"][name]["path"] = str(corpora[name])
    config["training"].update(
        seed=settings.seed, max_steps=steps, max_epochs=0, patience=0, eval_frequency=get_frequency(steps)
    )
    optimizer = config["training"]["optimizer"]
    optimizer["learn_rate"] = {
        "@schedules": "warmup_linear.v1",
        "warmup_steps": round(WARMUP_SHARE * steps),
        "total_steps": steps,
        "initial_rate": settings.learning_rate,
    }
    if "layers" in optimizer:  # Of the encoder, see `LayerwiseAdam`
        optimizer["layers"] = student.encoder.config.num_hidden_layers
    nlp.config = config
    if trains_in_bf16(gpu, fp32=False):
        use_bf16(nlp, gpu)
    return train_labels(nlp, output, gpu=gpu)


def train_cnn(
    corpora: Dict[str, Path],
    output: Path,
    settings: DistillationSettings,
    *,
    lang: str,
) -> Dict[str, Any]:
    """Train a pipeline that has no teacher in it.

    corpora (Dict[str, Path]): Annotated corpora, "train" and "dev".
    output (Path): The pipeline to write.
    settings (DistillationSettings): How it is trained: "config", "overrides", "cnn_steps", "seed" and "gpu".
    lang (str): The teacher's language.
    RETURNS (Dict[str, Any]): What `train_labels` returns.
    RAISES (UserError): If a loss is not finite.
    """
    setup_gpu(settings.gpu, silent=True)
    overrides = {
        **{f"paths.{name}": str(path) for name, path in corpora.items()},
        "nlp.lang": lang,
        "system.seed": settings.seed,
        "training.max_steps": settings.cnn_steps,
        "training.eval_frequency": get_frequency(settings.cnn_steps),
        **settings.overrides,
    }
    with show_validation_error(settings.config):
        nlp = init_nlp(load_config(settings.config, overrides=overrides), use_gpu=settings.gpu)
    return train_labels(nlp, output, gpu=settings.gpu)


def get_frequency(steps: int) -> int:
    """Choose the steps from one evaluation to the next."""
    return max(1, steps // EVALUATIONS)


def train_labels(nlp: Language, output: Path, *, gpu: int) -> Dict[str, Any]:
    """Train a pipeline by its config, and keep what was best on dev.

    nlp (Language): An initialized pipeline.
    output (Path): The folder to write or replace.
    gpu (int): The GPU in use, -1 for the CPU.
    RETURNS (Dict[str, Any]): "steps", "seconds" and "words" of the training, and its "evaluations" as in
        metrics/training.json.
    RAISES (UserError): If a loss or a gradient is not finite.
    """
    with begin_training(output.with_name(f"{output.name}-training")) as in_progress:
        progress = Trainer(nlp, in_progress, gpu=gpu).run()
        with replace_when_done(output) as path:
            (in_progress / MODEL_BEST).rename(path)
    shutil.rmtree(in_progress.parent)
    return {
        "steps": progress.step,
        "seconds": progress.seconds,
        "words": progress.words,
        "evaluations": progress.evaluations,
    }
