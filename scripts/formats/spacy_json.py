"""spaCy v2's own JSON for training: documents with paragraphs, sentences and tokens. spaCy converts it itself."""

from pathlib import Path
from typing import Iterator

from spacy.training.converters import json_to_docs

from ..common.console import UserError
from .docbin import split_doc
from .lines import quote
from .records import read_records
from .sentence import Notes, Sentence
from .settings import ReaderSettings


def read_spacy_json(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file, checking every document.

    path (Path): The file: an array of objects with "paragraphs".
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Not used: what can't be read as it is gets refused.
    YIELDS (Sentence): The sentences. Each paragraph is a document.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    number = 0
    for where, record in read_records(path, settings.encoding):
        if not isinstance(record, dict) or not isinstance(record.get("paragraphs"), list):
            raise UserError(f'{where}: expected a document with "paragraphs", got {quote(record)}.')
        try:
            docs = list(json_to_docs([record]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"{where}: spaCy can't convert this document ({quote(reason)}).") from error
        for doc in docs:
            number += 1
            yield from split_doc(doc, where, settings, number)
