"""Make students from a trained pipeline, compare them with it, and keep one."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any, Dict

from ..common.console import UserError
from ..common.corpora import read_corpus
from ..common.files import replace_when_done
from ..common.pipelines import check_pipelines, require_gpu
from ..common.reporting import write_json, write_reports, write_text
from ..compilation.reference import Reference, load_reference
from ..training.threads import limit_threads
from .layers import parse_layers
from .settings import DistillationSettings
from .student_comparison import compare
from .student_pipelines import Distillation, TrainingText, label, make_cnn, make_encoder
from .student_report import make_markdown, print_table, save_plot
from .student_selection import choose_student

CNN, CNN_ON_GOLD = "cnn", "cnn-gold"


def distill(
    teacher: Path,
    compiled: Path,
    corpus_dir: Path,
    output_dir: Path,
    metrics_dir: Path,
    settings: DistillationSettings = DistillationSettings(),
    *,
    silent: bool = True,
) -> Dict[str, Any]:
    """Train all students, compare them with their teacher, and keep one.

    teacher (Path): The trained pipeline.
    compiled (Path): The same one, compiled.
    corpus_dir (Path): Folder with train.spacy, dev.spacy and test.spacy.
    output_dir (Path): Gets `students`, and `model-student` if something is required of one.
    metrics_dir (Path): Gets distill.json, distill.md and distill.png.
    settings (DistillationSettings): How students are made, and what the one that is kept must be.
    silent (bool): Show no progress.
    RETURNS (Dict[str, Any]): What is written to distill.json.
    RAISES (UserError): If something is missing or can't be read, a training fails, or no student meets the requirements.
    """
    check_pipelines(teacher, compiled)
    corpora = {split: corpus_dir / f"{split}.spacy" for split in ("train", "dev", "test")}
    for split, corpus in corpora.items():
        read_corpus(corpus, purpose="learned from" if split == "train" else "compared on")
    require_gpu(settings.gpu)
    reference = load_reference(teacher)
    if not isinstance(reference, Reference):
        raise UserError(f"The teacher in {teacher} has no `transformer` of spacy-transformers, which `distill` needs.")
    layers = parse_layers(settings.layers, reference) if settings.with_encoder else []
    if settings.text is not None and not settings.text.is_file():
        raise UserError(f"There is no text at {settings.text}. Name another file with `--text`.")
    if not settings.config.is_file():
        raise UserError(
            f"There is no config at {settings.config}. Name the CNN's with `--config`, such as configs/cnn.cfg."
        )

    limit_threads()
    distillation = Distillation(teacher, compiled, corpora, output_dir / "students", settings, silent)
    gold = TrainingText(corpora["train"], f"the gold of {corpora['train'].name}")
    labelled = label(distillation)
    students = [make_encoder(distillation, labelled, layers)] if settings.with_encoder else []
    for name, text in ((CNN_ON_GOLD, gold), (CNN, labelled)):
        students.append(make_cnn(distillation, name, text, reference.nlp.lang))
    report = compare(distillation, students)
    problem = None
    try:
        rows = [row for row in report["pipelines"] if row["kind"] != "teacher"]
        report["chosen"] = choose_student(settings.requirements, rows)
    except UserError as error:
        problem = error
    write_reports(
        {
            metrics_dir / "distill.json": write_json(report),
            metrics_dir / "distill.md": write_text(make_markdown(report)),
            metrics_dir / "distill.png": partial(save_plot, report),
        }
    )
    if problem:
        print_table(report)
        raise problem
    for student in students:
        if student.name == report["chosen"]:
            with replace_when_done(output_dir / "model-student") as path:
                shutil.copytree(student.path, path)
    return report
