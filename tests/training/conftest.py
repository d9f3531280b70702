"""A corpus that a few steps are trained on."""

import pytest

from ..helpers import cut_corpus


@pytest.fixture(scope="module")
def tiny_corpus(corpus_dir, tmp_path_factory):
    """A folder with eight Docs of train.spacy and two of dev.spacy."""
    return cut_corpus(corpus_dir, tmp_path_factory.mktemp("tiny_corpus"), train=8, dev=2)
