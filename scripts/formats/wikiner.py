"""WikiNER: a sentence a line, tokens as word|POS|tag."""

import re
from pathlib import Path
from typing import Iterator

from ..common.console import UserError
from .labels import Labels
from .lines import read_lines
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import to_iob2

LABELS = ("LOC", "MISC", "ORG", "PER")


def read_wikiner(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a WikiNER file (wp2 or wp3, of any language), checking every line.

    path (Path): The file: a sentence a line, blank lines between them; tags in IOB1.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    labels = settings.labels.limit(LABELS)
    for where, line in read_lines(path, settings.encoding):
        if line:
            yield parse_line(line, where, labels)


def parse_line(line: str, where: str, labels: Labels) -> Sentence:
    """Parse one sentence in WikiNER's format.

    line (str): Tokens as `word|POS|tag`, separated by single spaces, tags in IOB1.
    where (str): File and line number, for the error.
    labels (Labels): The labels that there may be.
    RETURNS (Sentence): The parsed sentence.
    RAISES (UserError): For a token without three fields, or an unknown tag.
    """
    words, pos, tags = [], [], []
    for token in line.split(" "):
        fields = token.split("|")
        if len(fields) != 3 or not all(fields):
            raise UserError(f"{where}: expected word|POS|tag, got {token!r}.")
        word, part_of_speech, tag = fields
        if tag != "O":
            if not re.match("[IB]-.", tag):
                raise UserError(
                    f"{where}: unknown tag {tag!r} in {token!r}. "
                    f"Expected O, or I- or B- and one of {', '.join(sorted(labels.allowed or LABELS))}."
                )
            labels.check(tag[2:], where, f"tag {tag!r} in {token!r}")
        words.append(word)
        pos.append(part_of_speech)
        tags.append(tag)
    # Sentence by sentence: in IOB1 an entity at the end of one sentence and one
    # at the start of the next would otherwise melt into one.
    return Sentence(words, pos, to_iob2(tags))
