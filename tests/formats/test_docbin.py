"""spaCy's binary corpora."""

from pathlib import Path

import pytest
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from scripts.formats.convert import SPLITS, convert
from scripts.formats.settings import CorpusSettings

from ..helpers import read_docs
from .samples import EXPECTED, SAMPLES, SHARES, assert_broken, make_docbin, read, summarize, summarize_corpus, write


def write_docs(tmp_path: Path, *docs: Doc) -> Path:
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "source.spacy")
    return tmp_path / "source.spacy"


def test_doc_without_sentences_is_one(tmp_path):
    doc = Doc(Vocab(), words=["Ada", "sang", ".", "Karl", "slept"], ents=["B-PER", "O", "O", "B-PER", "O"])
    assert summarize(read(write_docs(tmp_path, doc), "spacy")) == [
        ("Ada sang . Karl slept", [(0, 1, "PER"), (3, 4, "PER")])
    ]


def test_sentence_border_inside_an_entity_is_none(tmp_path):
    doc = Doc(
        Vocab(),
        words=["A", "B", "C"],
        ents=["B-PER", "I-PER", "O"],
        sent_starts=[True, True, True],
        spaces=[True, False, False],
    )
    sentences = read(write_docs(tmp_path, doc), "spacy")
    assert summarize(sentences) == [("A B", [(0, 2, "PER")]), ("C", [])]
    assert [sentence.spaces for sentence in sentences] == [[True, False], [False]]


def test_missing_annotation_stays_missing(tmp_path):
    doc = Doc(Vocab(), words=["Ada", "sang"], ents=["B-PER", None])
    (sentence,) = read(write_docs(tmp_path, doc), "spacy")
    assert sentence.tags == ["B-PER", None]


def test_tags_of_docs_are_kept(tmp_path):
    doc = Doc(Vocab(), words=["Ada", "sang"], tags=["NNP", "VBD"], ents=["B-PER", "O"])
    assert read(write_docs(tmp_path, doc), "spacy")[0].pos == ["NNP", "VBD"]


def test_converted_corpora_convert_again(tmp_path):
    source = write(tmp_path, *SAMPLES["conll"][::2])
    convert(source, tmp_path / "one", CorpusSettings(n_sents=1, **SHARES))
    files = {split: tmp_path / "one" / f"{split}.spacy" for split in SPLITS}
    convert(files["train"], tmp_path / "two", CorpusSettings(dev=files["dev"], test=files["test"], n_sents=1, **SHARES))
    assert summarize_corpus(tmp_path / "two") == sorted(EXPECTED)
    assert read_docs(tmp_path / "two" / "test.spacy")[0].text == read_docs(tmp_path / "one" / "test.spacy")[0].text


BROKEN = {
    "spacy, cut": ("docbin", make_docbin()[:-20], "is not a .spacy corpus, or damaged"),
    "spacy, garbage": ("docbin", b"this was never a corpus", "is not a .spacy corpus, or damaged"),
    "spacy, empty": ("docbin", DocBin().to_bytes(), "holds no sentences"),
    "spacy, no entities": (
        "docbin",
        DocBin(docs=[Doc(Vocab(), words=["Ada"], ents=["O"]), Doc(Vocab(), words=["Ada"])]).to_bytes(),
        "Doc 2: it has no entity annotation",
    ),
}


@pytest.mark.parametrize("sample, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    assert_broken(tmp_path, sample, data, expected)
