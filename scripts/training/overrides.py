"""Settings of a config on the command line: --training.max_steps 1000."""

import math
from typing import Any, Dict, List

from click import NoSuchOption
from spacy.cli._util import parse_config_overrides

from ..common.console import UserError

HIGHEST_RATE = "training.optimizer.learn_rate.initial_rate"  # In the schedules of spaCy's configs


def parse_overrides(arguments: List[str], learn_rate: str = "") -> Dict[str, Any]:
    """Read settings to override from the command line.

    arguments (List[str]): What the command does not know as an option of its own.
    learn_rate (str): The highest learning rate, empty for that of the config.
    RETURNS (Dict[str, Any]): The settings.
    RAISES (UserError): If one has no section: a mistyped option. If the learning rate is not a positive number.
    """
    chosen = {HIGHEST_RATE: parse_rate(learn_rate)} if learn_rate else {}
    try:
        return {**chosen, **parse_config_overrides(arguments)}
    except NoSuchOption as error:
        raise UserError(
            f"There is no option {error.option_name}. See `--help` for the options, or name a setting of the config "
            "with its section, such as `--training.max_steps`."
        ) from error


def parse_rate(text: str) -> float:
    """Read a learning rate.

    RAISES (UserError): If it is not a positive number.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise UserError(
            f"--learn-rate is {text!r}. Give a positive number such as 3e-4, or nothing for that of the config."
        )
    return rate
