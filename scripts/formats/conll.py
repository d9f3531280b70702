"""CoNLL-2003 and its like: a token a line in columns, a blank line after each sentence.

spaCy's `conll_ner_to_docs` reads the first of them, but all of a file at once, knows one spelling of -DOCSTART-, and
names no line in its errors.
"""

import re
from pathlib import Path
from typing import Iterable, Iterator, List, Tuple

from ..common.console import UserError
from .columns import Columns, Row, check_row, look_at_columns, name_columns
from .lines import Place, quote, read_lines
from .sentence import Notes, Sentence
from .settings import BARE, ReaderSettings
from .tags import TagReader, is_tag

DOCUMENT_START = "-DOCSTART-"
# Label Studio writes words with their spaces, and these two columns between each and its tag.
LABEL_STUDIO = " -X- _ "
MOST_TOKENS = 5_000

Line = Tuple[Place, str]


def read_conll(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file with a token a line in columns, checking every line.

    path (Path): The file: columns separated by spaces or tabs, with a word and a tag in any scheme; an index before the
        word, a part of speech, and nested tags after the tag are told by their values. -DOCSTART- and `# newdoc` start
        a document, other lines with # before a sentence are comments.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out or corrected.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    columns = name_columns(settings.columns) if settings.columns else None
    columns = columns or look_at_columns(rows for _, rows in read_blocks(path, settings))
    tags = TagReader(path, settings, notes)
    previous = -1
    for document, rows in read_blocks(path, settings):
        assert columns is not None  # There is a sentence.
        for where, fields in rows:
            check_row(where, fields, columns.n)
        if columns.index is not None:
            previous = check_index(rows, columns.index, previous)
        places = [where for where, _ in rows]
        yield Sentence(
            [fields[columns.word] for _, fields in rows],
            [fields[columns.pos] for _, fields in rows] if columns.pos is not None else None,
            tags.read([fields[columns.tag] for _, fields in rows], places),
            document=document,
        )
        note_nested(rows, columns, notes)
    tags.finish()


def check_index(rows: List[Row], column: int, previous: int) -> int:
    """Check that the index counts the tokens of a sentence, anew or on from the sentence before.

    previous (int): The index of the token before the sentence.
    RETURNS (int): The index of its last token.
    RAISES (UserError): If a token is missing, or the border of a sentence.
    """
    first = rows[0][1][column]
    start = int(first) if first in ("0", "1", str(previous + 1)) else 1
    for number, (where, fields) in enumerate(rows):
        if fields[column] != str(start + number):
            raise UserError(
                f"{where}: expected the index {start + number}, got {quote(fields[column])}. A line is missing: "
                "one of this sentence, or the blank one before the next."
            )
    return start + len(rows) - 1


def note_nested(rows: List[Row], columns: Columns, notes: Notes) -> None:
    """Note the entities of columns that are not read: spaCy's entities are never inside each other."""
    for column in columns.nested:
        n_starts = sum(fields[column][0] in "BUSbus" for _, fields in rows)
        notes.skipped[f"entities of column {column + 1}, as column {columns.tag + 1} has the outer ones"] += n_starts


def read_blocks(path: Path, settings: ReaderSettings) -> Iterator[Tuple[int, List[Row]]]:
    """Stream the lines of each sentence, split into columns and without comments.

    YIELDS (Tuple[int, List[Row]]): The number of the document, and the lines.
    RAISES (UserError): If there is no blank line for very long.
    """
    n_columns = len(settings.columns)
    for document, lines in group_lines(read_lines(path, settings.encoding)):
        n_columns = n_columns or count_columns(lines)
        rows = [(where, split_columns(line, n_columns)) for where, line in drop_comments(lines, n_columns, settings)]
        if len(rows) > MOST_TOKENS:
            raise UserError(
                f"{rows[0][0]}: a sentence of {len(rows):,} tokens starts here. Put a blank line after each sentence."
            )
        if rows:
            yield document, rows


def group_lines(lines: Iterable[Line]) -> Iterator[Tuple[int, List[Line]]]:
    """Gather the lines between blank ones, and count the documents.

    YIELDS (Tuple[int, List[Line]]): The number of the document, and the lines.
    """
    group: List[Line] = []
    document = 0
    for where, line in lines:
        is_border = DOCUMENT_START in line or line.startswith("# newdoc")
        if line and not is_border:
            group.append((where, line))
            continue
        if group:
            yield document, group
            group = []
        document += is_border
    if group:
        yield document, group


def drop_comments(lines: List[Line], n_columns: int, settings: ReaderSettings) -> Iterator[Line]:
    """Drop the lines before a sentence that start with # and are no token."""
    is_before = True
    for where, line in lines:
        fields = split_columns(line, n_columns)
        is_token = len(fields) == n_columns and (settings.scheme == BARE or any(is_tag(field) for field in fields[1:]))
        is_before = is_before and line.startswith("#") and not is_token
        if not is_before:
            yield where, line


def count_columns(lines: List[Line]) -> int:
    """Count the columns that most lines have. Those of comments don't count, if there is anything else."""
    counts = [len(split_columns(line)) for _, line in lines if not line.startswith("#")]
    return max(counts, key=counts.count) if counts else 0


def split_columns(line: str, n_columns: int = 0) -> List[str]:
    """Split a line at its tabs, or at its spaces if it has none. Other white space may be a part of words.

    n_columns (int): The number of columns, 0 if it is not known. A line that has as many only if it is split at both is
        split at both.
    """
    if LABEL_STUDIO in line and "\t" not in line:
        word, tag = line.rsplit(LABEL_STUDIO, 1)
        return [word, *LABEL_STUDIO.split(), tag]
    fields = line.split("\t") if "\t" in line else re.split(" +", line)
    if n_columns and "\t" in line and len(fields) != n_columns:
        both = re.split("[\t ]+", line)
        return both if len(both) == n_columns else fields
    return fields
