"""Corpora in spaCy's binary format: read them, check them, and take texts from them."""

from pathlib import Path
from typing import Any, List, Optional, Sequence, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from .console import UserError
from .files import replace_when_done


def load_docs(path: Path, vocab: Optional[Vocab] = None) -> List[Doc]:
    """Read a .spacy corpus, with or without annotations.

    path (Path): The file.
    vocab (Optional[Vocab]): The vocabulary of the Docs, None for one of their own.
    RETURNS (List[Doc]): The Docs.
    RAISES (UserError): If it is missing or damaged.
    """
    if not path.is_file():
        raise UserError(f"There is no corpus at {path}. Make it with `python -m spacy project run corpus`.")
    try:
        return list(DocBin().from_disk(path).get_docs(vocab or Vocab()))
    except Exception as error:  # msgpack and zlib raise errors of many kinds.
        raise UserError(
            f"{path} is not a .spacy corpus, or damaged ({error}). Make it again with `spacy project run corpus`."
        ) from error


def read_corpus(path: Path, *, purpose: str = "compared on") -> List[Doc]:
    """Read a .spacy corpus that has entities.

    path (Path): The file.
    purpose (str): What it is for, as the message has it: nothing can be "compared on" a corpus without entities.
    RETURNS (List[Doc]): The Docs.
    RAISES (UserError): If it is missing, can't be read, or holds no entities.
    """
    docs = load_docs(path)
    if not any(doc.ents for doc in docs):
        raise UserError(f"{path} holds no entities, so nothing can be {purpose} it. Use an annotated corpus.")
    return docs


def write_docs(docs: Sequence[Doc], path: Path) -> None:
    """Write Docs as a .spacy corpus."""
    with replace_when_done(path) as unfinished:
        DocBin(docs=docs).to_disk(unfinished)


def require_sentences(docs: Sequence[Doc], path: Path) -> None:
    """Check that Docs have sentence boundaries.

    docs (Sequence[Doc]): The Docs.
    path (Path): The corpus that they come from.
    RAISES (UserError): If one has none.
    """
    if not all(doc.has_annotation("SENT_START") for doc in docs):
        raise UserError(
            f"{path} has Docs without sentence boundaries. Make it with `python -m spacy project run corpus`, "
            "or set them with spaCy's `sentencizer`."
        )


def copy_bare(tokens: Union[Doc, Span], vocab: Optional[Vocab] = None, *, sentences: bool = True) -> Doc:
    """Copy the words and spaces of a Doc, or of a part, without any annotation but its sentences.

    tokens (Union[Doc, Span]): What to copy.
    vocab (Optional[Vocab]): The vocabulary of the copy, None for the same one.
    sentences (bool): Copy the sentence boundaries, where there are some.
    """
    has_sentences = tokens.doc.has_annotation("SENT_START")
    return Doc(
        vocab or tokens.doc.vocab,
        words=[token.text for token in tokens],
        spaces=[bool(token.whitespace_) for token in tokens],
        sent_starts=[token.is_sent_start for token in tokens] if sentences and has_sentences else None,
    )


def copy_for_prediction(doc: Doc, nlp: Language) -> Doc:
    """Copy an annotated Doc for a pipeline to annotate.

    Its sentences are copied only if the pipeline doesn't find them itself, as it runs on raw text: a transformer that
    reads a sentence at a time must not be told those of gold.
    """
    return copy_bare(doc, nlp.vocab, sentences=not finds_sentences(nlp))


def finds_sentences(nlp: Language) -> bool:
    """Tell whether a pipeline finds sentences itself."""
    return any("token.is_sent_start" in nlp.get_pipe_meta(name).assigns for name in nlp.pipe_names)


def choose_docs(docs: Sequence[Doc], max_words: int) -> List[Doc]:
    """Take the first Docs, about `max_words` words together, and one at least."""
    chosen, words = [], 0
    for doc in docs:
        if words >= max_words:
            break
        chosen.append(doc)
        words += len(doc)
    return chosen


def choose_sentences(docs: Sequence[Doc], n: int) -> List[str]:
    """Take the texts of up to `n` sentences, spread over the Docs; a Doc without boundaries is one sentence."""
    by_doc = (doc.sents if doc.has_annotation("SENT_START") else [doc[:]] for doc in docs)
    return choose_evenly([sent.text for sents in by_doc for sent in sents], n)


def choose_evenly(items: Sequence[Any], n: int) -> List[Any]:
    """Take up to `n` items, spread over all."""
    indices = numpy.linspace(0, len(items), min(n, len(items)), endpoint=False).astype(int)
    return [items[index] for index in indices]


def choose_documents(docs: Sequence[Doc], n_documents: int) -> List[str]:
    """Take the texts of up to `n_documents` Docs, spread over the corpus."""
    return [doc.text for doc in choose_evenly(docs, n_documents)]
