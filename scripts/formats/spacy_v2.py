"""spaCy v2's TRAIN_DATA: pairs of a text and its entities, in JSON or in the Python file that they were written in."""

import ast
from pathlib import Path
from typing import Any, Iterator, List, Tuple

from ..common.console import UserError
from .annotated_text import AnnotatedText, check_text
from .lines import Place, quote, read_bytes
from .records import read_records
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .spans import check_spans, parse_span
from .texts import make_sentences


def read_spacy_v2(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the texts of a file, checking every pair. Each is a document of its own.

    path (Path): The file: `["text", {"entities": [[start, end, label]]}]`, a pair a line or all in one array; the object
        with "annotations" that NER Annotator writes; or Python with `TRAIN_DATA = [("text", {...})]`.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out or corrected.
    YIELDS (Sentence): The texts.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    yield from make_sentences(read_texts(path, settings), settings, notes)


def read_texts(path: Path, settings: ReaderSettings) -> Iterator[AnnotatedText]:
    """Stream the texts with their spans.

    YIELDS (AnnotatedText): The texts.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    pairs = read_python(path) if path.suffix == ".py" else read_pairs(path, settings.encoding)
    for where, pair in pairs:
        if not is_pair(pair):
            raise UserError(f'{where}: expected a text and {{"entities": [...]}}, got {quote(pair)}.')
        text = check_text(pair[0], where)
        items = [list(item) if isinstance(item, tuple) else item for item in pair[1]["entities"]]
        yield AnnotatedText(where, text, check_spans((parse_span(item, text, where) for item in items), text, where))


def is_pair(value: Any) -> bool:
    """Tell whether a value is a text with its entities."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], dict)
        and isinstance(value[1].get("entities"), list)
    )


def read_pairs(path: Path, encoding: str) -> Iterator[Tuple[Place, Any]]:
    """Stream the pairs of a JSON file.

    YIELDS (Tuple[Place, Any]): Where it is, for errors, and the pair.
    """
    for where, record in read_records(path, encoding):
        if isinstance(record, dict) and isinstance(record.get("annotations"), list):
            # NER Annotator writes null for a text that was skipped.
            yield from ((where, pair) for pair in record["annotations"] if pair is not None)
        else:
            yield where, record


def read_python(path: Path) -> Iterator[Tuple[Place, Any]]:
    """Stream the pairs of the first list in a Python file, without running it.

    YIELDS (Tuple[Place, Any]): Where it is, for errors, and the pair.
    RAISES (UserError): If it is no Python, or has no list of constants.
    """
    try:
        tree = ast.parse(b"".join(line for _, line in read_bytes(path)))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UserError(f"{Place(path, line)}: this is no Python ({error}).") from error
    assigned = [node.value for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    items: List[ast.expr] = next((value.elts for value in assigned if isinstance(value, ast.List)), [])
    for item in items:
        where = Place(path, item.lineno)
        try:
            yield where, ast.literal_eval(item)
        except ValueError as error:
            raise UserError(f"{where}: expected a text and its entities as constants ({error}).") from error
