"""WikiNER's format: what is converted, and what is refused."""

import bz2
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training.converters import iob_to_docs
from spacy.vocab import Vocab

from scripts.formats.convert import SPLITS, convert, make_doc
from scripts.formats.settings import CorpusSettings
from scripts.formats.wikiner import LABELS

from ..helpers import get_entities, read_docs
from .samples import read
from .sentences import assert_source_is_refused, write_sentences

GOOD_LINE = "Ada|X|I-PER saw|X|O Oslo|X|I-LOC .|X|O"


GOOD_LINES = f"\n{GOOD_LINE}\n\n".encode("utf8")


BROKEN = {
    "two fields": ("source.txt", GOOD_LINES + b"Ada|I-PER ran|X|O", "line 4: expected word|POS|tag, got 'Ada|I-PER'"),
    "four fields": ("source.txt", GOOD_LINES + b"a|b|X|O", "line 4: expected word|POS|tag, got 'a|b|X|O'"),
    "no fields": ("source.txt", GOOD_LINES + b"plain text", "line 4: expected word|POS|tag, got 'plain'"),
    "empty word": ("source.txt", GOOD_LINES + b"|X|O", "line 4: expected word|POS|tag, got '|X|O'"),
    "empty part of speech": ("source.txt", GOOD_LINES + b"Ada||O", "line 4: expected word|POS|tag, got 'Ada||O'"),
    "empty tag": ("source.txt", GOOD_LINES + b"Ada|X|", "line 4: expected word|POS|tag, got 'Ada|X|'"),
    "two spaces": ("source.txt", GOOD_LINES + b"Ada|X|O  ran|X|O", "line 4: expected word|POS|tag, got ''"),
    "unknown label": ("source.txt", GOOD_LINES + b"Ada|X|I-PERSON", "line 4: unknown tag 'I-PERSON'"),
    "unknown prefix": ("source.txt", GOOD_LINES + b"Ada|X|U-PER", "line 4: the tag 'U-PER' after 'O' is not IOB"),
    "prefix without label": ("source.txt", GOOD_LINES + b"Ada|X|I-", "line 4: unknown tag 'I-'"),
    "lower-case tag": ("source.txt", GOOD_LINES + b"Ada|X|i-per", "line 4: unknown tag 'i-per'"),
    "label without prefix": ("source.txt", GOOD_LINES + b"Ada|X|PER", "line 4: unknown tag 'PER'"),
    "too few Docs": ("source.txt", GOOD_LINES, "makes 1 Docs, too few for a dev and a test corpus"),
}


@pytest.mark.parametrize("name, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_bad_source_is_refused_and_changes_nothing(tmp_path, name, data, expected):
    assert_source_is_refused(tmp_path, name, data, expected)


def convert_one(tmp_path: Path, *lines: str) -> Doc:
    """Convert lines to one Doc, by making it the train Doc beside two others."""
    source = tmp_path / "source.txt"
    others = [f"Filler|X|O {number}|X|O" for number in range(2 * len(lines))]
    source.write_text("\n".join([*lines, *others]), encoding="utf8")
    folder = tmp_path / "corpus"
    for seed in range(50):  # Until the Doc with the lines is in train.
        convert(source, folder, CorpusSettings(n_sents=len(lines), dev_share=0.34, test_share=0.34, seed=seed))
        (doc,) = read_docs(folder / "train.spacy")
        if doc[0].text != "Filler":
            return doc
    raise AssertionError("no seed put the Doc into train")


def test_adjacent_entities_of_one_type_stay_apart(tmp_path):
    doc = convert_one(tmp_path, "Ada|X|I-PER Byron|X|I-PER Karl|X|B-PER Oslo|X|I-LOC Lima|X|B-LOC ran|X|O")
    assert get_entities(doc) == [(0, 2, "PER"), (2, 3, "PER"), (3, 4, "LOC"), (4, 5, "LOC")]


def test_entities_of_different_types_may_touch(tmp_path):
    doc = convert_one(tmp_path, "Ada|X|I-PER Oslo|X|I-LOC Lima|X|I-LOC Opera|X|I-ORG")
    assert get_entities(doc) == [(0, 1, "PER"), (1, 3, "LOC"), (3, 4, "ORG")]


def test_inside_tag_after_outside_starts_an_entity(tmp_path):
    doc = convert_one(tmp_path, "the|X|O Nile|X|I-LOC and|X|O the|X|O Po|X|I-LOC Valley|X|I-LOC")
    assert get_entities(doc) == [(1, 2, "LOC"), (4, 6, "LOC")]


def test_begin_tag_may_start_any_entity(tmp_path):
    doc = convert_one(tmp_path, "the|X|O Po|X|B-LOC Valley|X|I-LOC Opera|X|B-ORG")
    assert get_entities(doc) == [(1, 3, "LOC"), (3, 4, "ORG")]


def test_entities_do_not_melt_across_sentences(tmp_path):
    doc = convert_one(tmp_path, "They|X|O saw|X|O Oslo|X|I-LOC", "Lima|X|I-LOC Sur|X|I-LOC slept|X|O", "Rome|X|I-LOC")
    assert [sent.text.strip() for sent in doc.sents] == ["They saw Oslo", "Lima Sur slept", "Rome"]
    assert get_entities(doc) == [(2, 3, "LOC"), (3, 5, "LOC"), (6, 7, "LOC")]


def test_words_parts_of_speech_and_sentence_starts_are_kept(tmp_path):
    doc = convert_one(tmp_path, "Zoë|NNP|I-PER 's|POS|O 東京|NNP|I-LOC", "(|-LRB-|O 3,000|CD|O )|-RRB-|O")
    assert [token.text for token in doc] == ["Zoë", "'s", "東京", "(", "3,000", ")"]
    assert [token.tag_ for token in doc] == ["NNP", "POS", "NNP", "-LRB-", "CD", "-RRB-"]
    assert [token.is_sent_start for token in doc] == [True, False, False, True, False, False]
    assert all(token.ent_iob_ in ("B", "I", "O") for token in doc)


def test_same_entities_as_spacys_own_conversion(sample_path):
    """On single sentences, spaCy's converter reads the format, too."""
    lines = [line for line in bz2.decompress(sample_path.read_bytes()).decode("utf8").splitlines() if line]
    expected = list(iob_to_docs("\n".join(lines), n_sents=1, no_print=True))
    docs = [make_doc(Vocab(), [sentence]) for sentence in read(sample_path, "wikiner")]
    assert len(docs) == len(expected)
    for doc, expected_doc in zip(docs, expected):
        assert [token.text for token in doc] == [token.text for token in expected_doc]
        assert get_entities(doc) == get_entities(expected_doc)


# Anything that can stand in a line as a word: no spaces, no line ends, no separator.
WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="|"), min_size=1, max_size=6
)


