"""A corpus that a few steps are trained on."""

import pytest
from spacy.tokens import DocBin

from ..helpers import read_docs


@pytest.fixture(scope="module")
def tiny_corpus(corpus_dir, tmp_path_factory):
    """A folder with eight Docs of train.spacy and two of dev.spacy."""
    folder = tmp_path_factory.mktemp("tiny_corpus")
    for split, n_docs in (("train", 8), ("dev", 2)):
        DocBin(docs=read_docs(corpus_dir / f"{split}.spacy")[:n_docs]).to_disk(folder / f"{split}.spacy")
    return folder
