"""All formats by name, and how to tell them apart."""

import itertools
import re
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple

from ..common.console import UserError
from .conll import DOCUMENT_START, read_conll, read_indexed, split_columns
from .docbin import read_docbin
from .jsonl import read_jsonl
from .kaggle import COLUMNS, read_kaggle
from .lines import read_bytes
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import TAG
from .wikiner import read_wikiner

N_LINES = 20  # Of the start of a file, to tell its format.
WIKINER_TOKEN = re.compile(r"[^|]+\|[^|]+\|(O|[IB]-.+)")
JSON_START = re.compile(r'[\[{]\s*(["{\[}]|$)')


class Format(NamedTuple):
    """A format: what reads it, and what its lines look like."""

    read: Callable[[Path, ReaderSettings, Notes], Iterator[Sentence]]
    looks: str


FORMATS: Dict[str, Format] = {
    "wikiner": Format(read_wikiner, "lines of word|POS|tag tokens"),
    "conll": Format(read_conll, "lines of `word POS chunk tag`"),
    "indexed": Format(read_indexed, "lines of `index word tag`"),
    "kaggle": Format(read_kaggle, f"lines of {','.join(COLUMNS)}"),
    "jsonl": Format(read_jsonl, 'lines of {"text": ..., "spans": ...}'),
    "spacy": Format(read_docbin, "annotated Docs"),
}


def read_sentences(path: Path, name: str, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a corpus.

    path (Path): The file.
    name (str): The name of its format.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): For anything that is not in the format, and if there is no sentence.
    """
    n_sentences = 0
    for sentence in FORMATS[name].read(path, settings, notes):
        n_sentences += 1
        yield sentence
    if not n_sentences:
        raise UserError(f"{path} holds no sentences: expected {FORMATS[name].looks}.")


def detect_format(path: Path) -> str:
    """Tell the format of a corpus by its first lines, .spacy by its name.

    RETURNS (str): The name of the format.
    RAISES (UserError): If the file is missing, damaged, or in none of the formats.
    """
    if path.suffix == ".spacy":
        return "spacy"
    stripped = (line.decode("utf8", errors="replace").strip() for _, line in read_bytes(path))
    lines = list(itertools.islice(itertools.dropwhile(lambda line: not line, stripped), N_LINES))
    if not lines:
        raise UserError(f"{path} holds no sentences: it is empty.")
    if lines[0].lstrip('"').startswith(COLUMNS[0]):
        return "kaggle"
    if lines[0].startswith(DOCUMENT_START):
        return "conll"
    if JSON_START.match(lines[0]):
        return "jsonl"
    sentence = next_sentence(lines)
    if sentence and looks_indexed(sentence):
        return "indexed"
    columns = split_columns(lines[0])
    if len(columns) > 1 and TAG.fullmatch(columns[-1]):
        return "conll"
    if any(WIKINER_TOKEN.fullmatch(token) for token in columns):
        return "wikiner"
    raise UserError(
        f"{path}: can't tell the format by the first line, {lines[0][:60]!r}. Name it with `--format`: "
        f"{', '.join(FORMATS)}."
    )


def next_sentence(lines: List[str]) -> List[List[str]]:
    """Find the first sentence, without comments.

    RETURNS (List[List[str]]): The columns of its lines.
    """
    lines = list(itertools.dropwhile(lambda line: not line or line.startswith("# "), lines))
    return [split_columns(line) for line in itertools.takewhile(bool, lines)]


def looks_indexed(sentence: List[List[str]]) -> bool:
    """Tell whether the first of three columns counts. In `word POS tag` it may be a number, but not on all lines."""
    first = sentence[0]
    if len(first) != 3 or first[0] not in ("0", "1") or not TAG.fullmatch(first[-1]):
        return False
    return all(fields[0].isdecimal() for fields in sentence)
