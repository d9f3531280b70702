"""Train with several batch sizes and learning rates."""

import math
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any, Dict, List, Sequence

import spacy
import srsly
from spacy.cli._util import show_validation_error
from spacy.language import DEFAULT_CONFIG
from spacy.util import load_config, resolve_dot_names
from thinc.api import Config
from wasabi import msg

from ..common.files import replace_when_done
from ..common.machine import describe_machine
from ..common.project import ROOT
from ..common.reporting import write_json, write_reports, write_text
from .overrides import HIGHEST_RATE
from .prepare import check_input
from .settings import TrainingSettings
from .sweep_report import make_markdown

BATCH_SIZES = (1, 32, 64, 128)
LEARNING_RATES = (5e-5, 2e-4)
WARMUP_SHARE = 0.1


def sweep(
    settings: TrainingSettings, *, batch_sizes: Sequence[int], learning_rates: Sequence[float], epochs: int
) -> List[Dict[str, Any]]:
    """Train with each pair of batch size and learning rate, and write sweep.json and sweep.md.

    settings (TrainingSettings): What all trainings have in common. The output folder gets a folder `sweep`, and in it
        one for each training; the metrics folder gets the two files.
    batch_sizes (Sequence[int]): Samples in a batch.
    learning_rates (Sequence[float]): Learning rates after the warm-up.
    epochs (int): Passes over the train corpus.
    RETURNS (List[Dict[str, Any]]): A row for each pair; one that failed has "error" instead of scores.
    RAISES (UserError): If the config or a corpus is missing.
    """
    n_samples = count_samples(settings)
    rows = []
    for size, rate in product(batch_sizes, learning_rates):
        folder = settings.output_dir / "sweep" / f"batch-{size}-rate-{rate:g}"
        about = describe_training(settings, make_overrides(n_samples, size, rate, epochs))
        msg.info(f"{folder.name}: {epochs} epochs of {n_samples:,} samples")
        error = "" if is_finished(folder, about) else run_training(folder, about, settings.gpu)
        result = {"error": error} if error else read_result(folder)
        rows.append({"batch_size": size, "learning_rate": rate, **result})
    report = {"machine": describe_machine(), "epochs": epochs, "samples": n_samples, "runs": rows}
    write_reports(
        {
            settings.metrics_dir / "sweep.json": write_json(report),
            settings.metrics_dir / "sweep.md": write_text(make_markdown(report)),
        }
    )
    return rows


def count_samples(settings: TrainingSettings) -> int:
    """Count the samples of the train corpus as the config's reader makes them: sentences or Docs."""
    overrides = {**check_input(settings), **settings.overrides}
    with show_validation_error(settings.config):
        loaded = Config(DEFAULT_CONFIG).merge(load_config(settings.config, overrides=overrides)).interpolate()
    (reader,) = resolve_dot_names(loaded, [loaded["training"]["train_corpus"]])
    return sum(1 for _ in reader(spacy.blank(loaded["nlp"]["lang"])))


def make_overrides(n_samples: int, batch_size: int, learning_rate: float, epochs: int) -> Dict[str, Any]:
    """Set the batches, the rate and the steps. spaCy evaluates after the first step of each epoch, and of the next one.

    n_samples (int): Samples in the train corpus.
    batch_size (int): Samples in a batch.
    learning_rate (float): The rate after the warm-up.
    epochs (int): Passes over the train corpus.
    RETURNS (Dict[str, Any]): Settings of the config.
    """
    steps = math.ceil(n_samples / batch_size)
    return {
        "training.batcher": {
            "@batchers": "spacy.batch_by_sequence.v1",
            "size": batch_size,
        },
        HIGHEST_RATE: learning_rate,
        "training.optimizer.learn_rate.warmup_steps": max(1, round(WARMUP_SHARE * steps * epochs)),
        "training.max_epochs": 0,
        "training.max_steps": steps * epochs,
        "training.eval_frequency": steps,
        "training.patience": 0,
    }


def describe_training(settings: TrainingSettings, overrides: Dict[str, Any]) -> Dict[str, Any]:
    """Say what tells whether a training that is finished is the one that is asked for.

    settings (TrainingSettings): What all trainings have in common.
    overrides (Dict[str, Any]): Settings of the config for this one.
    RETURNS (Dict[str, Any]): The config, its content, the inputs and all settings that are overridden.
    """
    # Encoder and corpora count by their folders: whoever changes what is in them sweeps into another folder.
    return {
        "config": str(settings.config),
        "content": settings.config.read_text(encoding="utf8"),
        "corpus": str(settings.corpus_dir),
        "encoder": str(settings.encoder),
        "overrides": {**settings.overrides, **overrides},
    }


def is_finished(folder: Path, about: Dict[str, Any]) -> bool:
    """Tell whether a folder holds the training that is asked for."""
    path = folder / "sweep.json"
    return path.is_file() and srsly.read_json(path) == about


def run_training(folder: Path, about: Dict[str, Any], gpu: int) -> str:
    """Train in a process of its own, whose memory is free afterwards and whose end is not the sweep's.

    folder (Path): Folder of this training.
    about (Dict[str, Any]): What `describe_training` says of it.
    gpu (int): GPU to train on, -1 for the CPU.
    RETURNS (str): Why it failed, empty if it did not.
    """
    overrides = dict(about["overrides"])
    with replace_when_done(folder / "config.cfg") as path:
        # A batcher has other settings than the one in the config, so it can't be overridden value by value.
        config = load_config(Path(about["config"]))
        config["training"]["batcher"] = overrides.pop("training.batcher")
        config.to_disk(path)
    arguments = [folder / "config.cfg", Path(about["corpus"]), Path(about["encoder"]), folder]
    options = ["--metrics", folder / "metrics", "--gpu", gpu]
    options += [part for name, value in overrides.items() for part in (f"--{name}", format_value(value))]
    command = [sys.executable, "-m", "scripts.train", *map(resolve, arguments), *map(resolve, options)]
    with (folder / "train.log").open("w", encoding="utf8") as log:
        # One message a line, so that the last line is a whole sentence.
        environment = {**os.environ, "WASABI_NO_PRETTY": "1", "ANSI_COLORS_DISABLED": "1"}
        result = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    if result.returncode == 0:
        with replace_when_done(folder / "sweep.json") as path:
            srsly.write_json(path, about)
        return ""
    lines = (folder / "train.log").read_text(encoding="utf8").strip().splitlines()
    reason = lines[-1].strip() if lines else "it printed nothing"
    return f"{reason} (exit code {result.returncode})"


def format_value(value: Any) -> str:
    """Write a setting as `spacy train` takes it on the command line."""
    return value if isinstance(value, str) else srsly.json_dumps(value)


def resolve(argument: Any) -> str:
    """Make an argument independent of the current folder: the process that gets it runs in the project's."""
    return str(argument.resolve() if isinstance(argument, Path) else argument)


def read_result(folder: Path) -> Dict[str, Any]:
    """Read what a report says of a training that has ended well."""
    metrics = srsly.read_json(folder / "metrics" / "training.json")
    kept = ("steps", "seconds", "samples_per_second", "words_per_second")
    return {**{name: metrics[name] for name in kept}, "ents_f": metrics["best"]["ents_f"]}
