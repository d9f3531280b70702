"""Columns: which one is what, and what is refused."""

import pytest
from spacy.training.converters import conll_ner_to_docs

from scripts.common.console import UserError
from scripts.corpus import corpus_cli
from scripts.formats.detect import read_sentences
from scripts.formats.sentence import Notes
from scripts.formats.settings import ReaderSettings

from ..helpers import assert_refused, run_command
from .samples import (
    CONLL,
    INDEXED,
    as_doc,
    assert_broken,
    change,
    cut,
    detect,
    drop,
    read,
    read_text,
    summarize,
    summarize_corpus,
    write,
)

NAMES = [("Ada", "PER"), ("Karl", "PER"), ("Oslo", "LOC")]


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
    assert detect(source) == "conll"
    (sentence,) = read(source, "conll")
    assert (sentence.words, sentence.pos, sentence.tags) == (["Ada", "sang"], pos, ["B-PER", "O"])


def test_white_space_in_words_of_tabbed_columns(tmp_path):
    (sentence,) = read_text(tmp_path, "conll", "New York\tB-LOC\n1\u00a0000\tO\n")
    assert sentence.words == ["New York", "1\u00a0000"]


def test_numbers_as_words_are_no_index(tmp_path):
    source = write(tmp_path, "source.txt", b"1 CD O\n000 CD O\nmen NNS O\n")
    assert detect(source) == "conll"
    assert read(source, "conll")[0].words == ["1", "000", "men"]


def test_index_may_start_at_one(tmp_path):
    text = "1 Ada B-PER\n2 sang O\n\n1 Karl B-PER\n"
    assert detect(write(tmp_path, "source.txt", text.encode())) == "conll"
    assert summarize(read_text(tmp_path, "conll", text)) == [("Ada sang", [(0, 1, "PER")]), ("Karl", [(0, 1, "PER")])]


def test_index_may_go_on_over_sentences(tmp_path):
    text = "1 Ada B-PER\n2 sang O\n\n3 Karl B-PER\n4 sang O\n"
    assert [sentence.words for sentence in read_text(tmp_path, "conll", text)] == [["Ada", "sang"], ["Karl", "sang"]]


def test_part_of_speech_beside_an_index(tmp_path):
    (sentence,) = read_text(tmp_path, "conll", "1 Ada NNP B-PER\n2 sang VBD O\n")
    assert (sentence.words, sentence.pos, sentence.tags) == (["Ada", "sang"], ["NNP", "VBD"], ["B-PER", "O"])


def test_numbers_that_count_something_else_are_refused(tmp_path):
    """Kaggle's corpus without its header: the number is that of the sentence."""
    with pytest.raises(UserError, match=r"line 1: the first column holds numbers.*`--columns _,word,_,tag`"):
        read_text(tmp_path, "conll", "1 Ada NNP B-PER\n1 sang VBD O\n\n2 Karl NNP B-PER\n2 sang VBD O\n")


def test_nested_tags_are_left_out_and_counted(tmp_path):
    """The outer entities are in the first column of tags, also where those of the second come early and alone."""
    text = "It\tO\tB-THING\nrained\tO\tO\n\nBank\tB-ORG\tO\nof\tI-ORG\tO\nOslo\tI-ORG\tB-LOC\n"
    notes = Notes()
    source = write(tmp_path, "nested.tsv", text.encode())
    sentences = list(read_sentences(source, "conll", ReaderSettings(), notes))
    assert summarize(sentences) == [("It rained", []), ("Bank of Oslo", [(0, 3, "ORG")])]
    assert notes.skipped == {"entities of column 3, as column 2 has the outer ones": 2}


def test_all_lines_are_looked_at(tmp_path):
    """Entities that come late in a column before the last one."""
    text = "It\tO\tO\n\n" * 3_000 + "Oslo\tB-LOC\tO\n"
    assert read_text(tmp_path, "conll", text)[-1].tags == ["B-LOC"]


def test_chunks_are_no_entities(tmp_path):
    for labels in (("NP", "VP"), ("NC", "VC")):
        text = f"Ada NNP I-{labels[0]} I-PER\nsang VBD I-{labels[1]} O\n"
        assert read_text(tmp_path, "conll", text)[0].tags == ["B-PER", "O"]


def test_columns_that_could_both_be_entities_are_refused_until_they_are_named(tmp_path):
    text = "Ada NNP B-PERSON B-PER\nsang VBD O O\n"
    with pytest.raises(UserError, match=r"line 1: the columns 3 and 4 hold tags.*`--columns word,_,_,tag`"):
        read_text(tmp_path, "conll", text)
    (sentence,) = read_text(tmp_path, "conll", text, columns=("word", "pos", "tag", "_"))
    assert (sentence.words, sentence.pos, sentence.tags) == (["Ada", "sang"], ["NNP", "VBD"], ["B-PERSON", "O"])


