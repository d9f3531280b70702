"""All formats by name, and how to tell them apart."""

import itertools
import re
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

from ..common.console import UserError
from . import conll2012, webanno
from .brat import read_brat
from .conll import DOCUMENT_START, read_conll
from .conll2012 import read_conll2012
from .conllu import COLUMNS, NAMED_COLUMNS, read_conllu
from .docbin import read_docbin
from .huggingface import find_keys, read_huggingface
from .iob import read_iob
from .jsonl import read_jsonl
from .kaggle import HEADER, is_header, read_kaggle
from .labelstudio import is_minimal, is_task, read_labelstudio
from .lines import quote, read_bytes
from .pubtator import TITLE, read_pubtator
from .records import read_records
from .sentence import Notes, Sentence
from .settings import BARE, ReaderSettings
from .spacy_json import read_spacy_json
from .spacy_v2 import is_pair, read_spacy_v2
from .tags import is_tag
from .webanno import read_webanno
from .wikiner import read_wikiner

N_LINES = 50  # Of the start of a file, to tell its format.
WIKINER_TOKEN = re.compile(r"[^|]+\|[^|]+\|(O|[IB]-.+)")
IOB_TOKEN = re.compile(r"[^|]+\|(O|[BILUES]-.+)")
JSON_START = re.compile(r'[\[{]\s*(["{\[}]|$)')


class Format(NamedTuple):
    """A format: what reads it, and what its content looks like."""

    read: Callable[[Path, ReaderSettings, Notes], Iterator[Sentence]]
    looks: str


FORMATS: Dict[str, Format] = {
    "wikiner": Format(read_wikiner, "lines of word|POS|tag tokens"),
    "conll": Format(read_conll, "lines of `word POS chunk tag`, or of other columns with a word and a tag"),
    "jsonl": Format(read_jsonl, 'records of {"text": ..., "spans": ...}'),
    "huggingface": Format(read_huggingface, 'records of {"tokens": [...], "ner_tags": [...]}'),
    "labelstudio": Format(read_labelstudio, 'tasks of {"data": ..., "annotations": [...]}'),
    "spacy": Format(read_docbin, "annotated Docs"),
    "spacy-v2": Format(read_spacy_v2, 'pairs of ["text", {"entities": [...]}]'),
    "spacy-json": Format(read_spacy_json, 'documents of {"paragraphs": [...]}'),
    "iob": Format(read_iob, "lines of word|tag tokens"),
    "kaggle": Format(read_kaggle, f"lines of {HEADER}"),
    "brat": Format(read_brat, "a folder of .txt and .ann files"),
    "webanno": Format(read_webanno, f"{webanno.FORMAT} and lines of tokens"),
    "conllu": Format(read_conllu, "lines with the columns of CoNLL-U"),
    "conll2012": Format(read_conll2012, f"{conll2012.START} and lines of columns"),
    "pubtator": Format(read_pubtator, "lines of 1|t|Title, 1|a|Abstract, and entities"),
}


def read_sentences(path: Path, name: str, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a corpus.

    path (Path): The file.
    name (str): The name of its format.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out or corrected.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): For anything that is not in the format, and if there is no sentence.
    """
    n_sentences = 0
    for sentence in FORMATS[name].read(path, settings, notes):
        n_sentences += 1
        yield sentence
    if not n_sentences:
        raise UserError(f"{path} holds no sentences: expected {FORMATS[name].looks}.")


def detect_format(path: Path, settings: ReaderSettings) -> str:
    """Tell the format of a corpus by its first lines; a folder, .spacy, .parquet, .py and .ann by their names.

    RETURNS (str): The name of the format.
    RAISES (UserError): If the file is missing, damaged, or in none of the formats.
    """
    name = detect_by_name(path)
    if name:
        return name
    stripped = (line.decode("utf8", errors="replace").strip() for _, line in read_bytes(path))
    lines = list(itertools.islice(itertools.dropwhile(lambda line: not line, stripped), N_LINES))
    if not lines:
        raise UserError(f"{path} holds no sentences: it is empty.")
    name = detect_json(path, settings) if JSON_START.match(lines[0]) else detect_by_head(lines)
    name = name or detect_by_tokens(path, lines, settings)
    if name:
        return name
    raise UserError(
        f"{path}: can't tell the format by the first line, {quote(lines[0])}. Name it with `--format`: "
        f"{', '.join(FORMATS)}. Labels without prefixes, as in `Ada PER`, need `--scheme {BARE}`."
    )


def detect_by_name(path: Path) -> Optional[str]:
    """Tell the format by the name of the file, None if it doesn't say it."""
    if path.is_dir():
        if next(path.rglob("*.ann"), None):
            return "brat"
        raise UserError(f"{path} is a folder. Name one file, or a folder with the .txt and .ann files of brat.")
    if path.suffix == ".ann" or (path.suffix == ".txt" and path.with_suffix(".ann").is_file()):
        return "brat"
    return {".spacy": "spacy", ".parquet": "huggingface", ".py": "spacy-v2"}.get(path.suffix)


def detect_json(path: Path, settings: ReaderSettings) -> str:
    """Tell the format of a JSON file by its first record."""
    _, record = next(read_records(path, settings.encoding), (None, None))
    if is_pair(record):
        return "spacy-v2"
    if not isinstance(record, dict):
        return "jsonl"
    if isinstance(record.get("annotations"), list) and any(map(is_pair, record["annotations"])):
        return "spacy-v2"
    if "paragraphs" in record:
        return "spacy-json"
    if is_task(record) or is_minimal(record):
        return "labelstudio"
    return "huggingface" if find_keys(record) else "jsonl"


def detect_by_head(lines: List[str]) -> Optional[str]:
    """Tell the format by what only the first lines of one have, None if there is nothing like it."""
    if lines[0].startswith(webanno.FORMAT):
        return "webanno"
    if lines[0].startswith(conll2012.START):
        return "conll2012"
    if TITLE.fullmatch(lines[0]):
        return "pubtator"
    if is_header(lines[0]):
        return "kaggle"
    if lines[0].startswith(DOCUMENT_START):
        return "conll"
    if any(map(NAMED_COLUMNS.match, lines)):
        return "conllu"
    return None


def detect_by_tokens(path: Path, lines: List[str], settings: ReaderSettings) -> Optional[str]:
    """Tell the format by the first line that is no comment, None if it has no tokens and tags."""
    line = next((line for line in lines if line and not line.startswith("#")), lines[0])
    columns = line.split("\t")
    if len(columns) == len(COLUMNS) and columns[0].isdecimal() and not is_tag(columns[-1]):
        return "conllu"
    tokens = line.split()
    if any(map(WIKINER_TOKEN.fullmatch, tokens)):
        return "iob" if path.suffix == ".iob" else "wikiner"
    if any(map(IOB_TOKEN.fullmatch, tokens)):
        return "iob"
    has_tags = any(map(is_tag, tokens[1:])) or settings.scheme == BARE or settings.columns
    return "conll" if len(tokens) > 1 and has_tags else None
