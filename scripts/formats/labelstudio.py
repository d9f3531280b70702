"""Label Studio's exports for named entities, JSON and JSON-MIN."""

from pathlib import Path
from typing import Any, Dict, Iterator, List

from ..common.console import UserError
from .annotated_text import AnnotatedText, check_text
from .lines import Place, quote
from .records import read_records
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .spans import check_spans, parse_span
from .texts import make_sentences

# Of today's versions, and of those before 1.0.
ANNOTATION_KEYS = ("annotations", "completions")


def read_labelstudio(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the texts of an export, checking every task. Each is a document of its own.

    path (Path): The file: an array of tasks with "data" and "annotations", or, in JSON-MIN, of objects with the text and
        the spans. A task with several annotations is a text that is there more than once.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out or corrected.
    YIELDS (Sentence): The texts.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    yield from make_sentences(read_tasks(path, settings, notes), settings, notes)


def read_tasks(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[AnnotatedText]:
    """Stream the texts with the spans of each annotation.

    YIELDS (AnnotatedText): The texts.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    for where, task in read_records(path, settings.encoding):
        if is_minimal(task):
            yield make_text(task, get_minimal_spans(task), where)
            continue
        if not is_task(task):
            raise UserError(f'{where}: expected a task with "data" and "annotations", got {quote(task)}.')
        annotations = [
            annotation
            for annotation in next(task[key] for key in ANNOTATION_KEYS if key in task)
            if isinstance(annotation, dict) and not annotation.get("was_cancelled")
        ]
        notes.skipped["tasks without annotations"] += not annotations
        for annotation in annotations:
            results = annotation.get("result") or []
            yield make_text(task["data"], [item["value"] for item in results if is_span(item)], where)


def is_task(record: Any) -> bool:
    """Tell whether a record is a task of the JSON export."""
    return (
        isinstance(record, dict)
        and isinstance(record.get("data"), dict)
        and any(isinstance(record.get(key), list) for key in ANNOTATION_KEYS)
    )


def is_minimal(record: Any) -> bool:
    """Tell whether a record is one of JSON-MIN."""
    return isinstance(record, dict) and "data" not in record and bool(get_minimal_spans(record) or is_unmarked(record))


def is_unmarked(record: Dict[str, Any]) -> bool:
    """Tell whether a record is one of JSON-MIN in which nothing was marked."""
    return "annotator" in record and "annotation_id" in record


def is_span(item: Any) -> bool:
    """Tell whether a result is a span with a label: others are relations, or classes of the text."""
    return isinstance(item, dict) and item.get("type") == "labels" and isinstance(item.get("value"), dict)


def get_minimal_spans(record: Dict[str, Any]) -> List[Any]:
    """Get the spans of a record of JSON-MIN. Their key is the name that the project gave to its labels."""
    lists = [value for value in record.values() if isinstance(value, list) and value]
    return next((items for items in lists if all(isinstance(item, dict) and "labels" in item for item in items)), [])


def make_text(data: Dict[str, Any], items: List[Any], where: Place) -> AnnotatedText:
    """Check the text and the spans of an annotation.

    RAISES (UserError): If there is not exactly one text, or a span is out of format.
    """
    strings = {key: value for key, value in data.items() if isinstance(value, str)}
    if "text" not in strings and len(strings) != 1:
        raise UserError(f'{where}: expected a "text" in the data, got the keys {quote(", ".join(data))}.')
    text = check_text(strings.get("text", next(iter(strings.values()))), where)
    return AnnotatedText(where, text, check_spans((parse_span(item, text, where) for item in items), text, where))
