"""Tag schemes: each gives the same entities, and what breaks one is refused."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.console import UserError
from scripts.corpus import corpus_cli
from scripts.formats.detect import read_sentences
from scripts.formats.sentence import Notes
from scripts.formats.settings import ReaderSettings
from scripts.formats.tags import OUTSIDE, to_iob2
from scripts.formats.tags import STRAY as STRAY_TAGS

from ..helpers import assert_refused, get_entities, run_command
from .samples import as_doc, read_text, write

STRAY_INSIDE, STRAY_BEGIN = STRAY_TAGS["I"], STRAY_TAGS["B"]

SCHEMES = {
    "IOB1": "O I-PER I-PER B-PER I-LOC O",
    "IOB2": "O B-PER I-PER B-PER B-LOC O",
    "BILUO": "O B-PER L-PER U-PER U-LOC O",
    "IOBES": "O B-PER E-PER S-PER S-LOC O",
    "BMES": "O B-PER M-PER E-PER S-PER S-LOC O",
    "BMEO": "O B-PER E-PER B-PER B-LOC M-LOC E-LOC O",
    "lower case": "o b-PER i-PER b-PER b-LOC o",
    "underscores": "O B_PER I_PER B_PER B_LOC O",
}


def make_columns(*sentences: str) -> str:
    """Write sentences of tags as CoNLL columns."""
    return "\n\n".join("\n".join(f"word{n} {tag}" for n, tag in enumerate(tags.split())) for tags in sentences)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_the_same_entities(tmp_path, scheme):
    sentences = read_text(tmp_path, "conll", make_columns("O O", SCHEMES[scheme], "O"))
    entities = [entity for entity in get_entities(as_doc(sentences[1]))]
    assert [label for _, _, label in entities] == ["PER", "PER", "LOC"]
    assert entities[1][0] == entities[0][1] and entities[2][0] == entities[1][1]


def test_bare_labels_are_one_entity_as_long_as_they_are_equal(tmp_path):
    """Two entities of one label that touch can't be told apart in this scheme."""
    (sentence,) = read_text(tmp_path, "conll", make_columns("O PER PER LOC O PER"), scheme="io")
    assert get_entities(as_doc(sentence)) == [(1, 3, "PER"), (3, 4, "LOC"), (5, 6, "PER")]


@pytest.mark.parametrize("scheme, other", itertools.permutations(["IOB2", "BILUO", "IOBES"], 2))
def test_one_file_has_one_scheme(tmp_path, scheme, other):
    text = make_columns(SCHEMES[scheme], SCHEMES[other])
    with pytest.raises(UserError) as raised:
        read_text(tmp_path, "conll", text)
    line = int(str(raised.value).split(", line ")[1].split(":")[0].split(",")[0])
    assert 7 < line < 14  # In the second sentence.
    assert f"is not {scheme.rstrip('2')}" in str(raised.value)


# The tags, the entities that they mean, which tags are stray, and their lines.
STRAY = {
    "in IOB2": (["B-PER I-PER O B-LOC", "O I-LOC I-LOC O"], (1, 3, "LOC"), STRAY_INSIDE, [7]),
    "after another label": (["B-PER O B-LOC O", "O B-PER I-LOC O"], (2, 3, "LOC"), STRAY_INSIDE, [8]),
    "in IOB1": (["I-PER I-PER O I-LOC", "O B-PER I-PER O"], (1, 3, "PER"), STRAY_BEGIN, [7]),
    "in BILUO": (["U-PER O U-LOC O", "O I-PER L-PER O"], (1, 3, "PER"), STRAY_INSIDE, [7]),
    "means O": (["I-PER O I-LOC I-O", "O I-PER I-O O"], (1, 2, "PER"), OUTSIDE, [4, 8]),
}


@pytest.mark.parametrize("sentences, entity, what, lines", STRAY.values(), ids=STRAY.keys())
def test_stray_tags_are_read_as_they_were_meant_and_counted(tmp_path, sentences, entity, what, lines):
    source = write(tmp_path, "source.txt", make_columns(*sentences).encode("utf8"))
    notes = Notes()
    found = list(read_sentences(source, "conll", ReaderSettings(), notes))
    assert entity in get_entities(as_doc(found[1]))
    assert {label for sentence in found for _, _, label in get_entities(as_doc(sentence))} == {"PER", "LOC"}
    assert notes.corrected == {what: len(lines)}


@pytest.mark.parametrize("sentences, entity, what, lines", STRAY.values(), ids=STRAY.keys())
def test_strict_refuses_all_stray_tags_in_one_error(tmp_path, sentences, entity, what, lines):
    source = write(tmp_path, "source.txt", make_columns(*sentences).encode("utf8"))
    result = run_command(corpus_cli, source, tmp_path / "corpus", "-n", 1, "--strict")
    assert_refused(result, f"{source}: {len(lines)} {what} (line {', '.join(map(str, lines))})")


def test_iob1_has_no_stray_tags(tmp_path):
    notes = Notes()
    source = write(tmp_path, "source.txt", make_columns("I-PER B-PER O I-LOC", "O I-PER").encode("utf8"))
    list(read_sentences(source, "conll", ReaderSettings(strict=True), notes))
    assert not notes.corrected


def test_corrections_are_in_the_metrics_and_said(tmp_path):
    source = write(tmp_path, "source.txt", make_columns("B-PER O", "I-PER", "B-PER I-PER O", "O O O O").encode("utf8"))
    metrics = tmp_path / "corpus.json"
    shares = ["--dev-share", 0.25, "--test-share", 0.25]
    result = run_command(corpus_cli, source, tmp_path / "corpus", "-n", 1, *shares, "--metrics", metrics)
    assert result.exit_code == 0, result.output
    assert json.loads(metrics.read_text())["corrected"] == {STRAY_INSIDE: 1}
    assert "Read 1 I- tags that start an entity" in " ".join(result.output.split())


@pytest.mark.parametrize(
    "tags, line, expected",
    [
        ("U-PER I-PER", 2, "end of the sentence: the tag 'O' after 'I-PER' is not BILUO"),
        ("U-PER B-PER", 2, "end of the sentence: the tag 'O' after 'B-PER' is not BILUO"),
        ("S-PER O B-PER E-LOC", 4, "'E-LOC' after 'B-PER' is not IOBES"),
        ("O L-PER", 2, "'L-PER' after 'O' is not IOB or BILUO or IOBES or BMES or BMEO"),
        ("U-PER S-PER", 2, "'S-PER' after 'U-PER' is not BILUO"),
        ("B-PER M-PER O", 3, "'O' after 'M-PER' is not BMES or BMEO"),
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
    scheme=st.sampled_from(["IOB1", "IOB2", "BILUO", "IOBES"]),
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
