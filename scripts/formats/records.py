"""Records of JSON files: an object a line, one array of all, or one object after another, on as many lines as they take."""

import itertools
import json
from pathlib import Path
from typing import Any, Iterator, List, Tuple

from ..common.console import UserError
from .lines import Place, read_lines

# Line ends and tabs inside of strings are no JSON, but some tools write them.
DECODER = json.JSONDecoder(strict=False)
SPACE = " \t\r\n"


def read_records(path: Path, encoding: str = "") -> Iterator[Tuple[Place, Any]]:
    """Stream the records of a JSON file.

    path (Path): The file: JSONL, an array, or objects that follow each other.
    encoding (str): Its encoding, UTF-8 if empty.
    YIELDS (Tuple[Place, Any]): Where the record starts, for errors, and the record.
    RAISES (UserError): With file and line, for anything that is no JSON.
    """
    lines = ((where, line) for where, line in read_lines(path, encoding) if line)
    first = next(lines, None)
    if first is None:
        return
    lines = itertools.chain([first], lines)
    if is_whole_record(first[1]):
        for where, line in lines:
            yield where, parse(line, where)
    else:
        yield from split_text(path, list(read_lines(path, encoding)))


def is_whole_record(line: str) -> bool:
    """Tell whether a line is a record: an object, or a text and its annotation as spaCy v2 had them."""
    try:
        value = DECODER.decode(line)
    except ValueError:
        return False
    return not isinstance(value, list) or (bool(value) and isinstance(value[0], str))


def parse(line: str, where: Place) -> Any:
    """Parse a line.

    RAISES (UserError): If it is no JSON.
    """
    try:
        return DECODER.decode(line)
    except ValueError as error:
        raise UserError(f"{where}: this is no JSON, or it is cut short ({error}).") from error


def split_text(path: Path, lines: List[Tuple[Place, str]]) -> Iterator[Tuple[Place, Any]]:
    """Stream the items of an array, or the values of a text that follow each other.

    YIELDS (Tuple[Place, Any]): Where each starts, and its value.
    RAISES (UserError): If the text is no JSON.
    """
    text = "\n".join(line for _, line in lines)
    position = skip_space(text, 0)
    is_array = text.startswith("[", position)
    position = skip_space(text, position + is_array)
    line, counted = 1, 0
    while position < len(text) and not (is_array and text[position] == "]"):
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, position = DECODER.raw_decode(text, position)
        except ValueError as error:
            bad = error.lineno if isinstance(error, json.JSONDecodeError) else line
            raise UserError(f"{Place(path, bad)}: this is no JSON, or it is cut short ({error}).") from error
        yield Place(path, line), value
        position = skip_space(text, position)
        if is_array:
            position = skip_border(text, position, path)


def skip_space(text: str, position: int) -> int:
    """Find the next character that is no white space."""
    while position < len(text) and text[position] in SPACE:
        position += 1
    return position


def skip_border(text: str, position: int, path: Path) -> int:
    """Find the start of the next item of an array, or its end.

    RAISES (UserError): If the item is followed by something else.
    """
    if text.startswith(",", position):
        return skip_space(text, position + 1)
    if text.startswith("]", position):
        return position
    where = Place(path, 1 + text.count("\n", 0, position))
    raise UserError(f"{where}: this is no JSON, or it is cut short (expected a comma or the end of the array).")
