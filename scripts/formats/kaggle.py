"""The entity-annotated corpus of Kaggle: ner_dataset.csv with the columns Sentence #, Word, POS and Tag."""

import csv
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

from ..common.console import UserError
from .lines import Place, check_encoding, decode, quote, read_bytes
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import TagReader

# What the columns are called in it and its copies, which have more of them, fewer, or others between.
SENTENCE, WORD, POS, TAG = ("sentence #", "sentence_idx", "sentence"), ("word",), ("pos",), ("tag",)
HEADER = "Sentence #,Word,POS,Tag"


class Token(NamedTuple):
    """A line of the file. The number of its sentence is empty if it is that of the token before."""

    where: Place
    number: str
    word: str
    pos: str
    tag: str


def read_kaggle(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of the corpus, checking every line.

    path (Path): The file: Latin-1, a token a line; the first token of a sentence has its number in the first column.
        Copies with the number on every line, an index before it, without POS, or with ; between the columns are read,
        too. Tokens without a word are left out.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out or corrected.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    tags = TagReader(path, settings, notes)
    for tokens in read_groups(path, settings.encoding):
        kept = [token for token in tokens if token.word]
        notes.skipped["tokens without a word"] += len(tokens) - len(kept)
        if kept:
            pos = [token.pos for token in kept]
            named = tags.read([token.tag for token in kept], [token.where for token in kept])
            yield Sentence([token.word for token in kept], pos if all(pos) else None, named)
    tags.finish()


def read_groups(path: Path, encoding: str) -> Iterator[List[Token]]:
    """Gather the tokens of each sentence.

    RAISES (UserError): If the first one has no number of its sentence.
    """
    tokens: List[Token] = []
    current = ""
    for token in read_tokens(path, encoding):
        # Some copies of the corpus repeat the number on every line.
        if token.number and token.number != current:
            if tokens:
                yield tokens
            tokens, current = [], token.number
        elif not current:
            raise UserError(f"{token.where}: the first token has no number of its sentence in the first column.")
        tokens.append(token)
    if tokens:
        yield tokens


def read_tokens(path: Path, encoding: str) -> Iterator[Token]:
    """Stream the tokens.

    RAISES (UserError): For a header that lacks a column, and lines with another number of columns or without a tag.
    """
    known = check_encoding(encoding) if encoding else "latin1"
    columns: Dict[str, int] = {}
    names: List[str] = []
    delimiter = ","
    for where, text in read_text(path, known, is_guess=not encoding):
        if not names:
            delimiter = find_delimiter(text)
            names = split_row(text, delimiter, where)
            columns = find_columns(names, where)
            continue
        fields = split_row(text, delimiter, where)
        if len(fields) != len(names) or not fields[columns["tag"]]:
            raise UserError(f"{where}: expected {len(names)} columns ({','.join(names)}), got {quote(text)}.")
        pos = fields[columns["pos"]] if "pos" in columns else ""
        yield Token(where, fields[columns["sentence"]], fields[columns["word"]].strip(), pos, fields[columns["tag"]])


def find_delimiter(header: str) -> str:
    """Find what is between the columns."""
    return max(",;\t", key=header.count)


def is_header(line: str) -> bool:
    """Tell whether a line names the columns of the corpus."""
    names = {name.strip(' "').lower() for name in line.split(find_delimiter(line))}
    return bool(names.intersection(SENTENCE)) and bool(names.intersection(TAG))


def find_columns(names: List[str], where: Place) -> Dict[str, int]:
    """Find the columns by their names.

    RAISES (UserError): If one but that of the parts of speech is missing.
    """
    lowered = [name.strip().lower() for name in names]
    columns = {
        key: next((lowered.index(name) for name in known if name in lowered), -1)
        for key, known in (("sentence", SENTENCE), ("word", WORD), ("pos", POS), ("tag", TAG))
    }
    columns = {key: column for key, column in columns.items() if column >= 0}
    if not {"sentence", "word", "tag"} <= set(columns):
        raise UserError(f"{where}: expected the columns {HEADER}, got {quote(','.join(names))}.")
    return columns


def read_text(path: Path, encoding: str, *, is_guess: bool) -> Iterator[Tuple[Place, str]]:
    """Stream the lines that are not blank.

    is_guess (bool): Nobody named the encoding.
    RAISES (UserError): For lines in another encoding.
    """
    for where, line in read_bytes(path):
        if is_guess and not line.isascii() and is_utf8(line):
            # Every byte is Latin-1, so nothing else would show that it is not.
            raise UserError(
                f"{where}: this is UTF-8, the corpus is Latin-1. Name the encoding: `--encoding utf8`; "
                "`--encoding latin1` takes the line as it is."
            )
        text = decode(line, encoding, where)
        if text:
            yield where, text


def split_row(text: str, delimiter: str, where: Place) -> List[str]:
    """Split a line at its delimiters, line by line: a quote that does not end would swallow the lines after it.

    RAISES (UserError): For a quote that does not end.
    """
    try:
        (fields,) = csv.reader([text], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError) as error:
        raise UserError(f"{where}: a quote does not end, or is not doubled, in {quote(text)} ({error}).") from error
    return fields


def is_utf8(line: bytes) -> bool:
    """Tell whether a line can be read as UTF-8."""
    try:
        line.decode("utf8")
    except UnicodeDecodeError:
        return False
    return True
