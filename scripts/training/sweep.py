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

from ..common.console import UserError
from ..common.corpora import read_corpus
from ..common.files import replace_when_done
from ..common.machine import describe_machine
from ..common.project import ROOT

BATCH_SIZES = (1, 32, 64, 128)
LEARNING_RATES = (5e-5, 2e-4)
WARMUP_SHARE = 0.1
HEADER = ("Batch size", "Learning rate", "Steps", "Training, s", "Samples/s", "Words/s", "Entity F1", "")


def sweep(
    config: Path,
    corpus_dir: Path,
    encoder: Path,
    output_dir: Path,
    metrics_dir: Path,
    *,
    batch_sizes: Sequence[int],
    learning_rates: Sequence[float],
    epochs: int,
    gpu: int = -1,
    overrides: Dict[str, Any],
) -> List[Dict[str, Any]]:
    """Train with each pair of batch size and learning rate, and write sweep.json and sweep.md.

    config (Path): Training config.
    corpus_dir (Path): Folder with train.spacy and dev.spacy.
    encoder (Path): Folder of the pretrained encoder.
    output_dir (Path): Folder in which `sweep` gets a folder for each training.
    metrics_dir (Path): Folder for the two files.
    batch_sizes (Sequence[int]): Samples in a batch.
    learning_rates (Sequence[float]): Learning rates after the warm-up.
    epochs (int): Passes over the train corpus.
    gpu (int): GPU to train on, -1 for the CPU.
    overrides (Dict[str, Any]): Other settings of the config to override.
    RETURNS (List[Dict[str, Any]]): A row for each pair; one that failed has "error" instead of scores.
    RAISES (UserError): If the config or a corpus is missing.
    """
    n_samples = count_samples(config, corpus_dir, overrides)
    rows = []
    for size, rate in product(batch_sizes, learning_rates):
        folder = output_dir / "sweep" / f"batch-{size}-rate-{rate:g}"
        settings = {**overrides, **make_overrides(n_samples, size, rate, epochs)}
        about = describe_training(config, corpus_dir, encoder, settings)
        msg.info(f"{folder.name}: {epochs} epochs of {n_samples:,} samples")
        error = "" if is_finished(folder, about) else run_training(folder, about, gpu)
        rows.append(
            {"batch_size": size, "learning_rate": rate, **(read_result(folder) if not error else {"error": error})}
        )
    report = {"machine": describe_machine(), "epochs": epochs, "samples": n_samples, "runs": rows}
    with replace_when_done(metrics_dir / "sweep.json") as path:
        srsly.write_json(path, report)
    with replace_when_done(metrics_dir / "sweep.md") as path:
        path.write_text(make_report(report), encoding="utf8")
    return rows


def count_samples(config: Path, corpus_dir: Path, overrides: Dict[str, Any]) -> int:
    """RETURNS (int): Samples of the train corpus, as the config's reader makes them: sentences or Docs."""
    if not config.is_file():
        raise UserError(f"There is no config at {config}. Name one of the folder `configs` with `--vars.config`.")
    corpora = {f"paths.{split}": corpus_dir / f"{split}.spacy" for split in ("train", "dev")}
    for corpus in corpora.values():
        read_corpus(corpus)
    with show_validation_error(config):
        loaded = load_config(config, overrides={**{name: str(path) for name, path in corpora.items()}, **overrides})
        loaded = Config(DEFAULT_CONFIG).merge(loaded).interpolate()
    (reader,) = resolve_dot_names(loaded, [loaded["training"]["train_corpus"]])
    return sum(1 for _ in reader(spacy.blank(loaded["nlp"]["lang"])))


def make_overrides(n_samples: int, batch_size: int, learning_rate: float, epochs: int) -> Dict[str, Any]:
    """Set the batches, the rate and the steps. spaCy evaluates after the first step of each epoch, and of the next one.

    RETURNS (Dict[str, Any]): Settings of the config.
    """
    steps = math.ceil(n_samples / batch_size)
    return {
        "training.batcher": {
            "@batchers": "spacy.batch_by_sequence.v1",
            "size": batch_size,
        },
        "training.optimizer.learn_rate.initial_rate": learning_rate,
        "training.optimizer.learn_rate.warmup_steps": max(1, round(WARMUP_SHARE * steps * epochs)),
        "training.max_epochs": 0,
        "training.max_steps": steps * epochs,
        "training.eval_frequency": steps,
        "training.patience": 0,
    }


def describe_training(config: Path, corpus_dir: Path, encoder: Path, overrides: Dict[str, Any]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): What tells whether a training that is finished is the one that is asked for."""
    # Encoder and corpora count by their folders: whoever changes what is in them sweeps into another folder.
    return {
        "config": str(config),
        "content": config.read_text(encoding="utf8"),
        "corpus": str(corpus_dir),
        "encoder": str(encoder),
        "overrides": overrides,
    }


def is_finished(folder: Path, about: Dict[str, Any]) -> bool:
    path = folder / "sweep.json"
    return path.is_file() and srsly.read_json(path) == about


def run_training(folder: Path, about: Dict[str, Any], gpu: int) -> str:
    """Train in a process of its own, whose memory is free afterwards and whose end is not the sweep's.

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
    """RETURNS (str): A setting as `spacy train` takes it on the command line."""
    return value if isinstance(value, str) else srsly.json_dumps(value)


def resolve(argument: Any) -> str:
    """RETURNS (str): An argument for a process that runs in the project's folder."""
    return str(argument.resolve() if isinstance(argument, Path) else argument)


def read_result(folder: Path) -> Dict[str, Any]:
    metrics = srsly.read_json(folder / "metrics" / "training.json")
    kept = ("steps", "seconds", "samples_per_second", "words_per_second")
    return {**{name: metrics[name] for name in kept}, "ents_f": metrics["best"]["ents_f"]}


def make_row(run: Dict[str, Any]) -> List[str]:
    """RETURNS (List[str]): A run as texts, by HEADER."""
    row = [str(run["batch_size"]), f"{run['learning_rate']:g}"]
    if "error" in run:
        return [*row, "", "", "", "", "", f"failed: {run['error']}"]
    speed = [f"{run['samples_per_second']:,.1f}", f"{run['words_per_second']:,.0f}"]
    return [*row, f"{run['steps']:,}", f"{run['seconds']:,.0f}", *speed, f"{100 * run['ents_f']:.2f}", ""]


def make_report(report: Dict[str, Any]) -> str:
    machine = report["machine"]
    lines = [
        f"{report['epochs']} epochs of {report['samples']:,} samples each, on {machine['cpu']} ({machine['cores']} cores). "
        "The F1 is the best on dev. The time is without evaluations.",
        "",
        f"| {' | '.join(HEADER)} |",
        f"|{'---:|' * (len(HEADER) - 1)}---|",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in make_row(run))} |" for run in report["runs"]),
    ]
    return "\n".join(lines) + "\n"
