"""Records: what an input holds, cut into chunks, and the reasons why one can't be annotated."""

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from spacy.tokens import Doc

JSON_NAMES = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}
MAX_BYTES = 4_000_000  # Text in a chunk; one record may be longer.


class Chunk(NamedTuple):
    """A part of an input, small enough to hold in memory, that one worker annotates at once."""

    number: int  # of the chunk, from 0
    first: int  # number of its first record in the input, from 1
    records: int
    start: int  # in bytes of a file of lines, rows of a row group, or Docs
    end: int
    group: int = 0  # row group of a Parquet file
    files: Tuple[str, ...] = ()  # of a folder, relative to it


class RecordError(ValueError):
    """A record can't be annotated; the message is the reason, for `OUTPUT.errors.jsonl`."""


class Records:
    """The records of a chunk as columns, and the bad ones apart.

    unit (str): What a record's number counts: "line" or "record".
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.places: List[Dict[str, Any]] = []  # "file", "line" or "record", and "id" where it is known
        self.ids: List[str] = []
        self.contents: List[Union[str, Doc]] = []
        self.errors: List[Dict[str, Any]] = []

    def add(self, file: str, number: int, id_: str, content: Union[str, Doc]) -> None:
        """Add a good record."""
        self.places.append({"file": escape_name(file), self.unit: number, "id": id_})
        self.ids.append(id_)
        self.contents.append(content)

    def refuse(self, file: str, number: int, reason: Any, id_: Optional[str] = None) -> None:
        """Add a bad record."""
        place = {"file": escape_name(file), self.unit: number}
        self.errors.append({**place, **({} if id_ is None else {"id": id_}), "reason": str(reason)})

    def refuse_texts(self, find_problem: Callable[[str], Optional[str]]) -> None:
        """Move good records to the bad ones if their text has a problem. Docs are left as they are.

        find_problem (Callable[[str], Optional[str]]): Says why a text can't be annotated, None if it can.
        """
        problems = [find_problem(content) if isinstance(content, str) else None for content in self.contents]
        self.errors.extend({**place, "reason": reason} for place, reason in zip(self.places, problems) if reason)
        good = [number for number, reason in enumerate(problems) if not reason]
        self.places = [self.places[number] for number in good]
        self.ids = [self.ids[number] for number in good]
        self.contents = [self.contents[number] for number in good]


def decode(data: bytes) -> str:
    """Decode bytes. RAISES (RecordError): If they are not UTF-8."""
    try:
        return data.decode("utf8")
    except UnicodeDecodeError as error:
        raise RecordError(f"byte {error.start + 1} is not UTF-8") from error


def check_name(name: str) -> str:
    """Check the name of a file. RAISES (RecordError): If it is not UTF-8, so that no row can have it as its id."""
    if escape_name(name) != name:
        raise RecordError("the file's name is not UTF-8")
    return name


def escape_name(name: str) -> str:
    """Make a text of a file's name that can be written: bytes that are not UTF-8 become \\xff and the like."""
    return os.fsencode(name).decode("utf8", "backslashreplace")


def check_text(value: Any, field: str) -> str:
    """Check the value of a record's text field. RAISES (RecordError): If it is no text."""
    if isinstance(value, bytes):
        return decode(value)
    if not isinstance(value, str):
        raise RecordError(f"field {field!r} is {describe(value)}, expected a string")
    if not value.isascii():
        try:
            value.encode("utf8")
        except UnicodeEncodeError as error:
            raise RecordError(f"field {field!r} has half a character at {error.start} (a lone surrogate)") from error
    return value


def check_id(value: Any, field: str) -> str:
    """Check the value of a record's id field. RAISES (RecordError): If it is neither text nor a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, (str, bytes)):
        return check_text(value, field)
    raise RecordError(f"field {field!r} is {describe(value)}, expected a string or a whole number")


def describe(value: Any) -> str:
    """Name the type of a value as JSON does."""
    return "null" if value is None else JSON_NAMES.get(type(value), f"of type {type(value).__name__}")
