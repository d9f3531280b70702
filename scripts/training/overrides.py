"""Settings of a config on the command line: --training.max_steps 1000."""

import math
from typing import Any, Dict, List, Optional

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
    rate = parse_positive(learn_rate, float)
    if learn_rate and rate is None:
        raise UserError(
            f"--learn-rate is {learn_rate!r}. Give a positive number such as 3e-4, or nothing for that of the config."
        )
    chosen = {HIGHEST_RATE: rate} if learn_rate else {}
    try:
        return {**chosen, **parse_config_overrides(arguments)}
    except NoSuchOption as error:
        raise UserError(
            f"There is no option {error.option_name}. See `--help` for the options, or name a setting of the config "
            "with its section, such as `--training.max_steps`."
        ) from error


def parse_positive(text: str, kind: type) -> Optional[Any]:
    """Read a positive number.

    kind (type): `int` or `float`.
    RETURNS (Optional[Any]): The number, None if the text is something else.
    """
    try:
        number = kind(text)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None