TAGS = st.sampled_from(["O", *(f"{prefix}-{label}" for prefix in "IB" for label in LABELS)])


SENTENCES = st.lists(
    st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=8),
    min_size=6,
    max_size=12,
    unique_by=lambda sentence: tuple(word for word, _ in sentence),
)


def read_iob1(tags):
    """Find entities as the CoNLL-2000 rules for IOB1 put it, token by token.

    A tag ends the entity before it if it is O, has another type, or begins with B; it starts one unless it is O
    or goes on with the entity before it.
    """
    entities = []
    previous = "O"
    for number, tag in enumerate(tags):
        if tag != "O":
            continues = previous != "O" and previous[2:] == tag[2:] and not tag.startswith("B-")
            if continues:
                entities[-1][1] = number + 1
            else:
                entities.append([number, number + 1, tag[2:]])
        previous = tag
    return [tuple(entity) for entity in entities]


@given(sentences=SENTENCES, n_sents=st.integers(1, 2), seed=st.integers(0, 1000))
def test_random_sentences_come_back_as_they_were(tmp_path_factory, sentences, n_sents, seed):
    folder = tmp_path_factory.mktemp("random")
    source = write_sentences(folder / "source.txt", sentences)
    convert(source, folder / "corpus", CorpusSettings(n_sents=n_sents, dev_share=0.34, test_share=0.34, seed=seed))
    found = {}
    for split in SPLITS:
        for doc in read_docs(folder / "corpus" / f"{split}.spacy"):
            for sent in doc.sents:
                entities = [(ent.start - sent.start, ent.end - sent.start, ent.label_) for ent in sent.ents]
                found[tuple(token.text for token in sent)] = entities
    assert found == {
        tuple(word for word, _ in sentence): read_iob1([tag for _, tag in sentence]) for sentence in sentences
    }


def test_whole_development_corpus_converts(tmp_path, shared_data):
    source = shared_data / "wikineural-en-val.wp.bz2"
    counts = convert(source, tmp_path, CorpusSettings(n_sents=10, dev_share=0.1, test_share=0.1))
    n_sentences = sum(counts["splits"][split]["sentences"] for split in SPLITS)
    assert n_sentences + counts["duplicates"] == 11_590
    expected, seen = Counter(), set()
    with bz2.open(source, "rt", encoding="utf8") as file_:
        for line in filter(str.strip, file_):
            words, _, tags = zip(*(token.split("|") for token in line.strip().split(" ")))
            if words not in seen:
                seen.add(words)
                expected.update(label for _, _, label in read_iob1(tags))
    assert n_sentences == len(seen)
    found = sum((Counter(counts["splits"][split]["entities"]) for split in SPLITS), Counter())
    assert found == expected
