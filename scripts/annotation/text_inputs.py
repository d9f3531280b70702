"""Inputs that are text: JSONL, a document a line, a folder of text files."""

import json
import os
from codecs import BOM_UTF8
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy
from spacy.vocab import Vocab
from thinc.types import Ints1d

from ..common.console import UserError
from .records import MAX_BYTES, Chunk, RecordError, Records, check_id, check_name, check_text, decode, escape_name

BLOCK_BYTES = 8_000_000


class PlainTextInput:
    """A file with a document a line; its id is the line's number. Blank lines hold none.

    path (Path): The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def plan(self, chunk_size: int) -> Iterator[Chunk]:
        """Cut the file at line ends, reading it once as a stream.

        chunk_size (int): Most lines of a chunk.
        YIELDS (Chunk): The chunks, in order.
        """
        pending = numpy.empty(0, dtype="int64")
        number = start = n_lines = 0
        for ends, is_last in self._line_ends():
            pending = numpy.concatenate((pending, ends))
            # A chunk is cut when it can't grow any more, so that the cuts don't depend on the blocks that are read.
            while len(pending) and (is_last or len(pending) > chunk_size or pending[-1] - start > MAX_BYTES):
                fitting = int(numpy.searchsorted(pending, start + MAX_BYTES, side="right"))
                n = max(1, min(chunk_size, fitting, len(pending)))
                end = int(pending[n - 1])
                yield Chunk(number, n_lines + 1, n, start, end)
                pending, start, n_lines, number = pending[n:], end, n_lines + n, number + 1

    def _line_ends(self) -> Iterator[Tuple[Ints1d, bool]]:
        """Read the file in blocks.

        YIELDS (Tuple[Ints1d, bool]): Where lines end in a block, in bytes of the file; whether it is the last block.
        """
        size = self.path.stat().st_size
        position = 0
        with self.path.open("rb") as file_:
            while position < size:
                block = file_.read(min(BLOCK_BYTES, size - position))
                if not block:
                    raise UserError(f"{self.path} became shorter while it was read. Start again when it is complete.")
                ends = numpy.flatnonzero(numpy.frombuffer(block, dtype="uint8") == ord("\n")) + position + 1
                position += len(block)
                if position == size and not block.endswith(b"\n"):
                    ends = numpy.append(ends, size)
                yield ends, position == size

    def read(self, chunk: Chunk, vocab: Vocab) -> Records:
        """Read the records of a chunk."""
        with self.path.open("rb") as file_:
            file_.seek(chunk.start)
            lines = file_.read(chunk.end - chunk.start).removesuffix(b"\n").split(b"\n")
        if chunk.start == 0:
            lines[0] = lines[0].removeprefix(BOM_UTF8)
        records = Records("line")
        for number, line in enumerate(lines, start=chunk.first):
            if line.strip():
                self.parse(records, number, line)
        return records

    def parse(self, records: Records, number: int, line: bytes) -> None:
        """Add the record of a line to the good or the bad ones."""
        try:
            records.add(str(self.path), number, str(number), decode(line).rstrip("\r"))
        except RecordError as error:
            records.refuse(str(self.path), number, error)


class JsonLinesInput(PlainTextInput):
    """A file with a JSON object a line.

    text_field (str): Field with the text.
    id_field (Optional[str]): Field with the id; without one it is the line's number.
    """

    def __init__(self, path: Path, text_field: str, id_field: Optional[str]) -> None:
        super().__init__(path)
        self.text_field = text_field
        self.id_field = id_field

    def parse(self, records: Records, number: int, line: bytes) -> None:
        """Add the record of a line to the good or the bad ones."""
        id_ = None if self.id_field else str(number)
        try:
            record = parse_object(line)
            if self.id_field:
                id_ = check_id(get_field(record, self.id_field), self.id_field)
            records.add(str(self.path), number, id_, check_text(get_field(record, self.text_field), self.text_field))
        except RecordError as error:
            records.refuse(str(self.path), number, error, id_)


def parse_object(line: bytes) -> Dict[str, Any]:
    """Parse a line of JSON. RAISES (RecordError): If it is no object."""
    text = decode(line)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise RecordError(f"the line is not an object: it starts with {text.strip()[:20]!r}")
    return record


def get_field(record: Dict[str, Any], field: str) -> Any:
    """Take a value from a record. RAISES (RecordError): If it is missing."""
    if field not in record:
        raise RecordError(f"field {field!r} is missing")
    return record[field]


class FolderInput:
    """A folder of .txt files, also in subfolders; a document's id is the file's path in the folder.

    path (Path): The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def plan(self, chunk_size: int) -> Iterator[Chunk]:
        """Cut the files, in the order of their paths, into chunks of at most `chunk_size`."""
        files = list_files(self.path).texts
        start = number = size = 0
        for end, (_, n_bytes, _) in enumerate(files):
            if end > start and (end - start == chunk_size or size + n_bytes > MAX_BYTES):
                yield self._cut(number, start, end, files)
                start, number, size = end, number + 1, 0
            size += n_bytes
        if files:
            yield self._cut(number, start, len(files), files)

    def _cut(self, number: int, start: int, end: int, files: List[Tuple[str, int, int]]) -> Chunk:
        """Make a chunk of some of the files."""
        return Chunk(number, start + 1, end - start, start, end, files=tuple(name for name, _, _ in files[start:end]))

    def read(self, chunk: Chunk, vocab: Vocab) -> Records:
        """Read the records of a chunk."""
        records = Records("record")
        for number, name in enumerate(chunk.files, start=chunk.first):
            file_ = self.path / name
            try:
                records.add(str(file_), number, check_name(name), decode(read_file(file_).removeprefix(BOM_UTF8)))
            except OSError as error:
                records.refuse(str(file_), number, f"can't be read: {error.strerror}", escape_name(name))
            except RecordError as error:
                records.refuse(str(file_), number, error, escape_name(name))
        return records

    def count_left_out(self) -> Dict[str, int]:
        """Count what is not read, by its kind."""
        return list_files(self.path).left_out


def read_file(path: Path) -> bytes:
    """Read a file. RAISES (RecordError): If it is none, but a pipe, which would wait for ever, or a link to nothing."""
    if path.is_symlink() and not path.exists():
        raise RecordError(f"a link to {escape_name(os.readlink(path))}, which is not there")
    if not path.is_file():
        raise RecordError("not a file, but a pipe or a device")
    return path.read_bytes()


class Listing(NamedTuple):
    """What is in a folder."""

    texts: List[Tuple[str, int, int]]  # Path in the folder, size and time of change of each .txt file, sorted
    left_out: Dict[str, int]  # Numbers of other things, by what they are.


def list_files(folder: Path) -> Listing:
    """List the .txt files of a folder and its subfolders, and count what else is there."""
    texts: List[Tuple[str, int, int]] = []
    left_out: Counter = Counter()
    unreadable: List[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        left_out["links to folders"] += sum(os.path.islink(os.path.join(parent, name)) for name in folders)
        for name in files:
            path = Path(parent, name)
            if path.suffix == ".txt":
                stat = path.stat() if path.exists() else path.lstat()
                texts.append((path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns))
            else:
                left_out[f"{escape_name(path.suffix)} files" if path.suffix else "files without an ending"] += 1
    left_out["folders that can't be read"] = len(unreadable)
    return Listing(sorted(texts), {kind: n for kind, n in sorted(left_out.items()) if n})
