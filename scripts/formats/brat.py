"""brat: a text file, and beside it a file with the spans, of the same name with .ann. A corpus is a folder of them."""

import re
from pathlib import Path
from typing import Iterator, List, Tuple

from ..common.console import UserError
from .annotated_text import AnnotatedText
from .lines import check_encoding, quote, read_bytes, read_lines
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .spans import TextSpan, check_spans, parse_span
from .texts import make_sentences

# A number, the label, the first and last characters of each part, and the text.
ENTITY = re.compile(r"T\S+\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t(.*)")


def read_brat(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the texts of a corpus, checking every line. Each is a document of its own.

    path (Path): The folder, with folders in it or not, or one .txt or .ann file. Of the annotations, the entities are
        read (T), not relations, events and notes.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out.
    YIELDS (Sentence): The texts.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    yield from make_sentences(read_texts(path, settings, notes), settings, notes)


def read_texts(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[AnnotatedText]:
    """Stream the texts with their spans.

    RAISES (UserError): If there are no annotations, or no text beside them.
    """
    files = sorted(path.rglob("*.ann")) if path.is_dir() else [path.with_suffix(".ann")]
    if path.is_dir():
        notes.skipped["texts without .ann"] += len(
            set(path.rglob("*.txt")) - {ann.with_suffix(".txt") for ann in files}
        )
    for annotations in files:
        source = annotations.with_suffix(".txt")
        for file_ in (annotations, source):
            if not file_.is_file():
                raise UserError(f"There is no {file_}. brat keeps a text in .txt, its annotations beside it in .ann.")
        text = read_text(source, settings.encoding)
        spans, parts = read_spans(annotations, text, settings.encoding)
        notes.skipped["spans in several parts"] += len(parts)
        yield AnnotatedText(source, text, check_spans(spans, text, annotations), unclear=parts)


def read_text(path: Path, encoding: str) -> str:
    """Read a text with its line ends, which count.

    RAISES (UserError): If it is not in the encoding.
    """
    known = check_encoding(encoding) if encoding else "UTF-8"
    try:
        return b"".join(line for _, line in read_bytes(path)).decode(known)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start + 1} is not {known}. Name its encoding with `--encoding`."
        ) from error


def read_spans(path: Path, text: str, encoding: str) -> Tuple[List[TextSpan], List[TextSpan]]:
    """Read the spans of a text.

    RETURNS (Tuple[List[TextSpan], List[TextSpan]]): The spans, and those in several parts from their first to last
        character.
    RAISES (UserError): With file and line number, for an entity that is out of format or has another text.
    """
    spans, parts = [], []
    for where, line in read_lines(path, encoding):
        if not line.startswith("T"):
            continue
        match = ENTITY.fullmatch(line)
        if not match:
            raise UserError(f"{where}: expected an entity as in T1, tab, LABEL 0 5, tab, text, got {quote(line)}.")
        label, offsets, own = match.groups()
        borders = [tuple(map(int, part.split())) for part in offsets.split(";")]
        first, last = borders[0][0], borders[-1][1]
        between = "".join(text[end:start] for (_, end), (start, _) in zip(borders, borders[1:]))
        if between.strip():
            parts.append(parse_span([first, last, label], text, where))
        else:  # In one part, or in parts that only a line end is between.
            spans.append(parse_span([first, last, label, own], text, where))
    return spans, parts
