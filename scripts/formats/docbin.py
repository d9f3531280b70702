"""spaCy's own binary format, .spacy."""

from pathlib import Path
from typing import Iterator, Optional

from spacy.tokens import Doc, Token

from ..common.console import UserError
from ..common.corpora import load_docs
from ..common.files import check_file
from .sentence import Notes, Sentence
from .settings import ReaderSettings


def read_docbin(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Yield the sentences of a .spacy corpus. Each of its Docs is a document; one without sentences, one sentence.

    path (Path): The file. Words, spaces, tags, sentence starts and entities are kept, nothing else.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Not used: what can't be read as it is gets refused.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): If the file is damaged, or has a Doc without entity annotation.
    """
    check_file(path)
    for number, doc in enumerate(load_docs(path), start=1):
        yield from split_doc(doc, f"{path}, Doc {number}", settings, number)


def split_doc(doc: Doc, where: object, settings: ReaderSettings, document: int) -> Iterator[Sentence]:
    """Split a Doc into its sentences.

    where (object): What it is, for errors.
    document (int): The number of the document.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): If it has no entity annotation, or a label that is not allowed.
    """
    if len(doc) and not doc.has_annotation("ENT_IOB"):
        raise UserError(f"{where}: it has no entity annotation. Annotate it, or leave it out.")
    for entity in doc.ents:
        settings.labels.check(entity.label_, where, f"label {entity.label_!r}")
    starts = [token.i for token in doc if token.i == 0 or is_start(token)]
    for start, end in zip(starts, starts[1:] + [len(doc)]):
        tokens = list(doc[start:end])
        yield Sentence(
            [token.text for token in tokens],
            [token.tag_ for token in tokens] if doc.has_annotation("TAG") else None,
            [get_tag(token) for token in tokens],
            spaces=None if doc.has_unknown_spaces else [bool(token.whitespace_) for token in tokens],
            document=document,
        )


def is_start(token: Token) -> bool:
    """Tell whether a sentence starts here. One that starts inside an entity would cut it."""
    return bool(token.is_sent_start) and token.ent_iob_ != "I"


def get_tag(token: Token) -> Optional[str]:
    """Get the tag of a token in IOB2, None where it is not known whether there is an entity."""
    if not token.ent_iob_:
        return None
    return f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O"
