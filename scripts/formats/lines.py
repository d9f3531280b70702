"""Lines of text files, packed or not."""

import bz2
import gzip
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Tuple

from ..common.console import UserError
from ..common.files import check_file

OPENERS = {".bz2": bz2.open, ".gz": gzip.open}
MAX_QUOTED = 200  # Characters.


class Place(NamedTuple):
    """Where something is in a file, for errors."""

    path: Path
    number: int
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.path}, {self.unit} {self.number}"


def quote(value: Any) -> str:
    """Quote a value for a message: a line may be a whole document."""
    text = value if isinstance(value, str) else repr(value)
    cut = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}..."
    return repr(cut) if isinstance(value, str) else cut


def read_bytes(path: Path) -> Iterator[Tuple[Place, bytes]]:
    """Stream the lines of a file.

    path (Path): The file: .bz2, .gz or plain.
    YIELDS (Tuple[Place, bytes]): Where the line is, for errors, and the line.
    RAISES (UserError): If the file is missing, damaged, UTF-16, or has the line ends of old Macs.
    """
    check_file(path)
    line_number = 0
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as file_:
            for line_number, line in enumerate(file_, start=1):
                where = Place(path, line_number)
                if line_number == 1:
                    line = line.removeprefix(BOM_UTF8)
                    if line.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                        raise UserError(f"{where}: this is UTF-16. Convert the file to UTF-8.")
                    if line.rstrip(b"\r\n").count(b"\r") > 1:
                        raise UserError(
                            f"{where}: the lines end with CR alone, as on old Macs. Convert them with `tr '\\r' '\\n'`."
                        )
                yield where, line
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(
            f"{path} is damaged or cut short after line {line_number} ({error}). "
            "Delete it and download it again with `python -m spacy project assets`."
        ) from error


def read_lines(path: Path, encoding: str = "", option: str = "--encoding") -> Iterator[Tuple[Place, str]]:
    """Stream the lines of a text file.

    path (Path): The file: .bz2, .gz or plain.
    encoding (str): Its encoding, UTF-8 if empty.
    option (str): Option of the command that names the encoding, empty if it has none.
    YIELDS (Tuple[Place, str]): Where the line is, for errors, and the line without white space at its ends.
    RAISES (UserError): If the file is missing or damaged, or a line is not in the encoding.
    """
    encoding = check_encoding(encoding) if encoding else "UTF-8"
    for where, line in read_bytes(path):
        yield where, decode(line, encoding, where, option)


def decode(line: bytes, encoding: str, where: Place, option: str = "--encoding") -> str:
    """Decode a line, without white space at its ends.

    RAISES (UserError): If it is not in the encoding.
    """
    try:
        return line.decode(encoding).strip(" \t\r\n")
    except UnicodeDecodeError as error:
        otherwise = f", or name its encoding with `{option}`" if option else ""
        raise UserError(
            f"{where}: byte {error.start + 1} is not {encoding}. Convert the file to {encoding}{otherwise}."
        ) from error


def check_encoding(encoding: str) -> str:
    """Refuse an encoding that lines can't be read in.

    RAISES (UserError): If there is none of that name, or its lines don't end with one byte.
    """
    try:
        if "\n".encode(encoding) == b"\n":
            return encoding
    except LookupError as error:
        raise UserError(f"--encoding: there is no encoding {encoding!r}. Try utf8, latin1 or cp1252.") from error
    raise UserError(f"--encoding: {encoding!r} has no lines of single bytes. Convert the file to UTF-8.")
