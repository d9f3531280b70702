"""Let a pipeline annotate text, so that others can learn from it."""

from pathlib import Path
from typing import Iterator, List

import tqdm
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ..common.console import UserError
from ..common.corpora import copy_for_prediction, load_docs
from ..common.files import replace_when_done
from ..formats.lines import read_lines

ATTRIBUTES = ["ENT_IOB", "ENT_TYPE", "SENT_START"]  # beside words and spaces, which a DocBin always has


def label_text(nlp: Language, source: Path, target: Path, *, silent: bool = True) -> int:
    """Write the Docs of a text file with the entities that a pipeline finds in them.

    nlp (Language): The pipeline, best the compiled one.
    source (Path): Text with a document a line (also .bz2 or .gz), or Docs in .spacy format.
    target (Path): The .spacy corpus to write.
    silent (bool): Show no progress.
    RETURNS (int): Words in it.
    RAISES (UserError): If the source is missing, can't be read, or holds no text.
    """
    corpus = DocBin(attrs=ATTRIBUTES)
    words = 0
    with tqdm.tqdm(unit=" words", unit_scale=True, desc="Labelling", disable=silent, leave=False) as progress:
        for doc in nlp.pipe(read_docs(source, nlp)):
            corpus.add(doc)
            words += len(doc)
            progress.update(len(doc))
    if not words:
        raise UserError(f"{source} holds no text. Give one with a document a line.")
    with replace_when_done(target) as path:
        corpus.to_disk(path)
    return words


def read_docs(source: Path, nlp: Language) -> Iterator[Doc]:
    """Read the documents of a source, tokenized and without annotations.

    source (Path): Text with a document a line, or Docs in .spacy format.
    nlp (Language): The pipeline that will annotate them.
    YIELDS (Doc): The documents.
    RAISES (UserError): If the source can't be read, or a line is longer than a document may be.
    """
    if source.suffix == ".spacy":
        yield from (copy_for_prediction(doc, nlp) for doc in load_docs(source, nlp.vocab))
        return
    for where, line in read_lines(source, option=""):
        if len(line) > nlp.max_length:
            raise UserError(
                f"{where}: {len(line):,} characters, and a document may have {nlp.max_length:,}. Break the line up."
            )
        if line:
            yield nlp.make_doc(line)


def join_corpora(sources: List[Path], target: Path) -> None:
    """Write one .spacy corpus that has the Docs of several.

    sources (List[Path]): The corpora.
    target (Path): The .spacy file to write.
    """
    vocab = Vocab()
    docs = [doc for source in sources for doc in load_docs(source, vocab)]
    with replace_when_done(target) as path:
        DocBin(attrs=ATTRIBUTES, docs=docs).to_disk(path)
