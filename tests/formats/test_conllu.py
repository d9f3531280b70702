"""CoNLL-U and CoNLL-U Plus."""

import pytest

from scripts.common.console import UserError

from .samples import as_doc, read_text

# A contraction that is split, an empty node, and the language's own parts of speech.
CONLLU = """# newdoc id = a
# text = Ada went to the sea.
1\tAda\t_\tPROPN\tNNP\t_\t0\troot\t_\tNER=B-PER
2\twent\t_\tVERB\tVBD\t_\t1\tx\t_\t_
2.1\tgone\t_\tVERB\tVBD\t_\t_\t_\t1:x\t_
3-4\tto the\t_\t_\t_\t_\t_\t_\t_\t_
3\tto\t_\tADP\tIN\t_\t1\tx\t_\tGloss=to|NER=O
4\tthe\t_\tDET\tDT\t_\t1\tx\t_\t_
5\tsea\t_\tNOUN\tNN\t_\t1\tx\t_\tNER=B-LOC|SpaceAfter=No
6\t.\t_\tPUNCT\t.\t_\t1\tx\t_\t_

# newdoc id = b
1\tYes\t_\tINTJ\t_\t_\t0\troot\t_\t_
"""


def test_words_tags_and_spaces(tmp_path):
    one, two = read_text(tmp_path, "conllu", CONLLU)
    assert as_doc(one).text == "Ada went to the sea."
    assert one.pos == ["NNP", "VBD", "IN", "DT", "NN", "."]
    assert one.tags == ["B-PER", "O", "O", "O", "B-LOC", "O"]
    assert (two.words, two.pos, two.tags) == (["Yes"], ["INTJ"], ["O"])
    assert two.document == one.document + 1


def test_other_keys_of_misc(tmp_path):
    text = CONLLU.replace("NER=", "name=").replace("Gloss=to", "Entity=(e1-person-1")
    assert [sentence.tags for sentence in read_text(tmp_path, "conllu", text)] == [
        sentence.tags for sentence in read_text(tmp_path, "conllu", CONLLU)
    ]


def test_columns_of_conllu_plus(tmp_path):
    text = "# global.columns = ID FORM XPOS LANG:NE\n1\tAda\tNNP\tB-PER\n2\tsang\tVBD\tO\n"
    (sentence,) = read_text(tmp_path, "conllu", text)
    assert (sentence.words, sentence.pos, sentence.tags) == (["Ada", "sang"], ["NNP", "VBD"], ["B-PER", "O"])


@pytest.mark.parametrize(
    "text, expected",
    [
        (CONLLU.replace("NER=", "Gloss="), "has no entities: expected tags in a column NER, or in MISC as NER=B-PER"),
        (CONLLU.replace("NER=B-LOC", "NER=B-LOC\t"), "line 9: expected the 10 columns ID FORM"),
        (CONLLU.replace("5\tsea", "sea"), "line 9: expected the 10 columns ID FORM"),
        ("# global.columns = ID FORM NER\n1\tAda\tPERSON\n", "line 2: unknown tag 'PERSON'"),
    ],
)
def test_broken_files_are_refused(tmp_path, text, expected):
    with pytest.raises(UserError, match=expected):
        read_text(tmp_path, "conllu", text)
