"""Make each student from its teacher, once."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import spacy
from wasabi import msg

from .. import compiled_transformer  # noqa: F401
from ..common.machine import describe_machine
from ..common.pipelines import get_folder_digest
from ..compiled_transformer.artefact import get_digest
from .compiling import GATE, compile_cnn, compile_encoder
from .labelling import join_corpora, label_text
from .once import make_once
from .student_training import learn_labels, learn_vectors, train_cnn
from .vectors import Schedule


class Lesson(NamedTuple):
    """What all students have in common."""

    teacher: Path  # the trained pipeline
    compiled: Path  # the same one, compiled
    corpora: Dict[str, Path]  # "train", "dev" and "test", all gold
    folder: Path  # for what the students are made of, and for themselves
    seed: int
    gpu: int
    silent: bool

    @property
    def key(self) -> Dict[str, Any]:
        """What makes two trainings the same, beside their settings."""
        return {
            "teacher": get_folder_digest(self.teacher),
            "corpora": [get_digest(path.read_bytes()) for path in self.corpora.values()],
            "seed": self.seed,
        }


class Text(NamedTuple):
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


def label(lesson: Lesson, source: Optional[Path]) -> Text:
    """Let the teacher label text, and put gold beside it if it is other text than gold's.

    source (Optional[Path]): The text, None for that of the train corpus.
    RETURNS (Text): What students learn from.
    """
    train = lesson.corpora["train"]
    target = lesson.folder / "labelled.spacy"
    say(lesson, f"The teacher labels {source or train}")

    def make() -> Dict[str, Any]:
        if lesson.gpu >= 0:
            spacy.require_gpu(lesson.gpu)
        return {"words": label_text(spacy.load(lesson.compiled), source or train, target, silent=lesson.silent)}

    key = {
        **lesson.key,
        "compiled": get_folder_digest(lesson.compiled),
        "text": get_digest((source or train).read_bytes()),
    }
    words = make_once(target, key, make)["words"]
    if source is None:
        return Text(target, f"{words:,} words of {train.name}, labelled by the teacher")
    mixed = lesson.folder / "train.spacy"
    join_corpora([train, target], mixed)
    return Text(mixed, f"the gold of {train.name} and {words:,} words of {source.name}, labelled by the teacher")


def make_encoder(
    lesson: Lesson, text: Text, layers: List[int], vectors: Schedule, *, steps: int, rate: float, budget: float
) -> Student:
    """Train and compile the student with fewer layers."""
    trained = lesson.folder / f"encoder-{len(layers)}"
    compiled, encoder = (trained.with_name(f"{trained.name}-{what}") for what in ("compiled", "vectors"))
    names = ", ".join(str(layer + 1) for layer in layers)
    say(lesson, f"{trained.name}: layers {names} of the teacher's encoder")
    key = {**lesson.key, "text": get_digest(text.path.read_bytes()), "layers": layers, "vectors": vectors}
    where = {"seed": lesson.seed, "gpu": lesson.gpu}
    training = make_once(
        encoder,
        key,
        lambda: learn_vectors(
            lesson.teacher, layers, text.path, encoder, schedule=vectors, silent=lesson.silent, **where
        ),
    )
    key.update(steps=steps, rate=rate)
    corpora = {**lesson.corpora, "train": text.path}
    training |= make_once(
        trained,
        key,
        lambda: learn_labels(
            lesson.teacher, layers, encoder, corpora, trained, steps=steps, learning_rate=rate, **where
        ),
    )
    say(lesson, f"{trained.name}: the search for its fastest engine")
    engine = make_once(
        compiled,
        {**key, "machine": describe_machine(), "gate": GATE, "budget": budget, "gpu": lesson.gpu},
        lambda: compile_encoder(trained, lesson.corpora, compiled, budget=budget, gpu=lesson.gpu, silent=lesson.silent),
    )["engine"]
    about = f"layers {names} of the teacher's encoder, trained on its vectors and on {text.about}; {engine}"
    return Student(trained.name, "encoder", compiled, about, training)


def make_cnn(lesson: Lesson, name: str, text: Text, config: Path, how: Dict[str, Any]) -> Student:
    """Train a CNN.

    how (Dict[str, Any]): "lang", "steps" and "overrides" of the training.
    """
    trained, compiled = lesson.folder / name, lesson.folder / f"{name}-compiled"
    say(lesson, f"{name}: a CNN on {text.about}")
    text_digest, written = get_digest(text.path.read_bytes()), config.read_text(encoding="utf8")
    corpora = {"train": text.path, "dev": lesson.corpora["dev"]}
    training = make_once(
        trained,
        {**lesson.key, "text": text_digest, "config": written, **how},
        lambda: train_cnn(config, corpora, trained, seed=lesson.seed, gpu=lesson.gpu, **how),
    )
    engine = compile_cnn(trained, compiled)["engine"]
    return Student(name, "cnn", compiled, f"a CNN ({config.name}) trained on {text.about}; {engine}", training)


def say(lesson: Lesson, text: str) -> None:
    if not lesson.silent:
        msg.info(text)
