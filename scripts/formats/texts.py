"""Texts with spans become sentences: they are split into tokens, and their spans become tags."""

from functools import lru_cache
from typing import Any, Iterable, Iterator, List, Optional

import spacy
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..common.console import UserError
from .annotated_text import AnnotatedText
from .lines import quote
from .repeated import resolve_repeated
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .spans import make_tags, overlaps


def make_sentences(texts: Iterable[AnnotatedText], settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Make a sentence of each text, and a document of each sentence.

    texts (Iterable[AnnotatedText]): The texts of a file. Blank ones are left out.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is left out or corrected.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): For a label that is not allowed, a span that misses token borders, or texts that are there more
        than once with different spans.
    """
    tokenize = make_tokenizer(settings.lang)
    for number, text in enumerate(resolve_repeated(texts, settings.repeated, notes)):
        if not text.text.strip():
            notes.skipped["blank texts"] += 1
            continue
        for span in text.spans:
            settings.labels.check(span.label, text.where, f"label {span.label!r}")
        doc = build_doc(text) if text.tokens else tokenize(text.text)
        yield Sentence(
            [token.text for token in doc],
            None,
            get_tags(text, doc, settings, notes),
            spaces=[bool(token.whitespace_) for token in doc],
            document=number,
        )


def get_tags(text: AnnotatedText, doc: Doc, settings: ReaderSettings, notes: Notes) -> List[Optional[str]]:
    """Convert the spans of a text to tags in IOB2. Tokens that nobody judged get none."""
    tags = make_tags(doc, text.spans, text.where, settings, notes)
    for token in doc:
        if tags[token.i] == "O" and any(overlaps(token, span) for span in text.unclear):
            tags[token.i] = None
    if text.is_complete:
        return tags
    judged = {token.i for token in doc for span in text.rejected if overlaps(token, span)}
    return [None if tag == "O" and number not in judged else tag for number, tag in enumerate(tags)]


@lru_cache(maxsize=None)  # It takes a tenth of a second to make one.
def make_tokenizer(lang: str) -> Any:
    """Make the tokenizer of a language.

    RAISES (UserError): If it needs a package that is not installed.
    """
    try:
        return spacy.blank(lang).tokenizer
    except ImportError as error:  # Japanese, for one, needs a package of its own.
        raise UserError(f"The tokenizer of the language {lang!r} can't be made: {error}") from error


def build_doc(text: AnnotatedText) -> Doc:
    """Build a Doc of the tokens that come with a text.

    RAISES (UserError): If they are no tokens, or don't make up the text.
    """
    try:
        words = [token["text"] for token in text.tokens]
        borders = [token["start"] for token in text.tokens[1:]] + [len(text.text)]
        spaces = [token["end"] < border for token, border in zip(text.tokens, borders)]
        doc = Doc(Vocab(), words=words, spaces=spaces)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{text.where}: expected "tokens" with text, start and end ({type(error).__name__}: {error}).'
        ) from error
    if doc.text != text.text:
        raise UserError(f'{text.where}: the "tokens" make up {quote(doc.text)}, the "text" is {quote(text.text)}.')
    return doc
