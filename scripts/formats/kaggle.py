"""The entity-annotated corpus of Kaggle: ner_dataset.csv with the columns Sentence #, Word, POS and Tag."""

import csv
from pathlib import Path
from typing import Iterator, List, Tuple

from ..common.console import UserError
from .lines import check_encoding, decode, read_bytes
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import check_tag, to_iob2

COLUMNS = ["Sentence #", "Word", "POS", "Tag"]


def read_kaggle(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of the corpus, checking every line.

    path (Path): The file: Latin-1, a token a line; the first token of a sentence has its number in the first column.
        Its tags are IOB2 for the most part, so an I- that starts an entity is taken as B-.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    words: List[str] = []
    pos: List[str] = []
    tags: List[str] = []
    rows = read_rows(path, settings.encoding)
    where, header = next(rows, (str(path), COLUMNS))
    if header != COLUMNS:
        raise UserError(f"{where}: expected the columns {','.join(COLUMNS)}, got {','.join(header)!r}.")
    current = ""
    for where, fields in rows:
        if len(fields) != len(COLUMNS) or not all(fields[1:]):
            raise UserError(f"{where}: expected four columns ({','.join(COLUMNS)}), got {','.join(fields)!r}.")
        number, word, part_of_speech, tag = fields
        check_tag(tag, where, settings.labels)
        # Some copies of the corpus repeat the number on every line.
        if number and number != current:
            if words:
                yield Sentence(words, pos, to_iob2(tags))
            words, pos, tags, current = [], [], [], number
        elif not current:
            raise UserError(f"{where}: the first token has no number of its sentence in the first column.")
        words.append(word)
        pos.append(part_of_speech)
        tags.append(tag)
    if words:
        yield Sentence(words, pos, to_iob2(tags))


def read_rows(path: Path, encoding: str) -> Iterator[Tuple[str, List[str]]]:
    """Stream the rows of the file.

    YIELDS (Tuple[str, List[str]]): File and line number, for errors, and the fields.
    RAISES (UserError): For lines in another encoding, or with a quote that does not end.
    """
    known = check_encoding(encoding) if encoding else "latin1"
    for where, line in read_bytes(path):
        if not encoding and not line.isascii() and is_utf8(line):
            # Every byte is Latin-1, so nothing else would show that it is not.
            raise UserError(
                f"{where}: this is UTF-8, the corpus is Latin-1. Name the encoding: `--encoding utf8`; "
                "`--encoding latin1` takes the line as it is."
            )
        text = decode(line, known, where)
        if not text:
            continue
        try:
            # Line by line, as no token holds a line end: a quote that does not end would swallow the lines after it.
            (fields,) = csv.reader([text], strict=True)
        except (csv.Error, ValueError) as error:
            raise UserError(f"{where}: a quote does not end, or is not doubled, in {text!r} ({error}).") from error
        yield where, fields


def is_utf8(line: bytes) -> bool:
    """Tell whether a line can be read as UTF-8."""
    try:
        line.decode("utf8")
    except UnicodeDecodeError:
        return False
    return True
