"""Choose the reader of an input by its name, and say what it was."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, Optional, Union

from ..common.console import UserError
from .binary_inputs import DocBinInput, ParquetInput
from .records import escape_name
from .text_inputs import FolderInput, JsonLinesInput, PlainTextInput, list_files

Input = Union[PlainTextInput, JsonLinesInput, FolderInput, ParquetInput, DocBinInput]

WITH_FIELDS = {".jsonl": JsonLinesInput, ".parquet": ParquetInput}
WITHOUT_FIELDS = {".txt": PlainTextInput, ".spacy": DocBinInput}


def open_input(path: Path, text_field: str, id_field: Optional[str]) -> Input:
    """Choose the reader of an input.

    path (Path): A file, whose ending names its format, or a folder of .txt files.
    text_field (str): Field or column with the text, of JSONL and Parquet.
    id_field (Optional[str]): Field or column with the id, of JSONL and Parquet.
    RETURNS (Input): The reader: `plan` cuts the input into chunks, `read` reads one.
    RAISES (UserError): If there is no such input, or its format is not known.
    """
    check_readable_again(path)
    if not path.exists():
        raise UserError(f"There is no input at {path}. Name a .jsonl, .parquet, .txt or .spacy file, or a folder.")
    if path.suffix in WITH_FIELDS and path.is_file():
        return WITH_FIELDS[path.suffix](path, text_field, id_field)
    if id_field:
        raise UserError(
            f"{path} has no fields, so `--id-field {id_field}` can't be used. Use JSONL or Parquet for ids."
        )
    if path.is_dir():
        return FolderInput(path)
    if path.suffix in WITHOUT_FIELDS:
        return WITHOUT_FIELDS[path.suffix](path)
    known = ", ".join([*WITH_FIELDS, *WITHOUT_FIELDS])
    raise UserError(f"{path} has an unknown ending. Expected one of {known}, or a folder of .txt files.")


def check_readable_again(path: Path) -> None:
    """Check that an input can be read several times: by each worker its part, and again after a run was stopped.

    RAISES (UserError): If it is standard input, a pipe or a device, or a link to nothing.
    """
    if path.is_symlink() and not path.exists():
        raise UserError(
            f"The input {path} is a link to {os.readlink(path)}, which is not there. Name a file or folder."
        )
    is_stream = path.exists() and not path.is_file() and not path.is_dir()
    if is_stream or (str(path) == "-" and not path.exists()):
        name = f"The input {path} is a pipe or a device" if is_stream else "Standard input"
        raise UserError(
            f"{name}, which can be read only once, but each worker reads its own part. Write it to a file and name that."
        )


def describe_input(path: Path) -> Dict[str, Any]:
    """Note what tells whether an input is still the same: its path, size and time of change."""
    name = escape_name(str(path.resolve()))
    if path.is_dir():
        listing = json.dumps(list_files(path).texts).encode("utf8")
        return {"path": name, "files": hashlib.sha256(listing).hexdigest()}
    stat = path.stat()
    return {"path": name, "size": stat.st_size, "changed": stat.st_mtime_ns}
