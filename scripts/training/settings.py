"""What a training is given."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional


@dataclass(frozen=True)
class TrainingSettings:
    """What is trained, on what, and where the result goes.

    config (Path): Training config.
    corpus_dir (Path): Folder with train.spacy and dev.spacy.
    encoder (Path): Folder of the pretrained encoder.
    output_dir (Path): Folder for model-best and model-last.
    metrics_dir (Optional[Path]): Folder for training.json and training.png, None for none.
    gpu (int): GPU to train on, -1 for the CPU; of several processes, the first GPU of each machine.
    fp32 (bool): Compute in float32, also where the hardware has bfloat16.
    overrides (Dict[str, Any]): Settings of the config to override.
    """

    config: Path
    corpus_dir: Path
    encoder: Path
    output_dir: Path
    metrics_dir: Optional[Path] = None
    gpu: int = -1
    fp32: bool = False
    overrides: Dict[str, Any] = field(default_factory=dict)
