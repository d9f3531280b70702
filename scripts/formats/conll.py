"""CoNLL-2003 and its like: a token a line in columns, a blank line after each sentence.

spaCy's `conll_ner_to_docs` reads the first of them, but all of a file at once, knows one spelling of -DOCSTART-, and
names no line in its errors.
"""

import re
from pathlib import Path
from typing import Iterable, Iterator, List, Tuple

from ..common.console import UserError
from .labels import Labels
from .lines import read_lines
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import SchemeCheck, check_tag, to_iob2

DOCUMENT_START = "-DOCSTART-"
# The column of the part of speech, by the number of columns. With five, as in the German corpus of CoNLL-2003, the
# second one has the lemma.
POS_COLUMNS = {3: 1, 4: 1, 5: 2}
MAX_COLUMNS = 5

Row = Tuple[str, List[str]]  # File and line number, and the columns.


def read_conll(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file with the columns `word POS chunk tag`, checking every line.

    path (Path): The file: columns separated by spaces or tabs, the word first and the tag last, in IOB1, IOB2, BILUO or
        IOBES. `word tag`, `word POS tag` and `word lemma POS chunk tag` are read, too. -DOCSTART- starts a document.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    scheme = SchemeCheck()
    n_columns = 0
    for document, rows in read_blocks(read_lines(path, settings.encoding)):
        if not n_columns:
            n_columns = count_columns(*rows[0])
        for where, fields in rows:
            if len(fields) != n_columns or not all(fields):
                raise UserError(f"{where}: expected {n_columns} columns as at the start, got {' '.join(fields)!r}.")
        pos_column = POS_COLUMNS.get(n_columns)
        yield Sentence(
            [fields[0] for _, fields in rows],
            [fields[pos_column] for _, fields in rows] if pos_column else None,
            convert_tags(rows, scheme, settings.labels),
            document=document,
        )


def read_indexed(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file with the columns `index word tag`, checking every line.

    path (Path): The file: as for `read_conll`, but the first column counts the tokens of a sentence, from 0 or 1. Lines
        that start with # are comments, and `# newdoc` starts a document, as in CoNLL-U.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    scheme = SchemeCheck()
    lines = (
        (where, line)
        for where, line in read_lines(path, settings.encoding)
        if not line.startswith("#") or is_document_start(line)
    )
    for document, rows in read_blocks(lines):
        first = 0 if rows[0][1][0] == "0" else 1
        for expected, (where, fields) in enumerate(rows, start=first):
            if len(fields) != 3 or not all(fields):
                raise UserError(f"{where}: expected the three columns index, word and tag, got {' '.join(fields)!r}.")
            if fields[0] != str(expected):
                raise UserError(
                    f"{where}: expected the index {expected}, got {fields[0]!r}. A line is missing: "
                    "one of this sentence, or the blank one before the next."
                )
        words = [fields[1] for _, fields in rows]
        yield Sentence(words, None, convert_tags(rows, scheme, settings.labels), document=document)


def read_blocks(lines: Iterable[Tuple[str, str]]) -> Iterator[Tuple[int, List[Row]]]:
    """Gather the lines of each sentence.

    YIELDS (Tuple[int, List[Row]]): The number of the document, and the lines.
    """
    rows: List[Row] = []
    document = 0
    for where, line in lines:
        is_border = is_document_start(line)
        if line and not is_border:
            rows.append((where, split_columns(line)))
            continue
        if rows:
            yield document, rows
            rows = []
        document += is_border
    if rows:
        yield document, rows


def is_document_start(line: str) -> bool:
    """Tell whether a line starts a document."""
    return DOCUMENT_START in line or line.startswith("# newdoc")


def split_columns(line: str) -> List[str]:
    """Split a line at its tabs, or at its spaces if it has none. Other white space may be a part of words."""
    return line.split("\t") if "\t" in line else re.split(" +", line)


def count_columns(where: str, fields: List[str]) -> int:
    """Count the columns of a line.

    RAISES (UserError): If there are too few, or too many.
    """
    if 2 <= len(fields) <= MAX_COLUMNS:
        return len(fields)
    raise UserError(
        f"{where}: expected 2 to {MAX_COLUMNS} columns, the word first and the tag last, got {' '.join(fields)!r}."
    )


def convert_tags(rows: List[Row], scheme: SchemeCheck, labels: Labels) -> List[str]:
    """Check the tags of a sentence, its last column, and convert them to IOB2.

    RAISES (UserError): With file and line number, for an unknown tag or one that breaks the scheme of the file.
    """
    previous, where = "O", ""
    for where, (*_, tag) in rows:
        check_tag(tag, where, labels)
        scheme.check(previous, tag, where)
        previous = tag
    scheme.check(previous, "O", f"{where}, end of the sentence")
    return to_iob2([fields[-1] for _, fields in rows])
