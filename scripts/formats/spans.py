"""Spans of characters: their parsing and checks, and their conversion to tags of tokens."""

from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from spacy.tokens import Doc
from spacy.training import offsets_to_biluo_tags

from ..common.console import UserError
from .lines import quote
from .sentence import Notes
from .settings import ReaderSettings
from .tags import to_iob2


class TextSpan(NamedTuple):
    """An entity by its first character and the one after its last."""

    start: int
    end: int
    label: str

    def describe(self, text: str) -> str:
        """Say where it is, its label and its text."""
        return f"{self.start}-{self.end} {self.label} {quote(text[self.start : self.end])}"


def looks_like_span(item: Any) -> bool:
    """Tell whether a value of a record is meant to be a span, and not the name of a class."""
    return isinstance(item, (dict, list))


def parse_span(item: Any, text: str, where: object) -> TextSpan:
    """Parse a span.

    item (Any): `{"start", "end", "label"}`, `{"start_offset", "end_offset", "label"}`, both also with one of "labels",
        or `[start, end, label]`. A text that comes with it must be that of the span.
    text (str): The text that it is in.
    where (object): File and line number, for errors.
    RAISES (UserError): If it is no span, outside the text, or has another text.
    """
    if isinstance(item, dict):
        start = item.get("start", item.get("start_offset"))
        end = item.get("end", item.get("end_offset"))
        labels = item.get("labels") or [item.get("label")]
        label = labels[0] if isinstance(labels, list) and len(labels) == 1 else labels
        own = item.get("text")
    else:
        fields = item if isinstance(item, list) and len(item) in (3, 4) else [None] * 3
        start, end, label, own = [*fields, None][:4]
    start, end = to_offset(start), to_offset(end)
    if start is None or end is None or not isinstance(label, str) or not label.strip():
        raise UserError(f"{where}: expected a span with start, end and label, got {quote(item)}.")
    if not 0 <= start < end <= len(text):
        raise UserError(
            f"{where}: the span {start}-{end} {label} is empty or outside the text, which has {len(text)} characters."
        )
    span = TextSpan(start, end, label)
    if isinstance(own, str) and own and "".join(own.split()) != "".join(text[start:end].split()):
        raise UserError(
            f"{where}: the span {span.describe(text)} says that its text is {quote(own)}. "
            "Offsets must count characters, not bytes or UTF-16."
        )
    return span


def to_offset(value: Any) -> Optional[int]:
    """Take an offset as an integer, None if it is no whole number. Pandas writes 3 as 3.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    # A bool is an int, too.
    return value if type(value) is int else None


def check_spans(spans: Iterable[TextSpan], text: str, where: object) -> List[TextSpan]:
    """Sort the spans of a text, each once.

    RAISES (UserError): If two overlap.
    """
    ordered = sorted(set(spans))
    for span, following in zip(ordered, ordered[1:]):
        if following.start < span.end:
            raise UserError(
                f"{where}: the spans {span.describe(text)} and {following.describe(text)} overlap. Keep one of them."
            )
    return ordered


def drop_overlapping(spans: Iterable[TextSpan]) -> List[TextSpan]:
    """Keep the longest of spans that overlap, the first of equally long ones."""
    kept: List[TextSpan] = []
    for span in sorted(set(spans), key=lambda span: (span.start - span.end, span)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)


def make_tags(
    doc: Doc, spans: Sequence[TextSpan], where: object, settings: ReaderSettings, notes: Notes
) -> List[Optional[str]]:
    """Convert spans to tags in IOB2.

    RAISES (UserError): If a span does not hit token borders, and it is not to be skipped.
    """
    starts, ends = find_borders(doc)
    aligned, skipped = [], []
    for span in spans:
        if span.start in starts and span.end in ends:
            aligned.append(span)
        elif settings.misaligned == "skip":
            skipped.append(span)
        else:
            raise UserError(describe_misaligned(span, doc.text, starts, ends, where))
    notes.skipped["misaligned spans"] += len(skipped)
    tags: List[Optional[str]] = list(to_iob2(offsets_to_biluo_tags(doc, aligned)))
    for token in doc:
        if tags[token.i] == "O" and any(overlaps(token, span) for span in skipped):
            tags[token.i] = None  # Not "O": there is an entity, whatever its borders.
    return tags


def find_borders(doc: Doc) -> Tuple[Set[int], Set[int]]:
    """Find where entities may start and end: not with white space, which spaCy could not learn."""
    tokens = [token for token in doc if not token.is_space]
    return {token.idx for token in tokens}, {token.idx + len(token) for token in tokens}


def overlaps(token: Any, span: TextSpan) -> bool:
    """Tell whether a token and a span share characters."""
    return token.idx < span.end and span.start < token.idx + len(token)


def describe_misaligned(span: TextSpan, text: str, starts: Set[int], ends: Set[int], where: object) -> str:
    """Say that a span misses token borders, and which are the nearest."""
    start = min(starts, key=lambda border: (abs(border - span.start), border))
    end = min((border for border in ends if border > start), key=lambda border: (abs(border - span.end), border))
    nearest = TextSpan(start, end, span.label)
    hint = "" if text[: span.end].isascii() else "Offsets must count characters, not bytes or UTF-16. "
    return (
        f"{where}: the span {span.describe(text)} does not start and end at token borders; the nearest are "
        f"{nearest.describe(text)}. {hint}Move it there, or leave such tokens without annotation with `--misaligned skip`."
    )
