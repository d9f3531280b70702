"""Make small, fast pipelines from the trained one, and show what they keep of it.

The data flow: training/model-best, corpus/*.spacy and any text -> training/students, metrics/distill.*, and
training/model-student if one is asked for
"""

from pathlib import Path
from typing import Optional

import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .common.console import exit_on_user_error
from .distillation.distill import distill
from .distillation.settings import DistillationSettings, StudentRequirements, VectorTraining
from .distillation.student_report import print_table
from .training.overrides import parse_overrides

DEFAULT = DistillationSettings()


def distill_cli(
    # fmt: off
    context: typer.Context,
    teacher: Path = Arg(..., help="Folder of the trained pipeline; it is only read"),
    compiled: Path = Arg(..., help="The same one, compiled: it labels the text, and students are compared with it"),
    corpus_dir: Path = Arg(..., help="Folder with train.spacy, dev.spacy and test.spacy"),
    output_dir: Path = Arg(..., help="Folder for `students`, and for `model-student`, the one that is kept"),
    metrics_dir: Path = Arg(..., help="Folder for distill.json, distill.md and distill.png"),
    text: str = Opt("", "--text", "-t", help="Text to label, a document a line or .spacy; by default that of train"),
    config: Path = Opt(DEFAULT.config, "--config", help="Training config of the CNN"),
    layers: str = Opt("", "--layers", "-l", help="Layers to keep, such as 2,4,6; by default every second one"),
    with_encoder: bool = Opt(True, "--encoder/--no-encoder", help="With the student that has fewer layers"),
    vector_epochs: int = Opt(
        DEFAULT.vectors.epochs, "--vector-epochs", min=0, help="Passes over all text to learn the teacher's vectors"
    ),
    vector_rate: float = Opt(
        DEFAULT.vectors.learning_rate, "--vector-rate", min=0.0, help="Highest learning rate of the vectors"
    ),
    steps: int = Opt(DEFAULT.steps, "--steps", min=1, help="Training steps of the encoder's student on labels"),
    rate: float = Opt(DEFAULT.learning_rate, "--rate", min=0.0, help="Highest learning rate on labels"),
    cnn_steps: int = Opt(DEFAULT.cnn_steps, "--cnn-steps", min=1, help="Training steps of each CNN"),
    target_speed: Optional[float] = Opt(None, "--target-speed", help="Keep the best that is so many times as fast"),
    max_f1_drop: Optional[float] = Opt(None, "--max-f1-drop", help="Keep the fastest that loses at most so much F1"),
    budget: float = Opt(
        DEFAULT.budget, "--budget", "-b", min=0.0, help="Minutes for the search of the student's fastest engine"
    ),
    seed: int = Opt(DEFAULT.seed, "--seed", help="Seed of all trainings"),
    gpu: int = Opt(DEFAULT.gpu, "--gpu", "-g", help="GPU to use, -1 for the CPU"),
    # fmt: on
):
    """Train small pipelines on what the trained one knows, and compare their F1 and speed with it.

    One has an encoder with fewer layers, one is a CNN without any transformer, trained on gold and on text that the
    teacher labelled, and one is the same CNN on gold alone. Students that are finished are not trained again. Any
    setting of the CNN's config can be overridden, as in `spacy train`.
    """
    with exit_on_user_error():
        settings = DistillationSettings(
            text=Path(text) if text else None,
            config=config,
            overrides=parse_overrides(context.args),
            layers=layers,
            with_encoder=with_encoder,
            vectors=VectorTraining(vector_epochs, vector_rate),
            steps=steps,
            learning_rate=rate,
            cnn_steps=cnn_steps,
            requirements=StudentRequirements(target_speed, max_f1_drop),
            budget=budget,
            seed=seed,
            gpu=gpu,
        )
        report = distill(teacher, compiled, corpus_dir, output_dir, metrics_dir, settings, silent=False)
    print_table(report)
    if report["chosen"]:
        msg.good(f"Kept {report['chosen']} in {output_dir / 'model-student'}")


if __name__ == "__main__":
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(distill_cli)
    app()
