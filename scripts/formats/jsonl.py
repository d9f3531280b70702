"""JSONL with character offsets, as Prodigy and Doccano export it: a text a line."""

from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Set

import spacy
import srsly
from spacy.tokens import Doc
from spacy.training import offsets_to_biluo_tags
from spacy.vocab import Vocab

from ..common.console import UserError
from .lines import read_lines
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import to_iob2

# Prodigy's; Doccano's, of several versions.
SPAN_KEYS = ("spans", "labels", "label", "entities")


class TextSpan(NamedTuple):
    """An entity by its first character and the one after its last."""

    start: int
    end: int
    label: str

    def describe(self, text: str) -> str:
        """Say where it is, its label and its text."""
        return f"{self.start}-{self.end} {self.label} {text[self.start : self.end]!r}"


def read_jsonl(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the texts of a JSONL file, checking every line. Each is a document of its own.

    path (Path): The file: objects with "text" and one of "spans", "labels", "label" and "entities": a list of
        `{"start", "end", "label"}`, `{"start_offset", "end_offset", "label"}` or `[start, end, label]`. "tokens" as
        Prodigy has them are kept, other texts are tokenized by the rules of the language. What was rejected or
        ignored in Prodigy ("answer") is left out.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out.
    YIELDS (Sentence): The texts.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    tokenize = make_tokenizer(settings.lang)
    for number, (where, line) in enumerate(read_lines(path, settings.encoding)):
        if not line:
            continue
        record = parse_record(line, where)
        if record.get("answer", "accept") != "accept":
            notes.skipped["rejected texts"] += 1
            continue
        text = record["text"]
        spans = parse_spans(record, where)
        for span in spans:
            settings.labels.check(span.label, where, f"label {span.label!r}")
        doc = build_doc(record["tokens"], text, where) if record.get("tokens") else tokenize(text)
        tags = make_tags(doc, spans, where, settings, notes)
        yield Sentence(
            [token.text for token in doc],
            None,
            tags,
            spaces=[bool(token.whitespace_) for token in doc],
            document=number,
        )


def make_tokenizer(lang: str) -> Any:
    """Make the tokenizer of a language.

    RAISES (UserError): If it needs a package that is not installed.
    """
    try:
        return spacy.blank(lang).tokenizer
    except ImportError as error:  # Japanese, for one, needs a package of its own.
        raise UserError(f"The tokenizer of the language {lang!r} can't be made: {error}") from error


def parse_record(line: str, where: str) -> Dict[str, Any]:
    """Parse a line.

    RAISES (UserError): If it is no JSON object with a text.
    """
    try:
        record = srsly.json_loads(line)
    except ValueError as error:
        raise UserError(f"{where}: this is no JSON, or it is cut short ({error}).") from error
    if not isinstance(record, dict):
        raise UserError(f"{where}: expected a JSON object a line, got {line[:40]!r}. Export the corpus as JSONL.")
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        raise UserError(f'{where}: expected a "text" that is not empty, got {text!r}.')
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: character {error.start} of the text is half of a surrogate pair.") from error
    return record


def parse_spans(record: Dict[str, Any], where: str) -> List[TextSpan]:
    """Find the spans of a record.

    RETURNS (List[TextSpan]): The spans, by their place in the text.
    RAISES (UserError): If there are none, one is out of format or outside the text, or two overlap.
    """
    key = next((key for key in SPAN_KEYS if key in record), None)
    if key is None:
        if "answer" in record:  # Prodigy leaves "spans" out where none was marked.
            return []
        raise UserError(f'{where}: expected one of {", ".join(SPAN_KEYS)} beside "text", got {", ".join(record)}.')
    if not isinstance(record[key], list):
        raise UserError(f'{where}: expected a list of spans in "{key}", got {record[key]!r}.')
    text = record["text"]
    spans = sorted(parse_span(item, len(text), where) for item in record[key])
    for span, following in zip(spans, spans[1:]):
        if following.start < span.end:
            raise UserError(
                f"{where}: the spans {span.describe(text)} and {following.describe(text)} overlap. Keep one of them."
            )
    return spans


def parse_span(item: Any, length: int, where: str) -> TextSpan:
    """Parse a span.

    RAISES (UserError): If it is none, or not inside a text of this length.
    """
    if isinstance(item, dict):
        start = item.get("start", item.get("start_offset"))
        end = item.get("end", item.get("end_offset"))
        label = item.get("label")
    else:
        start, end, label = item if isinstance(item, list) and len(item) == 3 else (None, None, None)
    # A bool is an int, too.
    if type(start) is not int or type(end) is not int or not isinstance(label, str) or not label.strip():
        raise UserError(f"{where}: expected a span with start, end and label, got {item!r}.")
    if not 0 <= start < end <= length:
        raise UserError(
            f"{where}: the span {start}-{end} {label} is empty or outside the text, which has {length} characters."
        )
    return TextSpan(start, end, label)


def build_doc(tokens: Any, text: str, where: str) -> Doc:
    """Build a Doc of Prodigy's tokens.

    RAISES (UserError): If they are no tokens, or don't make up the text.
    """
    try:
        words = [token["text"] for token in tokens]
        borders = [token["start"] for token in tokens[1:]] + [len(text)]
        spaces = [token["end"] < border for token, border in zip(tokens, borders)]
        doc = Doc(Vocab(), words=words, spaces=spaces)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{where}: expected "tokens" with text, start and end ({type(error).__name__}: {error}).'
        ) from error
    if doc.text != text:
        raise UserError(f'{where}: the "tokens" make up {doc.text!r}, the "text" is {text!r}.')
    return doc


def make_tags(doc: Doc, spans: List[TextSpan], where: str, settings: ReaderSettings, notes: Notes) -> List[Any]:
    """Convert spans to tags in IOB2.

    RAISES (UserError): If a span does not hit token borders, and it is not to be skipped.
    """
    # An entity that starts or ends with white space is nothing that spaCy could learn.
    starts = {token.idx for token in doc if not token.is_space}
    ends = {token.idx + len(token) for token in doc if not token.is_space}
    aligned, skipped = [], []
    for span in spans:
        if span.start in starts and span.end in ends:
            aligned.append(span)
        elif settings.misaligned == "skip":
            skipped.append(span)
        else:
            raise UserError(describe_misaligned(span, doc.text, starts, ends, where))
    notes.skipped["misaligned spans"] += len(skipped)
    biluo = offsets_to_biluo_tags(doc, aligned)
    tags: List[Any] = to_iob2(biluo)
    for token in doc:
        if tags[token.i] == "O" and any(overlaps(token, span) for span in skipped):
            tags[token.i] = None  # Not "O": there is an entity, whatever its borders.
    return tags


def overlaps(token: Any, span: TextSpan) -> bool:
    """Tell whether a token and a span share characters."""
    return token.idx < span.end and span.start < token.idx + len(token)


def describe_misaligned(span: TextSpan, text: str, starts: Set[int], ends: Set[int], where: str) -> str:
    """Say that a span misses token borders, and which are the nearest."""
    start = min(starts, key=lambda border: (abs(border - span.start), border))
    end = min((border for border in ends if border > start), key=lambda border: (abs(border - span.end), border))
    nearest = TextSpan(start, end, span.label)
    return (
        f"{where}: the span {span.describe(text)} does not start and end at token borders; the nearest are "
        f"{nearest.describe(text)}. Move it there, or leave such tokens without annotation with `--misaligned skip`."
    )
