"""Texts with character offsets, as Prodigy and Doccano export them: a record a line, or all in one array."""

from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

from ..common.console import UserError
from .annotated_text import AnnotatedText, check_text
from .lines import Place, quote
from .records import read_records
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .spans import TextSpan, check_spans, looks_like_span, parse_span
from .texts import make_sentences

# Prodigy's and newer Doccano's; older Doccano's.
TEXT_KEYS = ("text", "data")
# Prodigy's; Doccano's, of several versions.
SPAN_KEYS = ("spans", "labels", "label", "entities")
YES, NO = "accept", "reject"


def read_jsonl(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the texts of a file, checking every record. Each is a document of its own.

    path (Path): The file: objects with "text" and one of "spans", "labels", "label" and "entities": a list of spans as
        `parse_span` takes them. "tokens" as Prodigy has them are kept, other texts are tokenized by the rules of the
        language. What was rejected or ignored in Prodigy ("answer") is left out.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out or corrected.
    YIELDS (Sentence): The texts.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    yield from make_sentences(read_texts(path, settings, notes), settings, notes)


def read_texts(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[AnnotatedText]:
    """Stream the texts with their spans.

    YIELDS (AnnotatedText): The texts, accepted and rejected ones.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    for where, record in read_records(path, settings.encoding):
        if not isinstance(record, dict):
            raise UserError(f"{where}: expected an object with a text and its spans, got {quote(record)}.")
        answer = record.get("answer") or YES
        if answer not in (YES, NO):  # Ignored in Prodigy, so whatever else is in it does not count.
            notes.skipped["ignored texts"] += 1
            continue
        try:
            text = get_text(record, where)
            spans, rejected = parse_spans(record, text, where)
        except UserError:
            if answer == YES:
                raise
            notes.skipped["rejected texts"] += 1  # Whatever is wrong with it may be why.
            continue
        notes.skipped["rejected spans"] += len(rejected)
        yield AnnotatedText(where, text, spans, record.get("tokens") or (), is_accepted=answer == YES)


def get_text(record: Dict[str, Any], where: Place) -> str:
    """Get the text of a record.

    RAISES (UserError): If there is none.
    """
    key = next((key for key in TEXT_KEYS if isinstance(record.get(key), str)), None)
    if key is None:
        raise UserError(f'{where}: expected a "text", got the keys {quote(", ".join(record))}.')
    return check_text(record[key], where)


def parse_spans(record: Dict[str, Any], text: str, where: Place) -> Tuple[List[TextSpan], List[TextSpan]]:
    """Find the spans of a record.

    RETURNS (Tuple[List[TextSpan], List[TextSpan]]): The spans, by their place in the text, and the rejected ones.
    RAISES (UserError): If there are none, one is out of format or outside the text, or two overlap.
    """
    items = find_items(record, where)
    answers = [item.get("answer") if isinstance(item, dict) else None for item in items]
    spans = [parse_span(item, text, where) for item in items]
    accepted = [span for span, answer in zip(spans, answers) if answer != NO]
    return check_spans(accepted, text, where), [span for span, answer in zip(spans, answers) if answer == NO]


def find_items(record: Dict[str, Any], where: Place) -> List[Any]:
    """Find the list of spans: the one that is filled, if there are several keys that may have it.

    RAISES (UserError): If there is none, or more than one.
    """
    lists = {key: record[key] or [] for key in SPAN_KEYS if key in record}
    if not lists:
        if "answer" in record:  # Prodigy leaves "spans" out where none was marked.
            return []
        raise UserError(
            f"{where}: expected one of {', '.join(SPAN_KEYS)} beside the text, got the keys {quote(', '.join(record))}."
        )
    # Others have the classes of the text.
    with_spans = {
        key: items for key, items in lists.items() if isinstance(items, list) and all(map(looks_like_span, items))
    }
    if not with_spans:
        key, items = next(iter(lists.items()))
        raise UserError(f'{where}: expected a list of spans in "{key}", got {quote(items)}.')
    filled = {key: items for key, items in with_spans.items() if items}
    if len(filled) > 1:
        raise UserError(f"{where}: there are spans in {' and in '.join(filled)}. Keep one of them.")
    return next(iter(filled.values()), [])
