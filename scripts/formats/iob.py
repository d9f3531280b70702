"""spaCy's .iob: a sentence a line, tokens as word|tag or word|POS|tag."""

from pathlib import Path
from typing import Iterator, List

from ..common.console import UserError
from .lines import Place, quote, read_lines
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import TagReader


def read_iob(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file, checking every line.

    path (Path): The file: a sentence a line, tokens separated by single spaces, tags in any scheme.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is corrected.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    tags = TagReader(path, settings, notes)
    n_fields = 0
    for where, line in read_lines(path, settings.encoding):
        if line:
            n_fields = n_fields or (3 if line.split(" ")[0].count("|") == 2 else 2)
            tokens = split_tokens(line, where, ("word", "POS", "tag") if n_fields == 3 else ("word", "tag"))
            yield Sentence(
                [fields[0] for fields in tokens],
                [fields[1] for fields in tokens] if n_fields == 3 else None,
                tags.read([fields[-1] for fields in tokens], [where] * len(tokens)),
            )
    tags.finish()


def split_tokens(line: str, where: Place, names: tuple) -> List[List[str]]:
    """Split a line into tokens, and these into fields.

    names (tuple): The names of the fields.
    RAISES (UserError): For a token that has others.
    """
    tokens = [token.split("|") for token in line.split(" ")]
    for fields in tokens:
        if len(fields) != len(names) or not all(fields):
            raise UserError(f"{where}: expected {'|'.join(names)}, got {quote('|'.join(fields))}.")
    return tokens
