"""Train with several batch sizes and learning rates, and put time, speed and F1 into one table.

The data flow: as `scripts.train`, once for each pair -> training/sweep/NAME, metrics/sweep.{json,md}
"""

from pathlib import Path
from typing import Any, List

import typer
from typer import Argument as Arg
from typer import Option as Opt

from .common.console import UserError, exit_on_user_error
from .training.overrides import parse_overrides, parse_positive
from .training.settings import TrainingSettings
from .training.sweep import BATCH_SIZES, LEARNING_RATES, sweep
from .training.sweep_report import print_table


def sweep_cli(
    # fmt: off
    context: typer.Context,
    config: Path = Arg(..., help="Training config"),
    corpus_dir: Path = Arg(..., help="Folder with train.spacy and dev.spacy"),
    encoder: Path = Arg(..., help="Folder of the pretrained encoder"),
    output_dir: Path = Arg(..., help="Folder in which `sweep` gets a folder for each training"),
    metrics_dir: Path = Arg(..., help="Folder for sweep.json and sweep.md"),
    batch_sizes: str = Opt(
        ",".join(map(str, BATCH_SIZES)), "--batch-sizes", help="Samples in a batch, with commas between"
    ),
    learning_rates: str = Opt(
        ",".join(map(str, LEARNING_RATES)), "--learning-rates", help="Highest learning rates, with commas between"
    ),
    epochs: int = Opt(2, "--epochs", min=1, help="Passes over the train corpus, of each training"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU to train on, -1 for the CPU"),
    # fmt: on
):
    """Train once for each batch size and learning rate, each for the same number of epochs.

    A training that is finished is not repeated when the sweep is started again. Any other setting of the config can be
    overridden, as in `spacy train`.
    """
    with exit_on_user_error():
        overrides = parse_overrides(context.args)
        runs = sweep(
            TrainingSettings(config, corpus_dir, encoder, output_dir, metrics_dir, gpu, overrides=overrides),
            batch_sizes=parse_numbers("--batch-sizes", batch_sizes, int),
            learning_rates=parse_numbers("--learning-rates", learning_rates, float),
            epochs=epochs,
        )
    print_table(runs)


def parse_numbers(option: str, text: str, kind: type) -> List[Any]:
    """Read a list of positive numbers.

    option (str): The option that it was given with.
    text (str): Numbers with commas between.
    kind (type): `int` or `float`.
    RETURNS (List[Any]): The numbers.
    RAISES (UserError): If the text is something else.
    """
    numbers = [parse_positive(part, kind) for part in text.split(",")]
    if None in numbers:
        example = ",".join(map(str, BATCH_SIZES if kind is int else LEARNING_RATES))
        raise UserError(f"{option} is {text!r}. Give positive numbers with commas between, such as {example}.")
    return numbers


if __name__ == "__main__":
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(sweep_cli)
    app()
