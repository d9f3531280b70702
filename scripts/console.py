"""What every command shares: errors a user understands, and files that are whole or not there."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Iterator

from wasabi import msg


class UserError(Exception):
    """A mistake the user can mend: one sentence with what was wrong, where, and what to do."""


@contextlib.contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Print a UserError without its traceback and exit with 1."""
    try:
        yield
    except UserError as error:
        msg.fail(str(error), exits=1)


@contextlib.contextmanager
def replace_when_done(target: Path) -> Iterator[Path]:
    """Write a file or folder beside its target and rename it when the block ends without an error.

    target (Path): What to write or replace. Missing parent folders are made.
    YIELDS (Path): A path in the target's folder that does not exist yet.
    RAISES (UserError): If a parent of the target is a file, or a file would replace a folder or the reverse.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"Can't write {target}: {error.filename} is a file, not a folder. Choose another place."
        ) from error
    workspace = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    fresh = workspace / target.name
    replaced = workspace / f"{target.name}.replaced"
    try:
        yield fresh
        if fresh.exists() and target.exists() and fresh.is_dir() != target.is_dir():
            kind = "folder" if target.is_dir() else "file"
            raise UserError(f"Can't write {target}: it is a {kind} already. Move it away, or choose another place.")
        if target.is_dir():
            # A folder can't be renamed over a full one: move the old one aside first.
            os.rename(target, replaced)
        try:
            os.replace(fresh, target)
        except OSError:
            if replaced.exists():
                os.rename(replaced, target)
            raise
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
