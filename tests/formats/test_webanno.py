"""WebAnno TSV 3."""

import pytest

from scripts.common.console import UserError

from .samples import as_doc, read_text

HEAD = "#FORMAT=WebAnno TSV 3.3\n"
NER = "#T_SP=webanno.custom.NER|value\n"
ROWS = (
    "#Text=Ada Byron's Oslo\n1-1\t0-3\tAda\t{}\t\n1-2\t4-9\tByron\t{}\t\n1-3\t9-11\t's\t{}\t\n1-4\t12-16\tOslo\t{}\t\n"
)


def read_values(tmp_path, *values, head=HEAD + NER):
    (sentence,) = read_text(tmp_path, "webanno", f"{head}\n\n{ROWS.format(*values)}")
    return sentence


def test_spans_are_numbered(tmp_path):
    assert read_values(tmp_path, "PER[1]", "PER[1]", "_", "LOC").tags == ["B-PER", "I-PER", "O", "B-LOC"]
    assert read_values(tmp_path, "PER", "PER", "PER[1]", "PER[2]").tags == ["B-PER"] * 4


def test_spaces_are_those_of_the_text(tmp_path):
    assert as_doc(read_values(tmp_path, "_", "_", "_", "_")).text == "Ada Byron's Oslo"


def test_labels_may_have_any_characters(tmp_path):
    assert read_values(tmp_path, "a\\_b\\|c", "_", "_", "_").tags[0] == "B-a_b|c"


def test_named_entities_are_found_among_the_layers(tmp_path):
    layers = "#T_SP=custom.Tone|mood|force\n#T_RL=custom.Link|kind|BT_custom.Tone\n#T_SP=custom.NamedEntity|identifier|value\n"
    values = [f"_\t_\t_\t_\t_\tx\t{label}" for label in ("PER[1]", "PER[1]", "_", "LOC")]
    assert read_values(tmp_path, *values, head=HEAD + layers).tags == ["B-PER", "I-PER", "O", "B-LOC"]


@pytest.mark.parametrize(
    "values, head, expected",
    [
        (["PER|LOC", "_", "_", "_"], HEAD + NER, "line 6: the spans 'PER|LOC' overlap"),
        (["_", "_\n1-2.1\t4-6\tBy\tPER", "_", "_"], HEAD + NER, "line 8: expected the number of a token"),
        (["_"] * 4, HEAD, "expected one layer of spans with named entities, got none"),
        (["_"] * 4, HEAD + "#T_SP=a.One|x\n#T_SP=a.Two|y\n", "got a.One, a.Two"),
    ],
    ids=["stacked", "a part of a token", "no layer", "two layers"],
)
def test_what_spacy_cannot_have_is_refused(tmp_path, values, head, expected):
    with pytest.raises(UserError) as raised:
        read_values(tmp_path, *values, head=head)
    assert expected in str(raised.value)
