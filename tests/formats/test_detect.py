"""All formats: each is told by its content, converted, and taken for no other."""

import bz2
import gzip
import json
from collections import Counter

import pytest

from scripts.common.console import UserError
from scripts.corpus import corpus_cli
from scripts.formats.convert import SPLITS, group_sentences
from scripts.formats.detect import FORMATS

from ..helpers import assert_refused, run_command
from .samples import (
    EXPECTED,
    SAMPLES,
    TEXT_SAMPLES,
    as_doc,
    assert_broken,
    detect,
    get_labels,
    read,
    summarize_corpus,
    write,
)

DOCUMENTS = {"wikiner": [6], "kaggle": [6], "conll": [2, 3, 1], "indexed": [2, 4], "docbin": [2, 3, 1]}


@pytest.mark.parametrize("sample", SAMPLES)
def test_sample_is_converted(tmp_path, sample):
    """By its look alone, through the command, with the exact entities."""
    name, format_name, data = SAMPLES[sample]
    source = write(tmp_path, name, data)
    options = ["-n", 2, "--dev-share", 0.34, "--test-share", 0.34, "--labels", get_labels(format_name)]
    result = run_command(corpus_cli, source, tmp_path / "corpus", *options, "--metrics", tmp_path / "corpus.json")
    assert result.exit_code == 0, result.output
    assert summarize_corpus(tmp_path / "corpus") == sorted(EXPECTED)
    counts = json.loads((tmp_path / "corpus.json").read_text())
    assert counts["files"] == {"train": {"name": name, "format": format_name, "duplicates": 0}}
    labels = sum((Counter(counts["splits"][split]["entities"]) for split in SPLITS), Counter())
    assert labels == Counter(label for _, entities in EXPECTED for _, _, label in entities)


@pytest.mark.parametrize("sample", SAMPLES)
def test_format_is_detected(tmp_path, sample):
    name, format_name, data = SAMPLES[sample]
    assert detect(write(tmp_path, name, data)) == format_name


@pytest.mark.parametrize("compress, suffix", [(bytes, ""), (bz2.compress, ".bz2"), (gzip.compress, ".gz")])
@pytest.mark.parametrize("sample", sorted(set(TEXT_SAMPLES) - {"train-data"}))  # Python files are told by their name.
def test_packed_and_plain_samples_are_equal(tmp_path, sample, compress, suffix):
    name, format_name, data = SAMPLES[sample]
    plain = write(tmp_path, name, data)
    packed = write(tmp_path, f"packed{suffix}", compress(data.replace(b"\n", b"\r\n")))
    assert detect(packed) == format_name
    assert read(packed, format_name) == read(plain, format_name)


@pytest.mark.parametrize("sample", DOCUMENTS)
def test_documents_of_the_sample(tmp_path, sample):
    name, format_name, data = SAMPLES[sample]
    sentences = read(write(tmp_path, name, data), format_name)
    assert list(Counter(sentence.document for sentence in sentences).values()) == DOCUMENTS[sample]


@pytest.mark.parametrize("sample", ["conll", "indexed", "docbin"])
@pytest.mark.parametrize("n_sents", [2, 100])
def test_no_doc_spans_two_documents(tmp_path, sample, n_sents):
    name, format_name, data = SAMPLES[sample]
    sentences = read(write(tmp_path, name, data), format_name)
    groups = list(group_sentences(sentences, n_sents))
    assert sum(groups, []) == sentences
    assert all(len({sentence.document for sentence in group}) == 1 for group in groups)
    assert [len(group) for group in groups] == {
        ("conll", 2): [2, 2, 1, 1],
        ("conll", 100): [2, 3, 1],
        ("indexed", 2): [2, 2, 2],
        ("indexed", 100): [2, 4],
        ("docbin", 2): [2, 2, 1, 1],
        ("docbin", 100): [2, 3, 1],
    }[sample, n_sents]


@pytest.mark.parametrize("sample", ["wikiner", "conll", "kaggle"])
def test_parts_of_speech_are_kept(tmp_path, sample):
    name, format_name, data = SAMPLES[sample]
    doc = as_doc(read(write(tmp_path, name, data), format_name)[0])
    assert [token.tag_ for token in doc] == ["NNP", "NNP", "VBD", "NNP", "IN", "NNP", "."]


@pytest.mark.parametrize("sample", SAMPLES)
def test_broken_test_file_changes_nothing(tmp_path, sample):
    """In a file of its own, the error is the same."""
    name, _, data = SAMPLES[sample]
    source = write(tmp_path, name, data)
    broken = write(tmp_path, f"broken-{name}", data[: len(data) // 2 + 1] + b"\xff\xff\n")
    result = run_command(corpus_cli, source, tmp_path / "corpus", "-n", 1, "--test", broken)
    assert_refused(result, broken, "" if sample in ("docbin", "train-data") else ", line ")
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("sample", TEXT_SAMPLES)
def test_other_format_is_refused_by_line(tmp_path, sample):
    """A format that is named wrongly is an error with a line."""
    name, format_name, data = SAMPLES[sample]
    source = write(tmp_path, name, data.decode("latin1").encode("utf8") if format_name == "kaggle" else data)
    like_it = {"wikiner": "iob", "conllu-plus": "conll"}.get(sample)
    for other in set(FORMATS) - {format_name, like_it, "spacy", "brat"}:
        with pytest.raises(UserError, match=r"line \d+:"):
            read(source, other)
    with pytest.raises(UserError, match="is not a .spacy corpus"):
        read(source, "spacy")


BROKEN = {
    "no format": ("conll", "once upon a time\n", "can't tell the format by the first line, 'once upon a time'"),
}


@pytest.mark.parametrize("sample, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    assert_broken(tmp_path, sample, data, expected)
