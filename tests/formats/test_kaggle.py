"""Kaggle's corpus, and the copies of it that go round."""

import pytest

from scripts.formats.detect import read_sentences
from scripts.formats.sentence import Notes
from scripts.formats.settings import ReaderSettings

from .samples import KAGGLE, assert_broken, change, cut, detect, read_text, write


def test_quotes_and_commas_of_kaggle(tmp_path):
    text = 'Sentence #,Word,POS,Tag\nSentence: 1,"""",``,O\n,"10,000",CD,O\n,""",""",",",O\n'
    (sentence,) = read_text(tmp_path, "kaggle", text)
    assert sentence.words == ['"', "10,000", '","']
    assert sentence.pos == ["``", "CD", ","]


def test_numbers_on_every_line_of_kaggle(tmp_path):
    rows = ["Sentence: 1,Ada,NNP,B-per", "Sentence: 1,sang,VBD,O", "Sentence: 2,Karl,NNP,B-per"]
    sentences = read_text(tmp_path, "kaggle", "\n".join(["Sentence #,Word,POS,Tag", *rows]))
    assert [sentence.words for sentence in sentences] == [["Ada", "sang"], ["Karl"]]


SENTENCES = [(["Ada", "sang"], ["B-per", "O"]), (["Karl"], ["B-geo"])]
# Copies of the corpus: how they differ from it, and whether they have parts of speech.
VARIANTS = {
    "index": (",Sentence #,Word,POS,Tag\n0,Sentence: 1,Ada,NNP,B-per\n1,,sang,VBD,O\n2,Sentence: 2,Karl,NNP,B-geo\n", True),
    "three columns": ("Sentence #,Word,Tag\nSentence: 1,Ada,B-per\n,sang,O\nSentence: 2,Karl,B-geo\n", False),
    "semicolons": ("Sentence #;Word;POS;Tag\nSentence: 1;Ada;NNP;B-per\n;sang;VBD;O\nSentence: 2;Karl;NNP;B-geo\n", True),
    "other names": ("id,lemma,pos,sentence_idx,word,tag\n1,a,NNP,1.0,Ada,B-per\n2,b,VBD,1.0,sang,O\n3,c,NNP,2.0,Karl,B-geo\n", True),
    "an empty word": ("Sentence #,Word,POS,Tag\nSentence: 1,Ada,NNP,B-per\n,,NN,O\n,sang,VBD,O\nSentence: 2,Karl,NNP,B-geo\n", True),
}  # fmt: skip


@pytest.mark.parametrize("text, has_pos", VARIANTS.values(), ids=VARIANTS.keys())
def test_copies_of_the_corpus(tmp_path, text, has_pos):
    assert detect(write(tmp_path, "source.txt", text.encode())) == "kaggle"
    sentences = read_text(tmp_path, "kaggle", text)
    assert [(sentence.words, sentence.tags) for sentence in sentences] == SENTENCES
    assert sentences[0].pos == (["NNP", "VBD"] if has_pos else None)


def test_tokens_without_a_word_are_counted(tmp_path):
    source = write(tmp_path, "source.csv", VARIANTS["an empty word"][0].encode())
    notes = Notes()
    list(read_sentences(source, "kaggle", ReaderSettings(), notes))
    assert notes.skipped["tokens without a word"] == 1


BROKEN = {
    "kaggle, cut line": ("kaggle", cut(KAGGLE, 4), "line 33: expected 4 columns"),
    "kaggle, open quote": ("kaggle", change(KAGGLE, 5, ',"Karl,NNP,B-per'), "line 5: a quote does not end"),
    "kaggle, tag": ("kaggle", change(KAGGLE, 7, ",Oslo,NNP,geo"), "line 7: unknown tag 'geo'"),
    "kaggle, header": ("kaggle", change(KAGGLE, 1, "Sentence #,Token,Tag"), "line 1: expected the columns Sentence #,"),
    "kaggle, no number": ("kaggle", change(KAGGLE, 2, ",Ada,NNP,B-per"), "line 2: the first token has no number"),
    "kaggle, encoding": ("kaggle", KAGGLE.encode("utf8"), "line 23: this is UTF-8, the corpus is Latin-1"),
    "kaggle, only a header": ("kaggle", "Sentence #,Word,POS,Tag\n", "holds no sentences"),
}


@pytest.mark.parametrize("sample, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    assert_broken(tmp_path, sample, data, expected)
