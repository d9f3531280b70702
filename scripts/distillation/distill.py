"""Make students from a trained pipeline, compare them with it, and keep one."""

import shutil
from pathlib import Path
from typing import Any, Dict, Optional

import srsly

from ..common.console import UserError
from ..common.corpora import read_corpus
from ..common.files import replace_when_done
from ..common.pipelines import check_pipelines, require_gpu
from ..compilation.reference import Reference, load_reference
from .layers import parse_layers
from .student_comparison import compare
from .student_pipelines import Lesson, Text, label, make_cnn, make_encoder
from .student_report import make_markdown, print_table, save_plot
from .student_selection import Wish, choose_student
from .vectors import Schedule

CNN, CNN_ON_GOLD = "cnn", "cnn-gold"


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
    if not isinstance(reference, Reference):
        raise UserError(f"The teacher in {teacher} has no `transformer` of spacy-transformers, which `distill` needs.")
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
