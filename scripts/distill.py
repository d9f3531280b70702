"""Make small, fast pipelines from the trained one, and show what they keep of it.

The way of the data: training/model-best, corpus/*.spacy and any text -> training/students, metrics/distill.*, and
training/model-student if one is asked for
"""

import shutil
from pathlib import Path
from typing import Any, Dict, Optional

import srsly
import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .compilation.gate import read_corpus
from .compilation.reference import load_reference, require_gpu
from .console import UserError, exit_on_user_error, replace_when_done
from .distillation.choice import Wish, choose_student
from .distillation.layers import parse_layers
from .distillation.measure import compare
from .distillation.report import make_markdown, print_table, save_plot
from .distillation.vectors import Schedule
from .distillation.workshop import Lesson, Text, label, make_cnn, make_encoder
from .evaluate import check_pipelines
from .training.overrides import parse_overrides

CNN, CNN_ON_GOLD = "cnn", "cnn-gold"


def distill_cli(
    # fmt: off
    context: typer.Context,
    teacher: Path = Arg(..., help="Folder of the trained pipeline; it is only read"),
    compiled: Path = Arg(..., help="The same one, compiled: it labels the text, and students are compared with it"),
    corpus_dir: Path = Arg(..., help="Folder with train.spacy, dev.spacy and test.spacy"),
    output_dir: Path = Arg(..., help="Folder for `students`, and for `model-student`, the one that is picked"),
    metrics_dir: Path = Arg(..., help="Folder for distill.json, distill.md and distill.png"),
    text: str = Opt("", "--text", "-t", help="Text to label, a document a line or .spacy; by default that of train"),
    config: Path = Opt("configs/cnn.cfg", "--config", help="Training config of the CNN"),
    layers: str = Opt("", "--layers", "-l", help="Layers to keep, such as 2,4,6; by default every second one"),
    with_encoder: bool = Opt(True, "--encoder/--no-encoder", help="With the student that has fewer layers"),
    vector_epochs: int = Opt(2, "--vector-epochs", min=0, help="Passes over all text to learn the teacher's vectors"),
    vector_rate: float = Opt(5e-4, "--vector-rate", min=0.0, help="Highest learning rate of the vectors"),
    steps: int = Opt(500, "--steps", min=1, help="Training steps of the encoder's student on labels"),
    rate: float = Opt(1e-4, "--rate", min=0.0, help="Highest learning rate on labels"),
    cnn_steps: int = Opt(4000, "--cnn-steps", min=1, help="Training steps of each CNN"),
    target_speed: Optional[float] = Opt(None, "--target-speed", help="Pick the best that is so many times as fast"),
    max_f1_drop: Optional[float] = Opt(None, "--max-f1-drop", help="Pick the fastest that loses at most so much F1"),
    budget: float = Opt(4.0, "--budget", "-b", min=0.0, help="Minutes for the search of the student's fastest engine"),
    seed: int = Opt(0, "--seed", help="Seed of all trainings"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU to use, -1 for the CPU"),
    # fmt: on
):
    """Train small pipelines on what the trained one knows, and compare their F1 and speed with it.

    One has an encoder with fewer layers, one is a CNN without any transformer, trained on gold and on text that the
    teacher labelled, and one is the same CNN on gold alone. Students that are finished are not trained again. Any
    setting of the CNN's config can be overridden, as in `spacy train`.
    """
    with exit_on_user_error():
        report = distill(
            teacher, compiled, corpus_dir, output_dir, metrics_dir,
            text=Path(text) if text else None, config=config, layers=layers, with_encoder=with_encoder,
            vectors=Schedule(vector_epochs, vector_rate), steps=steps, rate=rate, cnn_steps=cnn_steps,
            wish=Wish(target_speed, max_f1_drop), budget=budget, seed=seed, gpu=gpu,
            overrides=parse_overrides(context.args), silent=False,
        )  # fmt: skip
    print_table(report)
    if report["chosen"]:
        msg.good(f"Kept {report['chosen']} in {output_dir / 'model-student'}")


def distill(
    teacher: Path,
    compiled: Path,
    corpus_dir: Path,
    output_dir: Path,
    metrics_dir: Path,
    *,
    text: Optional[Path] = None,
    config: Path,
    layers: str = "",
    with_encoder: bool = True,
    vectors: Schedule = Schedule(),
    steps: int = 500,
    rate: float = 1e-4,
    cnn_steps: int = 4000,
    wish: Wish = Wish(),
    budget: float = 4.0,
    seed: int = 0,
    gpu: int = -1,
    overrides: Optional[Dict[str, Any]] = None,
    silent: bool = True,
) -> Dict[str, Any]:
    """Train all students, compare them with their teacher, and keep one.

    teacher (Path): The trained pipeline.
    compiled (Path): The same one, compiled.
    corpus_dir (Path): Folder with train.spacy, dev.spacy and test.spacy.
    output_dir (Path): Gets `students`, and `model-student` if one is wished for.
    metrics_dir (Path): Gets distill.json, distill.md and distill.png.
    text (Optional[Path]): Text for the teacher to label, None for that of train.spacy.
    config (Path): Training config of the CNN.
    layers (str): Layers to keep, from 1, with commas between; every second one if empty.
    with_encoder (bool): Make the student with fewer layers.
    vectors (Schedule): How the student encoder learns the teacher's vectors.
    steps (int): Its training steps on labels.
    rate (float): Its highest learning rate on labels.
    cnn_steps (int): Training steps of each CNN.
    wish (Wish): What the student that is kept must be.
    budget (float): Minutes for the search of the student's fastest engine.
    seed (int): Of all trainings.
    gpu (int): GPU to use, -1 for the CPU.
    overrides (Optional[Dict[str, Any]]): Settings of the CNN's config to override.
    silent (bool): Show no progress.
    RETURNS (Dict[str, Any]): What is written to distill.json.
    RAISES (UserError): If something is missing or can't be read, a training fails, or no student meets the wish.
    """
    check_pipelines(teacher, compiled)
    corpora = {split: corpus_dir / f"{split}.spacy" for split in ("train", "dev", "test")}
    for corpus in corpora.values():
        read_corpus(corpus)
    require_gpu(gpu)
    lesson = Lesson(teacher, compiled, corpora, output_dir / "students", seed, gpu, silent)
    reference = load_reference(teacher)
    kept_layers = parse_layers(layers, reference) if with_encoder else []
    if text is not None and not text.is_file():
        raise UserError(f"There is no text at {text}. Name another file with `--text`.")
    if not config.is_file():
        raise UserError(f"There is no config at {config}. Name the CNN's with `--config`, such as configs/cnn.cfg.")

    gold = Text(corpora["train"], f"the gold of {corpora['train'].name}")
    data = label(lesson, text)
    students = []
    if with_encoder:
        students.append(make_encoder(lesson, data, kept_layers, vectors, steps=steps, rate=rate, budget=budget))
    for name, of_student in ((CNN_ON_GOLD, gold), (CNN, data)):
        how = {"lang": reference.nlp.lang, "steps": cnn_steps, "overrides": overrides or {}}
        students.append(make_cnn(lesson, name, of_student, config, how))
    report = compare(lesson, students)
    problem = None
    try:
        report["chosen"] = choose_student(wish, [row for row in report["pipelines"] if row["kind"] != "teacher"])
    except UserError as error:
        problem = error
    write_report(report, metrics_dir)
    if problem:
        print_table(report)
        raise problem
    for student in students:
        if student.name == report["chosen"]:
            with replace_when_done(output_dir / "model-student") as path:
                shutil.copytree(student.path, path)
    return report


def write_report(report: Dict[str, Any], metrics_dir: Path) -> None:
    with (
        replace_when_done(metrics_dir / "distill.json") as json_file,
        replace_when_done(metrics_dir / "distill.md") as markdown_file,
        replace_when_done(metrics_dir / "distill.png") as plot_file,
    ):
        srsly.write_json(json_file, report)
        markdown_file.write_text(make_markdown(report), encoding="utf8")
        save_plot(report, plot_file)


if __name__ == "__main__":
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(distill_cli)
    app()
