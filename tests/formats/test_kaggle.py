"""Kaggle's corpus, and the copies of it that go round."""

import pytest

from .samples import KAGGLE, assert_broken, change, cut, read_text


def test_quotes_and_commas_of_kaggle(tmp_path):
    text = 'Sentence #,Word,POS,Tag\nSentence: 1,"""",``,O\n,"10,000",CD,O\n,""",""",",",O\n'
    (sentence,) = read_text(tmp_path, "kaggle", text)
    assert sentence.words == ['"', "10,000", '","']
    assert sentence.pos == ["``", "CD", ","]


def test_numbers_on_every_line_of_kaggle(tmp_path):
    rows = ["Sentence: 1,Ada,NNP,B-per", "Sentence: 1,sang,VBD,O", "Sentence: 2,Karl,NNP,B-per"]
    sentences = read_text(tmp_path, "kaggle", "\n".join(["Sentence #,Word,POS,Tag", *rows]))
    assert [sentence.words for sentence in sentences] == [["Ada", "sang"], ["Karl"]]


BROKEN = {
    "kaggle, cut line": ("kaggle", cut(KAGGLE, 4), "line 33: expected four columns"),
    "kaggle, empty word": ("kaggle", change(KAGGLE, 5, ",,NNP,B-per"), "line 5: expected four columns"),
    "kaggle, open quote": ("kaggle", change(KAGGLE, 5, ',"Karl,NNP,B-per'), "line 5: a quote does not end"),
    "kaggle, tag": ("kaggle", change(KAGGLE, 7, ",Oslo,NNP,geo"), "line 7: unknown tag 'geo'"),
    "kaggle, header": ("kaggle", change(KAGGLE, 1, "Sentence #,Word,Tag"), "line 1: expected the columns Sentence #,"),
    "kaggle, no number": ("kaggle", change(KAGGLE, 2, ",Ada,NNP,B-per"), "line 2: the first token has no number"),
    "kaggle, encoding": ("kaggle", KAGGLE.encode("utf8"), "line 23: this is UTF-8, the corpus is Latin-1"),
    "kaggle, only a header": ("kaggle", "Sentence #,Word,POS,Tag\n", "holds no sentences"),
}


@pytest.mark.parametrize("sample, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    assert_broken(tmp_path, sample, data, expected)
