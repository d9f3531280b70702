"""CoNLL-2012."""

import pytest

from scripts.common.console import UserError

from .samples import read_text

ROW = "nw/a   0   {}   {}   NN   (TOP*   -   -   -   -   {}   *   -"


def make(*rows: str, head: str = "#begin document (nw/a); part 000\n") -> str:
    return head + "\n".join(ROW.format(number, *row.split()) for number, row in enumerate(rows)) + "\n#end document\n"


def test_documents_and_brackets(tmp_path):
    text = make("Ada (PERSON*", "King *", "Byron *)", "saw *", "Oslo (GPE)") + "\n" + make("Karl (PERSON)")
    one, two = read_text(tmp_path, "conll2012", text)
    assert one.tags == ["B-PERSON", "I-PERSON", "I-PERSON", "O", "B-GPE"]
    assert (two.words, two.pos, two.tags) == (["Karl"], ["NN"], ["B-PERSON"])
    assert two.document == one.document + 1


@pytest.mark.parametrize(
    "rows, expected",
    [
        (["Ada (PERSON*", "sang *"], "line 3: the sentence ends, but not the entity PERSON in it"),
        (["Ada *)"], "line 2: expected \\*, \\(LABEL\\)"),
        (["Ada (PERSON*", "Byron (PERSON)"], "line 3: expected"),
        (["Ada B-PERSON"], "line 2: expected"),
    ],
)
def test_broken_brackets_are_refused(tmp_path, rows, expected):
    with pytest.raises(UserError, match=expected):
        read_text(tmp_path, "conll2012", make(*rows))


def test_too_few_columns_are_refused(tmp_path):
    with pytest.raises(UserError, match="line 2: expected at least 11 columns"):
        read_text(tmp_path, "conll2012", "#begin document (nw/a); part 000\nnw/a 0 0 Ada NN *\n")
