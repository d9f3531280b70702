"""Corpora are read whole or refused, and texts are taken from all over them."""

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from scripts import compiled_transformer  # noqa: F401
from scripts.common.console import UserError
from scripts.common.corpora import choose_documents, choose_evenly, copy_for_prediction, read_corpus

from ..helpers import read_docs


def test_corpus_is_read(dev_corpus):
    docs = read_corpus(dev_corpus)
    assert len(docs) == 12
    assert sum(len(doc.ents) for doc in docs) > 20


def test_missing_corpus(tmp_path):
    with pytest.raises(UserError, match="dev.spacy.*project run corpus"):
        read_corpus(tmp_path / "dev.spacy")


def test_folder_instead_of_a_corpus(tmp_path):
    with pytest.raises(UserError, match="no corpus"):
        read_corpus(tmp_path)


@pytest.mark.parametrize("content", [b"", b"Ada met Karl .", bytes(100)])
def test_corpus_of_another_format(content, tmp_path):
    (tmp_path / "dev.spacy").write_bytes(content)
    with pytest.raises(UserError, match="dev.spacy is not a .spacy corpus"):
        read_corpus(tmp_path / "dev.spacy")


def test_corpus_that_is_cut_short(dev_corpus, tmp_path):
    data = dev_corpus.read_bytes()
    (tmp_path / "dev.spacy").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="is not a .spacy corpus"):
        read_corpus(tmp_path / "dev.spacy")


@pytest.mark.parametrize("n_docs", [0, 3])
def test_corpus_without_entities(n_docs, tmp_path):
    docs = [Doc(Vocab(), words=["Nobody", "came"], ents=["O", "O"])] * n_docs
    DocBin(docs=docs).to_disk(tmp_path / "dev.spacy")
    with pytest.raises(UserError, match="no entities"):
        read_corpus(tmp_path / "dev.spacy")


@pytest.mark.parametrize("has_sentencizer", [True, False])
def test_pipelines_that_find_sentences_are_not_told_them(compiled_path, dev_corpus, has_sentencizer):
    nlp = spacy.load(compiled_path, exclude=[] if has_sentencizer else ["sentencizer"])
    for doc in read_corpus(dev_corpus):
        copied = copy_for_prediction(doc, nlp)
        assert copied.text == doc.text and not copied.ents
        assert copied.has_annotation("SENT_START") != has_sentencizer
        if not has_sentencizer:
            assert [sent.start for sent in copied.sents] == [sent.start for sent in doc.sents]


def test_documents_are_spread_over_the_corpus(dev_corpus):
    docs = read_docs(dev_corpus)
    assert choose_documents(docs, len(docs)) == [doc.text for doc in docs]
    assert choose_documents(docs, 10 * len(docs)) == [doc.text for doc in docs]
    assert choose_documents(docs, 2) == [docs[0].text, docs[len(docs) // 2].text]


def test_items_are_spread_over_all():
    assert choose_evenly(range(199), 100)[-1] > 190
    assert choose_evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert choose_evenly(range(3), 5) == [0, 1, 2]
    assert choose_evenly([], 5) == []
