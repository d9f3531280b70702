"""Tag schemes: each gives the same entities, and what breaks one is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.console import UserError
from scripts.formats.tags import to_iob2

from ..helpers import get_entities
from .samples import as_doc, read_text

SCHEMES = {
    "IOB1": "O I-PER I-PER B-PER I-LOC O",
    "IOB2": "O B-PER I-PER B-PER B-LOC O",
    "BILUO": "O B-PER L-PER U-PER U-LOC O",
    "IOBES": "O B-PER E-PER S-PER S-LOC O",
}


def make_columns(*sentences: str) -> str:
    """Write sentences of tags as CoNLL columns."""
    return "\n\n".join("\n".join(f"word{n} {tag}" for n, tag in enumerate(tags.split())) for tags in sentences)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_the_same_entities(tmp_path, scheme):
    sentences = read_text(tmp_path, "conll", make_columns("O O", SCHEMES[scheme], "O"))
    assert get_entities(as_doc(sentences[1])) == [(1, 3, "PER"), (3, 4, "PER"), (4, 5, "LOC")]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("other", SCHEMES)
def test_one_file_has_one_scheme(tmp_path, scheme, other):
    text = make_columns(SCHEMES[scheme], SCHEMES[other])
    if scheme == other:
        assert len(read_text(tmp_path, "conll", text)) == 2
        return
    with pytest.raises(UserError) as raised:
        read_text(tmp_path, "conll", text)
    line = int(str(raised.value).split(", line ")[1].split(":")[0].split(",")[0])
    assert 7 < line < 14  # In the second sentence.
    assert f"is not {scheme}" in str(raised.value)


@pytest.mark.parametrize(
    "tags, line, expected",
    [
        ("I-PER O B-PER", 3, "'B-PER' after 'O' is not IOB1"),
        ("O B-PER I-LOC", 3, "'I-LOC' after 'B-PER' is not IOB2 or BILUO or IOBES"),
        ("B-PER O I-PER", 3, "'I-PER' after 'O' is not IOB2"),
        ("U-PER I-PER", 2, "'I-PER' after 'U-PER' is not BILUO"),
        ("U-PER B-PER", 2, "end of the sentence: the tag 'O' after 'B-PER' is not BILUO"),
        ("S-PER O B-PER E-LOC", 4, "'E-LOC' after 'B-PER' is not IOBES"),
        ("O L-PER", 2, "'L-PER' after 'O' is not IOB1 or IOB2 or BILUO or IOBES"),
        ("U-PER S-PER", 2, "'S-PER' after 'U-PER' is not BILUO"),
    ],
)
def test_tags_that_break_their_scheme(tmp_path, tags, line, expected):
    with pytest.raises(UserError) as raised:
        read_text(tmp_path, "conll", make_columns(tags))
    assert f"line {line}" in str(raised.value)
    assert expected in str(raised.value)


def test_labels_that_look_like_prefixes_stay_whole():
    assert to_iob2(["B-CELL-LINE", "L-CELL-LINE", "U-EU-LAW"]) == ["B-CELL-LINE", "I-CELL-LINE", "B-EU-LAW"]


@given(
    entities=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["PER", "L-U"])), max_size=5),
    scheme=st.sampled_from(list(SCHEMES)),
)
def test_random_entities_come_back_from_every_scheme(tmp_path_factory, entities, scheme):
    """Entities as a gap before them, a length and a label."""
    tags, expected, previous = ["O"], [], ""
    for gap, length, label in entities:
        tags += ["O"] * gap
        expected.append((len(tags), len(tags) + length, label))
        inside = [f"I-{label}"] * (length - 1)
        first = "B" if scheme != "IOB1" or (gap == 0 and previous == label) else "I"
        new = [f"{first}-{label}", *inside]
        if scheme in ("BILUO", "IOBES"):
            last, single = ("L", "U") if scheme == "BILUO" else ("E", "S")
            new[-1] = f"{single if length == 1 else last}-{label}"
        tags += new
        previous = label
    folder = tmp_path_factory.mktemp("schemes")
    (sentence,) = read_text(folder, "conll", make_columns(" ".join(tags)))
    assert get_entities(as_doc(sentence)) == expected
