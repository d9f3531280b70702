"""How students are made, and what the one that is kept must be."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional


class VectorTraining(NamedTuple):
    """How long and how fast an encoder learns the vectors of another one.

    epochs (int): Passes over all text.
    learning_rate (float): Highest learning rate.
    batch_wordpieces (int): Wordpieces of a batch, padding included.
    """

    epochs: int = 2
    learning_rate: float = 5e-4
    batch_wordpieces: int = 4096


class StudentRequirements(NamedTuple):
    """What a student must be, in comparison with the compiled teacher. None for no demand.

    target_speed (Optional[float]): Words a second, times the teacher's.
    max_f1_drop (Optional[float]): Most entity F1 on dev, between 0 and 1, that it may lose.
    """

    target_speed: Optional[float] = None
    max_f1_drop: Optional[float] = None


@dataclass(frozen=True)
class DistillationSettings:
    """How students are made, and what the one that is kept must be.

    text (Optional[Path]): Text for the teacher to label, None for that of the train corpus.
    config (Path): Training config of the CNN.
    overrides (Dict[str, Any]): Settings of that config to override.
    layers (str): Layers to keep, from 1, with commas between; every second one if empty.
    with_encoder (bool): Make the student with fewer layers.
    vectors (VectorTraining): How the student encoder learns the teacher's vectors.
    steps (int): Its training steps on labels.
    learning_rate (float): Its highest learning rate on labels.
    cnn_steps (int): Training steps of each CNN.
    requirements (StudentRequirements): What the student that is kept must be.
    budget (float): Minutes for the search of the student's fastest engine.
    seed (int): Seed of all trainings.
    gpu (int): GPU to use, -1 for the CPU.
    """

    text: Optional[Path] = None
    config: Path = Path("configs/cnn.cfg")
    overrides: Dict[str, Any] = field(default_factory=dict)
    layers: str = ""
    with_encoder: bool = True
    vectors: VectorTraining = VectorTraining()
    steps: int = 500
    learning_rate: float = 1e-4
    cnn_steps: int = 4000
    requirements: StudentRequirements = StudentRequirements()
    budget: float = 4.0
    seed: int = 0
    gpu: int = -1
