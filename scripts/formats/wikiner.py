"""WikiNER: a sentence a line, tokens as word|POS|tag."""

from dataclasses import replace
from pathlib import Path
from typing import Iterator

from .iob import split_tokens
from .lines import read_lines
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import TagReader

LABELS = ("LOC", "MISC", "ORG", "PER")


def read_wikiner(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a WikiNER file (wp2 or wp3, of any language), checking every line.

    path (Path): The file: a sentence a line, blank lines between them; tags in IOB1.
    settings (ReaderSettings): What a reader has to know. Labels that it does not name are those of WikiNER.
    notes (Notes): Gets what is corrected.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    tags = TagReader(path, replace(settings, labels=settings.labels.limit(LABELS)), notes)
    for where, line in read_lines(path, settings.encoding):
        if line:
            # Sentence by sentence: in IOB1 an entity at the end of one and one at the start of the next would
            # otherwise become one.
            words, pos, names = (list(field) for field in zip(*split_tokens(line, where, ("word", "POS", "tag"))))
            yield Sentence(words, pos, tags.read(names, [where] * len(names)))
    tags.finish()
