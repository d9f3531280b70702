"""CoNLL-2012, as OntoNotes is given out: a token a line, entities in brackets."""

import re
from pathlib import Path
from typing import Iterator, List, Tuple

from ..common.console import UserError
from .lines import Place, quote, read_lines
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import TagReader

START, END = "#begin document", "#end document"
WORD, POS, ENTITY = 3, 4, 10  # Columns. The last ones differ in number.
# The start of an entity, or none; the end of one, or none.
BRACKETS = re.compile(r"(?:\(([^()*]+))?\*?(\))?")


def read_conll2012(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file, checking every line.

    path (Path): The file: columns separated by spaces, with the word in the fourth, the part of speech in the fifth and
        the entity in the eleventh: `(GPE)`, or `(PERSON*` and `*)`. `#begin document` starts a document.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Not used: what can't be read as it is gets refused.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    tags = TagReader(path, settings, notes)
    for document, rows in read_blocks(path, settings.encoding):
        yield Sentence(
            [fields[WORD] for _, fields in rows],
            [fields[POS] for _, fields in rows],
            tags.read(read_brackets(rows), [where for where, _ in rows]),
            document=document,
        )
    tags.finish()


def read_blocks(path: Path, encoding: str) -> Iterator[Tuple[int, List[Tuple[Place, List[str]]]]]:
    """Gather the lines of each sentence, split into columns, and count the documents.

    RAISES (UserError): If a line has too few columns.
    """
    rows: List[Tuple[Place, List[str]]] = []
    document = 0
    for where, line in read_lines(path, encoding):
        if line and not line.startswith((START, END)):
            fields = line.split()
            if len(fields) <= ENTITY:
                raise UserError(f"{where}: expected at least {ENTITY + 1} columns, got {quote(line)}.")
            rows.append((where, fields))
            continue
        if rows:
            yield document, rows
            rows = []
        document += line.startswith(START)
    if rows:
        yield document, rows


def read_brackets(rows: List[Tuple[Place, List[str]]]) -> List[str]:
    """Convert the brackets of a sentence to tags in IOB2.

    RAISES (UserError): If one is not closed, or not opened.
    """
    tags, label = [], ""
    for where, fields in rows:
        match = BRACKETS.fullmatch(fields[ENTITY])
        if not match or bool(match.group(1)) == bool(label) and (match.group(1) or match.group(2)):
            raise UserError(f"{where}: expected *, (LABEL), (LABEL* or *) as the entity, got {quote(fields[ENTITY])}.")
        tags.append(f"B-{match.group(1)}" if match.group(1) else f"I-{label}" if label else "O")
        label = "" if match.group(2) else match.group(1) or label
    if label:
        raise UserError(f"{rows[-1][0]}: the sentence ends, but not the entity {label} in it.")
    return tags
