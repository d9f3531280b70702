"""Columns: which one is what, and what is refused."""

import pytest
from spacy.training.converters import conll_ner_to_docs

from scripts.formats.detect import detect_format

from .samples import CONLL, INDEXED, as_doc, assert_broken, change, cut, drop, read, read_text, summarize, write


def test_conll_as_spacy_reads_it(tmp_path):
    text = CONLL.replace("-DOCSTART- -X- -X- O", "-DOCSTART- -X- O O")  # The only spelling that spaCy knows.
    expected = [
        (" ".join(token.text for token in sent), [token.ent_iob_ + token.ent_type_ for token in sent])
        for doc in conll_ner_to_docs(text, no_print=True)
        for sent in doc.sents
    ]
    found = [
        (" ".join(sentence.words), [token.ent_iob_ + token.ent_type_ for token in as_doc(sentence)])
        for sentence in read_text(tmp_path, "conll", text)
    ]
    assert found == expected


@pytest.mark.parametrize(
    "lines, pos",
    [
        (["Ada B-PER", "sang O"], None),
        (["Ada\tB-PER", "sang\tO"], None),
        (["Ada NNP B-PER", "sang VBD O"], ["NNP", "VBD"]),
        (["Ada  NNP  I-NP  B-PER", "sang  VBD  I-VP  O"], ["NNP", "VBD"]),
        (["Ada Ada NNP I-NP B-PER", "sang sing VBD I-VP O"], ["NNP", "VBD"]),
    ],
    ids=["word tag", "tabs", "word POS tag", "several spaces", "lemma"],
)
def test_columns_of_conll(tmp_path, lines, pos):
    source = write(tmp_path, "source.txt", "\n".join(lines).encode("utf8"))
    assert detect_format(source) == "conll"
    (sentence,) = read(source, "conll")
    assert (sentence.words, sentence.pos, sentence.tags) == (["Ada", "sang"], pos, ["B-PER", "O"])


def test_white_space_in_words_of_tabbed_columns(tmp_path):
    (sentence,) = read_text(tmp_path, "conll", "New York\tB-LOC\n1\u00a0000\tO\n")
    assert sentence.words == ["New York", "1\u00a0000"]


def test_numbers_as_words_are_no_index(tmp_path):
    source = write(tmp_path, "source.txt", b"1 CD O\n000 CD O\nmen NNS O\n")
    assert detect_format(source) == "conll"
    assert read(source, "conll")[0].words == ["1", "000", "men"]


def test_index_may_start_at_one(tmp_path):
    text = "1 Ada B-PER\n2 sang O\n\n1 Karl B-PER\n"
    assert detect_format(write(tmp_path, "source.txt", text.encode())) == "indexed"
    assert summarize(read_text(tmp_path, "indexed", text)) == [("Ada sang", [(0, 1, "PER")]), ("Karl", [(0, 1, "PER")])]


BROKEN = {
    "conll, cut line": ("conll", cut(CONLL, 4), "line 43: expected 4 columns as at the start, got '. .'"),
    "conll, cut in the middle": ("conll", change(CONLL, 14, "Karl NNP"), "line 14: expected 4 columns"),
    "conll, one column too many": ("conll", change(CONLL, 5, "met VBD B-VP x O"), "line 5: expected 4 columns"),
    "conll, no prefix": ("conll", change(CONLL, 8, "Oslo NNP B-NP LOC"), "line 8: unknown tag 'LOC'"),
    "conll, unknown prefix": ("conll", change(CONLL, 8, "Oslo NNP B-NP X-LOC"), "line 8: unknown tag 'X-LOC'"),
    "conll, no label": ("conll", change(CONLL, 8, "Oslo NNP B-NP B-"), "line 8: unknown tag 'B-'"),
    "conll, two schemes": ("conll", change(CONLL, 24, "Norsk NNP B-NP I-ORG"), "line 24: the tag 'I-ORG' after 'O'"),
    "conll, encoding": ("conll", CONLL.encode("latin1"), "line 30: byte 3 is not UTF-8"),
    "conll, no sentence": ("conll", "-DOCSTART- -X- -X- O\n\n\n", "holds no sentences"),
    "indexed, cut line": ("indexed", cut(INDEXED, 2), "line 40: expected the three columns index, word and tag"),
    "indexed, lost line": ("indexed", drop(INDEXED, 4), "line 4: expected the index 1, got '2'"),
    "indexed, lost border": ("indexed", drop(INDEXED, 10), "line 10: expected the index 7, got '0'"),
    "indexed, tag": ("indexed", change(INDEXED, 8, "5\tOslo\tPLACE"), "line 8: unknown tag 'PLACE'"),
    "indexed, two schemes": ("indexed", change(INDEXED, 8, "5\tOslo\tI-LOC"), "line 8: the tag 'I-LOC' after 'O'"),
    "indexed, encoding": ("indexed", INDEXED.encode("latin1"), "line 29: byte 5 is not UTF-8"),
}


@pytest.mark.parametrize("sample, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    assert_broken(tmp_path, sample, data, expected)
