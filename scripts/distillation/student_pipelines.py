"""Make each student from its teacher, once."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import spacy
from wasabi import msg

from .. import compiled_transformer  # noqa: F401
from ..common.machine import describe_machine
from ..common.pipelines import get_folder_digest
from ..compiled_transformer.artefact import get_digest
from .compiling import GATE, compile_cnn, compile_encoder
from .labelling import join_corpora, label_text
from .once import make_once
from .settings import DistillationSettings
from .student_training import learn_labels, learn_vectors, train_cnn


class Distillation(NamedTuple):
    """What all students of a teacher have in common."""

    teacher: Path  # the trained pipeline
    compiled: Path  # the same one, compiled
    corpora: Dict[str, Path]  # "train", "dev" and "test", all gold
    folder: Path  # for the students, and for what they are made of
    settings: DistillationSettings
    silent: bool

    @property
    def key(self) -> Dict[str, Any]:
        """Say what makes two trainings the same, beside their settings."""
        return {
            "teacher": get_folder_digest(self.teacher),
            "corpora": [get_digest(path.read_bytes()) for path in self.corpora.values()],
            "seed": self.settings.seed,
        }

    def announce(self, text: str) -> None:
        """Print what is done next."""
        if not self.silent:
            msg.info(text)


class TrainingText(NamedTuple):
    """A corpus that students learn from."""

    path: Path
    about: str


class Student(NamedTuple):
    """A small pipeline, ready to use."""

    name: str
    kind: str  # "encoder" or "cnn"
    path: Path
    about: str
    training: Dict[str, Any]


def label(distillation: Distillation) -> TrainingText:
    """Let the teacher label text, and put gold beside it if it is other text than gold's.

    distillation (Distillation): What all students have in common.
    RETURNS (TrainingText): What students learn from.
    """
    settings, train = distillation.settings, distillation.corpora["train"]
    source = settings.text or train
    target = distillation.folder / "labelled.spacy"
    distillation.announce(f"The teacher labels {source}")

    def make() -> Dict[str, Any]:
        if settings.gpu >= 0:
            spacy.require_gpu(settings.gpu)
        return {"words": label_text(spacy.load(distillation.compiled), source, target, silent=distillation.silent)}

    key = {
        **distillation.key,
        "compiled": get_folder_digest(distillation.compiled),
        "text": get_digest(source.read_bytes()),
    }
    words = make_once(target, key, make)["words"]
    if settings.text is None:
        return TrainingText(target, f"{words:,} words of {train.name}, labelled by the teacher")
    mixed = distillation.folder / "train.spacy"
    join_corpora([train, target], mixed)
    return TrainingText(
        mixed, f"the gold of {train.name} and {words:,} words of {source.name}, labelled by the teacher"
    )


def make_encoder(distillation: Distillation, text: TrainingText, layers: List[int]) -> Student:
    """Train and compile the student with fewer layers.

    distillation (Distillation): What all students have in common.
    text (TrainingText): What it learns from.
    layers (List[int]): The teacher's layers that it keeps, counted from 0.
    RETURNS (Student): The compiled student.
    """
    settings, silent = distillation.settings, distillation.silent
    trained = distillation.folder / f"encoder-{len(layers)}"
    compiled, encoder = (trained.with_name(f"{trained.name}-{what}") for what in ("compiled", "vectors"))
    names = ", ".join(str(layer + 1) for layer in layers)
    distillation.announce(f"{trained.name}: layers {names} of the teacher's encoder")
    key = {
        **distillation.key,
        "text": get_digest(text.path.read_bytes()),
        "layers": layers,
        "vectors": settings.vectors,
    }
    training = make_once(
        encoder,
        key,
        lambda: learn_vectors(distillation.teacher, layers, text.path, encoder, settings, silent=silent),
    )
    key.update(steps=settings.steps, rate=settings.learning_rate)
    corpora = {**distillation.corpora, "train": text.path}
    training |= make_once(
        trained, key, lambda: learn_labels(distillation.teacher, layers, encoder, corpora, trained, settings)
    )
    distillation.announce(f"{trained.name}: the search for its fastest engine")
    search = {"budget": settings.budget, "gpu": settings.gpu}
    engine = make_once(
        compiled,
        {**key, "machine": describe_machine(), "gate": GATE, **search},
        lambda: compile_encoder(trained, distillation.corpora, compiled, **search, silent=silent),
    )["engine"]
    about = f"layers {names} of the teacher's encoder, trained on its vectors and on {text.about}; {engine}"
    return Student(trained.name, "encoder", compiled, about, training)


def make_cnn(distillation: Distillation, name: str, text: TrainingText, lang: str) -> Student:
    """Train a CNN.

    distillation (Distillation): What all students have in common.
    name (str): Name of the student, and of its folder.
    text (TrainingText): What it learns from.
    lang (str): The teacher's language.
    RETURNS (Student): The student.
    """
    settings = distillation.settings
    config = settings.config
    trained, compiled = distillation.folder / name, distillation.folder / f"{name}-compiled"
    distillation.announce(f"{name}: a CNN on {text.about}")
    key = {
        **distillation.key,
        "text": get_digest(text.path.read_bytes()),
        "config": config.read_text(encoding="utf8"),
        "lang": lang,
        "steps": settings.cnn_steps,
        "overrides": settings.overrides,
    }
    corpora = {"train": text.path, "dev": distillation.corpora["dev"]}
    training = make_once(trained, key, lambda: train_cnn(corpora, trained, settings, lang=lang))
    engine = compile_cnn(trained, compiled)["engine"]
    return Student(name, "cnn", compiled, f"a CNN ({config.name}) trained on {text.about}; {engine}", training)
