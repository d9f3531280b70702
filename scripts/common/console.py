"""What every command shares: errors a user understands, and files that are whole or not there."""

import contextlib
import os
from typing import Iterator

from wasabi import msg

# The reference's tokenizer warns about every fork unless this says that its threads are meant.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
# onnxruntime would write files into the home folder, wherever it is imported first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class UserError(Exception):
    """A mistake that the user can fix: one sentence with what was wrong, where, and what to do."""


@contextlib.contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Print a UserError without its traceback and exit with 1."""
    try:
        yield
    except UserError as error:
        msg.fail(str(error), exits=1)
