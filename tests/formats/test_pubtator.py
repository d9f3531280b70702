"""PubTator."""

import pytest

from scripts.common.console import UserError

from .samples import detect, read_text, write

TEXT = "7|t|Salt and rats\n7|a|Salt harms rats.\n7\t0\t4\tSalt\tChemical\tD1\n7\t14\t18\tSalt\tChemical\tD1\n7\tCID\tD1\tD2\n"


def test_offsets_go_on_from_title_to_abstract(tmp_path):
    assert detect(write(tmp_path, "source.txt", TEXT.encode())) == "pubtator"
    (sentence,) = read_text(tmp_path, "pubtator", TEXT)
    assert sentence.words == ["Salt", "and", "rats", "Salt", "harms", "rats", "."]
    assert sentence.tags == ["B-Chemical", "O", "O", "B-Chemical", "O", "O", "O"]


@pytest.mark.parametrize(
    "text, expected",
    [
        (TEXT.replace("14\t18", "15\t19"), "line 4: the span 15-19 Chemical 'alt ' says that its text is 'Salt'"),
        (TEXT.replace("\tChemical\tD1\n7\t14", "\n7\t14"), "line 3: expected number, start, end, text and label"),
        (TEXT[len("7|t|Salt and rats\n") :], "line 1: expected a title as in"),
    ],
)
def test_broken_articles_are_refused(tmp_path, text, expected):
    with pytest.raises(UserError, match=expected):
        read_text(tmp_path, "pubtator", text)
