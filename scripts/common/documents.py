"""Texts to run a pipeline on, whatever file they come in; nothing in them has to be annotated."""

from pathlib import Path
from typing import Iterator, List

import srsly
from spacy.language import Language
from spacy.tokens import Doc

from .console import UserError
from .corpora import copy_for_prediction, load_docs


def read_documents(source: Path, nlp: Language) -> List[Doc]:
    """Read texts as Docs that a pipeline can annotate.

    source (Path): A document a line (.txt), JSONL with a "text" each, a .spacy corpus, or a folder of .txt files.
    nlp (Language): The pipeline, for its tokenizer.
    RETURNS (List[Doc]): The Docs, without annotations.
    RAISES (UserError): If there is no such input, it can't be read, or holds no text.
    """
    if not source.exists():
        raise UserError(f"There is no text at {source}. Name a .txt, .jsonl or .spacy file, or a folder of .txt files.")
    if source.suffix == ".spacy":
        docs = [copy_for_prediction(doc, nlp) for doc in load_docs(source, nlp.vocab)]
    else:
        docs = [nlp.make_doc(text) for text in read_texts(source) if text.strip()]
    docs = [doc for doc in docs if len(doc)]
    if not docs:
        raise UserError(f"{source} holds no text. Give one with a document a line.")
    return docs


def read_texts(source: Path) -> Iterator[str]:
    """Read the texts of a file, or of the files in a folder.

    YIELDS (str): The texts, in order.
    RAISES (UserError): If a line is not UTF-8, or no JSON object with a text.
    """
    if source.is_dir():
        for path in sorted(source.rglob("*.txt")):
            yield "\n".join(read_lines(path))
        return
    for number, line in enumerate(read_lines(source), start=1):
        if source.suffix != ".jsonl" or not line.strip():
            yield line
            continue
        try:
            yield srsly.json_loads(line)["text"]
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f'{source}, line {number}: not a JSON object with a "text". Fix or delete it.') from error


def read_lines(path: Path) -> List[str]:
    """Read the lines of a text file.

    RAISES (UserError): If it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start + 1} is not UTF-8. Convert the file to UTF-8.") from error
