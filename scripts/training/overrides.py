"""Settings of a config on the command line: --training.max_steps 1000."""

from typing import Any, Dict, List

from click import NoSuchOption
from spacy.cli._util import parse_config_overrides

from ..common.console import UserError


def parse_overrides(arguments: List[str]) -> Dict[str, Any]:
    """Read settings to override from the command line.

    arguments (List[str]): What the command does not know as an option of its own.
    RETURNS (Dict[str, Any]): The settings.
    RAISES (UserError): If one has no section: a mistyped option.
    """
    try:
        return parse_config_overrides(arguments)
    except NoSuchOption as error:
        raise UserError(
            f"There is no option {error.option_name}. See `--help` for the options, or name a setting of the config "
            "with its section, such as `--training.max_steps`."
        ) from error
