"""The sample corpus that the project ships: its format, its size, and the hard cases that it has to hold."""

import bz2
from collections import Counter

import pytest

from scripts.formats.sentence import Notes
from scripts.formats.settings import ReaderSettings
from scripts.formats.wikiner import LABELS, read_wikiner

from .helpers import read_sentences


@pytest.fixture(scope="module")
def sentences(sample_path):
    return list(read_wikiner(sample_path, ReaderSettings(), Notes()))


@pytest.fixture(scope="module")
def entities(sentences):
    """The words and the label of each entity, and its first token in the sentence."""
    found = []
    for sentence in sentences:
        for number, (word, tag) in enumerate(zip(sentence.words, sentence.tags)):
            if tag.startswith("B-"):
                found.append(([word], tag[2:], number))
            elif tag.startswith("I-"):
                found[-1][0].append(word)
    return found


def test_lines_are_separated_by_blank_ones(sample_path):
    lines = bz2.decompress(sample_path.read_bytes()).decode("utf8").split("\n")
    assert not any(lines[::2])
    assert all(lines[1::2])


def test_begin_tags_are_only_where_iob1_needs_them(sample_path):
    for sentence in read_sentences(sample_path):
        previous = "O"
        for _, _, tag in sentence:
            if tag.startswith("B-"):
                assert previous[2:] == tag[2:]
            previous = tag


def test_size(sentences):
    unique = {tuple(sentence.words) for sentence in sentences}
    assert len(unique) == len(sentences) >= 3500


def test_sentences_are_sentences(sentences):
    for sentence in sentences:
        assert 4 <= len(sentence.words) <= 60
        assert sentence.words[-1] in list(".!?\"'") or sentence.words[-1].endswith("."), sentence.words


def test_every_label_occurs_often(entities):
    counts = Counter(label for _, label, _ in entities)
    assert set(counts) == set(LABELS)
    assert min(counts.values()) >= 1000


def test_sentences_without_entities(sentences):
    n_without = sum(set(sentence.tags) == {"O"} for sentence in sentences)
    assert 0.05 < n_without / len(sentences) < 0.4


def test_adjacent_entities_of_one_type(sample_path):
    tags = Counter(tag for sentence in read_sentences(sample_path) for _, _, tag in sentence)
    assert sum(n for tag, n in tags.items() if tag.startswith("B-")) >= 3


def test_adjacent_entities_of_different_types(sentences):
    pairs = [
        (previous[2:], tag[2:])
        for sentence in sentences
        for previous, tag in zip(sentence.tags, sentence.tags[1:])
        if previous != "O" and tag.startswith("B-") and previous[2:] != tag[2:]
    ]
    assert len(pairs) >= 10
    assert len(set(pairs)) >= 4


def test_lower_case_particles_inside_people(entities):
    people = [words for words, label, _ in entities if label == "PER"]
    particles = {word for words in people for word in words[1:-1] if word.isalpha() and word.islower()}
    assert len(particles) >= 8
    assert {"van", "de", "of"} <= particles


def test_entities_at_the_start_of_a_sentence(entities):
    at_start = Counter(label for _, label, first in entities if first == 0)
    assert all(at_start[label] >= 10 for label in LABELS)


def test_acronyms(entities):
    acronyms = {
        (words[0], label)
        for words, label, _ in entities
        if len(words) == 1 and len(words[0]) >= 2 and words[0].isalpha() and words[0].isupper()
    }
    assert len(acronyms) >= 15
    assert len({label for _, label in acronyms}) >= 2


def test_commas_inside_entities(entities):
    assert sum("," in words for words, _, _ in entities) >= 5


def test_names_beyond_ascii(entities):
    assert len({" ".join(words) for words, _, _ in entities if not "".join(words).isascii()}) >= 30


def test_long_and_one_word_entities(entities):
    lengths = Counter(len(words) for words, _, _ in entities)
    assert lengths[1] >= 300
    assert sum(n for length, n in lengths.items() if length >= 5) >= 30


@pytest.mark.parametrize("name", ["wikineural-en-val.wp.bz2", "wikigold.wp.bz2"])
def test_no_sentence_is_from_a_development_corpus(sentences, shared_data, name):
    """Nothing of the corpora that may not be shipped, however it was tokenized."""

    def squeeze(words):
        return "".join(words).casefold()

    theirs = {squeeze(word for word, _, _ in sentence) for sentence in read_sentences(shared_data / name)}
    assert len(theirs) > 1000
    assert not theirs & {squeeze(sentence.words) for sentence in sentences}