def test_columns_are_named_in_the_command(tmp_path):
    source = write(tmp_path, "source.tsv", "\n\n".join(f"x{n}\tAda\tB-PER\t0.9" for n in range(9)).encode())
    options = ["-n", 1, "--dev-share", 0.34, "--test-share", 0.34, "--columns", "_,word,tag,_"]
    source.write_text(source.read_text() + "\n\n" + "x\tKarl\tB-PER\t1\n\nx\tOslo\tB-LOC\t1")
    result = run_command(corpus_cli, source, tmp_path / "corpus", *options)
    assert result.exit_code == 0, result.output
    assert summarize_corpus(tmp_path / "corpus") == [(name, [(0, 1, label)]) for name, label in NAMES]


def test_tabs_and_spaces_in_one_line(tmp_path):
    (sentence,) = read_text(tmp_path, "conll", "Ada\tNNP O B-PER\nsang VBD O O\n. . O O\n")
    assert (sentence.words, sentence.tags) == (["Ada", "sang", "."], ["B-PER", "O", "O"])


def test_spaces_in_words_of_label_studio(tmp_path):
    text = "-DOCSTART- -X- O\nNew York -X- _ B-LOC\nslept -X- _ O\n"
    (sentence,) = read_text(tmp_path, "conll", text)
    assert (sentence.words, sentence.pos, sentence.tags) == (["New York", "slept"], None, ["B-LOC", "O"])


def test_comments_are_no_tokens_and_number_signs_are(tmp_path):
    text = "# id 1-a\tdomain=en\n# 1\n# _ _ O\nAda _ _ B-PER\n# _ _ O\n\n# id 2\n\nKarl _ _ B-PER\n"
    assert [sentence.words for sentence in read_text(tmp_path, "conll", text)] == [["#", "Ada", "#"], ["Karl"]]


def test_file_without_blank_lines_is_refused(tmp_path):
    source = write(tmp_path, "source.txt", b"Ada B-PER\nsang O\n" * 10)
    assert_refused(run_command(corpus_cli, source, tmp_path / "corpus"), "is there a blank line after each?")
    source = write(tmp_path, "source.txt", b"Ada B-PER\nsang O\n" * 3_000)
    with pytest.raises(UserError, match="line 1: a sentence of 6,000 tokens starts here"):
        read(source, "conll")


BROKEN = {
    "conll, cut line": ("conll", cut(CONLL, 4), "line 43: expected 4 columns as at the start, got '. .'"),
    "conll, cut in the middle": ("conll", change(CONLL, 14, "Karl NNP"), "line 14: expected 4 columns"),
    "conll, one column too many": ("conll", change(CONLL, 5, "met VBD B-VP x O"), "line 5: expected 4 columns"),
    "conll, no prefix": ("conll", change(CONLL, 8, "Oslo NNP B-NP LOC"), "line 8: unknown tag 'LOC'"),
    "conll, unknown prefix": ("conll", change(CONLL, 8, "Oslo NNP B-NP X-LOC"), "line 8: unknown tag 'X-LOC'"),
    "conll, no label": ("conll", change(CONLL, 8, "Oslo NNP B-NP B-"), "line 8: unknown tag 'B-'"),
    "conll, two schemes": ("conll", change(CONLL, 24, "Norsk NNP B-NP L-ORG"), "line 24: the tag 'L-ORG' after 'O'"),
    "conll, encoding": ("conll", CONLL.encode("latin1"), "line 30: byte 3 is not UTF-8"),
    "conll, no sentence": ("conll", "-DOCSTART- -X- -X- O\n\n\n", "holds no sentences"),
    "indexed, cut line": ("indexed", cut(INDEXED, 2), "line 40: expected 3 columns as at the start"),
    "indexed, lost line": ("indexed", drop(INDEXED, 4), "line 4: expected the index 1, got '2'"),
    "indexed, lost border": ("indexed", drop(INDEXED, 10), "line 10: expected the index 7, got '0'"),
    "indexed, tag": ("indexed", change(INDEXED, 8, "5\tOslo\tPLACE"), "line 8: unknown tag 'PLACE'"),
    "indexed, two schemes": ("indexed", change(INDEXED, 8, "5\tOslo\tL-LOC"), "line 8: the tag 'L-LOC' after 'O'"),
    "indexed, encoding": ("indexed", INDEXED.encode("latin1"), "line 29: byte 5 is not UTF-8"),
}


@pytest.mark.parametrize("sample, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    assert_broken(tmp_path, sample, data, expected)
