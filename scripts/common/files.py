"""Files that are whole or not there, and checks before they are read or written."""

import contextlib
import ctypes
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Iterable, Iterator, Optional

from .console import UserError

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # From Linux's fcntl.h and fs.h.


@contextlib.contextmanager
def replace_when_done(target: Path) -> Iterator[Path]:
    """Write a file or folder beside its target and rename it when the block ends without an error.

    target (Path): What to write or replace. Missing parent folders are made.
    YIELDS (Path): A path in the target's folder that does not exist yet.
    RAISES (UserError): If a parent of the target is a file, or a file would replace a folder or the reverse.
    """
    target = target.absolute()  # "." has no name of its own.
    check_folder(target.parent, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    fresh = workspace / target.name
    try:
        yield fresh
        if fresh.exists() and target.exists() and fresh.is_dir() != target.is_dir():
            kind = "folder" if target.is_dir() else "file"
            raise UserError(f"Can't write {target}: it is a {kind} already. Move it away, or choose another place.")
        if fresh.is_dir() and target.is_dir():
            exchange(fresh, target)
        else:
            os.replace(fresh, target)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def check_folder(folder: Path, target: Optional[Path] = None) -> None:
    """Check that a folder is there or can be made.

    target (Optional[Path]): What it is for, to be named in the message.
    RAISES (UserError): If it, or a parent of it, is a file.
    """
    folder = folder.absolute()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise UserError(f"Can't write {target or folder}: {nearest} is a file, not a folder. Choose another place.")


def check_kept(sources: Iterable[Path], targets: Iterable[Path]) -> None:
    """Check that no file that is read would be overwritten.

    RAISES (UserError): If a file that is read would be overwritten.
    """
    written = {target.resolve(): target for target in targets}
    for source in sources:
        if source.resolve() in written:
            target = written[source.resolve()]
            raise UserError(f"The input {source} would be overwritten by {target}. Name another place for one of them.")


def exchange(one: Path, other: Path) -> None:
    """Swap two folders, so that there is a whole one at both paths at any moment.

    Linux does it in one step (renameat2, https://man7.org/linux/man-pages/man2/rename.2.html). Elsewhere, and on file
    systems that can't, three renames leave a moment without the second one.
    """
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if renameat2 and renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return
    aside = one.with_name(f"{one.name}.replaced")
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


def check_file(path: Path) -> None:
    """Check that there is a file to read.

    RAISES (UserError): If there is no file at the path.
    """
    if not path.exists():
        raise UserError(
            f"There is no corpus at {path}. Download the assets with "
            "`python -m spacy project assets`, or name another file with `--vars.source PATH`."
        )
    if path.is_dir():
        raise UserError(f"{path} is a folder. Name one file.")
