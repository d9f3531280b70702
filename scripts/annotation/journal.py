"""The parts of a run beside its output, which a killed run goes on from.

A chunk's files are written under other names and renamed, its entry in the journal last: a chunk is done if its entry
is there, so that whatever moment a process is killed at, no row is lost or doubled.
"""

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, TextIO

from ..common.console import UserError
from ..common.files import check_folder

SETTINGS = "run.json"


class Journal:
    """The folder with the parts of an output.

    output (Path): The output that the parts will be joined to.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(f"{output.name}.parts")
        self._removed = output.with_name(f"{output.name}.parts.removed")
        self._lock: Optional[TextIO] = None

    def start(self, settings: Dict[str, Any]) -> None:
        """Start a run, or go on with one that has the same settings. One that finished no part leaves nothing to go on with.

        settings (Dict[str, Any]): All that the rows depend on.
        RAISES (UserError): If the parts are those of a run with other settings, or of one that is still going on.
        """
        check_folder(self.folder, self.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"Another run is writing {self.output} just now. Wait for its end, or stop it.") from error
        for pattern in ("*.unfinished", "*.attempts"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
        path = self.folder / SETTINGS
        if not path.is_file() or not any(self.folder.glob("*.done")):
            self.replace(path, json.dumps(settings))
            return
        before = json.loads(path.read_text(encoding="utf8"))
        changed = sorted(name for name in {*settings, *before} if settings.get(name) != before.get(name))
        if changed:
            raise UserError(
                f"{self.folder} holds the parts of an unfinished run with another {', '.join(changed)}. "
                "Give what it was given to go on with it, or delete the folder to start again."
            )

    def clean(self) -> None:
        """Remove the parts of a run that was killed after it had joined them."""
        shutil.rmtree(self._removed, ignore_errors=True)

    def part(self, number: int) -> Path:
        """Name the file with the rows of a chunk."""
        return self.folder / f"part-{number:06}{self.output.suffix}"

    def errors(self, number: int) -> Path:
        """Name the file with the bad records of a chunk."""
        return self.folder / f"part-{number:06}.errors"

    def entry(self, number: int) -> Path:
        """Name the file that says that a chunk is done."""
        return self.folder / f"part-{number:06}.done"

    def read_entry(self, number: int) -> Optional[Dict[str, Any]]:
        """Read what a chunk gave. RETURNS (Optional[Dict[str, Any]]): Its entry, None if it is not done."""
        try:
            return json.loads(self.entry(number).read_text(encoding="utf8"))
        except FileNotFoundError:
            return None

    def count_attempt(self, number: int) -> int:
        """Note that a worker begins a chunk. RETURNS (int): How often workers have, in this run and this time included."""
        with (self.folder / f"part-{number:06}.attempts").open("ab") as file_:
            file_.write(b".")
            return file_.tell()

    def commit(self, number: int, writer: Any, errors: List[Dict[str, Any]], entry: Dict[str, Any]) -> None:
        """Write a chunk's rows, its errors, and its entry last.

        writer (Any): Has a method `write` that writes the rows to a path.
        """
        with self.replace_when_done(self.part(number)) as unfinished:
            writer.write(unfinished)
        lines = "".join(f"{json.dumps(error, ensure_ascii=False)}\n" for error in errors)
        self.replace(self.errors(number), lines)
        self.replace(self.entry(number), json.dumps(entry))

    def replace(self, path: Path, text: str) -> None:
        """Write a text file so that it is whole or not there."""
        with self.replace_when_done(path) as unfinished:
            unfinished.write_text(text, encoding="utf8", newline="\n")

    @contextlib.contextmanager
    def replace_when_done(self, target: Path) -> Iterator[Path]:
        """Write a part, or what goes beside the output, in the folder of the parts, and rename it when it is complete.

        What a killed run leaves there is removed when the next one starts, or with the parts.
        """
        # A worker that was given up for dead may still write the same part.
        unfinished = self.folder / f"{target.name}.{uuid.uuid4().hex}.unfinished"
        try:
            yield unfinished
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)

    def iterate(self, n_chunks: int) -> Iterator[Dict[str, Any]]:
        """Read the entries of all chunks in order."""
        for number in range(n_chunks):
            yield json.loads(self.entry(number).read_text(encoding="utf8"))

    def remove(self) -> None:
        """Remove the parts, all of them at once for a run that comes after."""
        os.replace(self.folder, self._removed)
        shutil.rmtree(self._removed, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let another run have the parts."""
        if self._lock is not None:
            self._lock.close()


@contextlib.contextmanager
def report_full_disk(output: Path) -> Iterator[None]:
    """Say in one sentence that something can't be written.

    output (Path): What it belongs to.
    RAISES (UserError): For any error of the disk.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Can't write {output}: {describe_disk_error(error)}. Make room, or choose another place; "
            "the same command goes on with the parts that are finished."
        ) from error


def describe_disk_error(error: OSError) -> str:
    """Say why something can't be read or written, and what."""
    reason = os.strerror(error.errno) if error.errno else str(error).strip().rstrip(".")
    return f"{reason} ({error.filename})" if error.filename else reason
