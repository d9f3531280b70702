"""Grouping, duplicates and the split."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from scripts.formats.convert import SPLITS, convert
from scripts.formats.settings import CorpusSettings

from ..helpers import ROOT, assert_refused, read_docs
from .samples import read_files
from .sentences import SHARES, number_sentences, read_split_sentences, run_cli, write_numbered, write_sentences


@pytest.mark.parametrize("n_sents", [1, 3, 7])
def test_groups_have_n_sentences_and_the_last_one_the_rest(tmp_path, n_sents):
    source = write_sentences(tmp_path / "source.txt", number_sentences(29))
    counts = convert(source, tmp_path / "corpus", CorpusSettings(n_sents=n_sents, **SHARES))
    docs = [doc for split in SPLITS for doc in read_docs(tmp_path / "corpus" / f"{split}.spacy")]
    lengths = Counter(len(list(doc.sents)) for doc in docs)
    full, rest = divmod(29, n_sents)
    assert lengths == Counter({n_sents: full, rest: 1 if rest else 0})
    assert sum(split["sentences"] for split in counts["splits"].values()) == 29


def test_sentences_of_a_doc_follow_each_other_in_the_source(tmp_path):
    source = write_sentences(tmp_path / "source.txt", number_sentences(30))
    convert(source, tmp_path / "corpus", CorpusSettings(n_sents=5, **SHARES))
    for split in SPLITS:
        for doc in read_docs(tmp_path / "corpus" / f"{split}.spacy"):
            numbers = [int(sent[-1].text) for sent in doc.sents]
            assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_duplicates_are_dropped_before_the_split(tmp_path):
    unique = number_sentences(30)
    again = [[(word, "O") for word, _ in sentence] for sentence in unique[:7]]  # Other tags, the same words.
    source = write_sentences(tmp_path / "source.txt", unique + unique[5:20] + again)
    metrics = tmp_path / "metrics.json"
    counts = convert(source, tmp_path / "corpus", CorpusSettings(n_sents=2, **SHARES), metrics=metrics)
    assert counts["duplicates"] == json.loads(metrics.read_text())["duplicates"] == 22
    splits = read_split_sentences(tmp_path / "corpus")
    everything = [sentence for split in SPLITS for sentence in splits[split]]
    assert sorted(everything) == sorted(f"Ada counted {number}" for number in range(30))
    for split in SPLITS:  # The first of each is kept, with its tags.
        for doc in read_docs(tmp_path / "corpus" / f"{split}.spacy"):
            assert len(doc.ents) == len(list(doc.sents))


def test_duplicates_are_reported(tmp_path):
    source = write_sentences(tmp_path / "source.txt", number_sentences(30) + number_sentences(4))
    result = run_cli(source, tmp_path / "corpus", "-n", 1)
    assert result.exit_code == 0
    assert "dropped 4 duplicate sentences" in " ".join(result.output.split())


def test_no_sentence_of_the_sample_is_in_two_splits(corpus_dir):
    splits = {split: set(sentences) for split, sentences in read_split_sentences(corpus_dir).items()}
    assert all(splits.values())
    assert not splits["train"] & splits["dev"]
    assert not splits["train"] & splits["test"]
    assert not splits["dev"] & splits["test"]


def test_shares_are_honoured(tmp_path):
    source = write_sentences(tmp_path / "source.txt", number_sentences(100))
    counts = convert(source, tmp_path / "corpus", CorpusSettings(n_sents=2, dev_share=0.1, test_share=0.3))
    assert {split: counts["splits"][split]["docs"] for split in SPLITS} == {"train": 30, "dev": 5, "test": 15}


def test_same_seed_gives_the_same_bytes_in_any_process(tmp_path, sample_path):
    convert(sample_path, tmp_path / "here", CorpusSettings(n_sents=10, dev_share=0.1, test_share=0.1, seed=3))
    command = [sys.executable, "-m", "scripts.corpus", str(sample_path), str(tmp_path / "there"), "--seed", "3"]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PYTHONHASHSEED": "1"})
    assert read_files(tmp_path / "there") == read_files(tmp_path / "here")


def test_other_seed_gives_another_split_of_the_same_sentences(tmp_path):
    source = write_sentences(tmp_path / "source.txt", number_sentences(60))
    splits = []
    for seed in (0, 1):
        convert(source, tmp_path / str(seed), CorpusSettings(n_sents=2, **SHARES, seed=seed))
        splits.append(read_split_sentences(tmp_path / str(seed)))
    assert set(splits[0]["dev"]) != set(splits[1]["dev"])
    assert set(splits[0]["test"]) != set(splits[1]["test"])
    assert sorted(sum(splits[0].values(), [])) == sorted(sum(splits[1].values(), []))


def test_separate_files_replace_the_shares(tmp_path):
    train = write_numbered(tmp_path / "train.txt", *range(20))
    dev = write_numbered(tmp_path / "dev.txt", *range(100, 105))
    test = write_numbered(tmp_path / "test.txt", *range(200, 203))
    result = run_cli(train, tmp_path / "corpus", "-n", 1, "--dev", dev, "--test", test)
    assert result.exit_code == 0, result.output
    splits = read_split_sentences(tmp_path / "corpus")
    assert sorted(splits["train"]) == sorted(f"Ada counted {number}" for number in range(20))
    assert splits["dev"] == [f"Ada counted {number}" for number in range(100, 105)]
    assert splits["test"] == [f"Ada counted {number}" for number in range(200, 203)]


@pytest.mark.parametrize("own, other", [("dev", "test"), ("test", "dev")])
def test_one_separate_file_leaves_the_other_its_share(tmp_path, own, other):
    source = write_numbered(tmp_path / "train.txt", *range(20))
    file_ = write_numbered(tmp_path / "own.txt", *range(100, 105))
    counts = convert(source, tmp_path / "corpus", CorpusSettings(n_sents=1, **SHARES, **{own: file_}))
    docs = {split: counts["splits"][split]["docs"] for split in SPLITS}
    assert docs == {"train": 16, other: 4, own: 5}


def test_duplicates_across_files_are_dropped_from_train_never_from_test(tmp_path):
    train = write_numbered(tmp_path / "train.txt", *range(10), 100, 101, 200, 3)
    dev = write_numbered(tmp_path / "dev.txt", 100, 101, 200, 101)
    test = write_numbered(tmp_path / "test.txt", 200, 201, 200)
    counts = convert(train, tmp_path / "corpus", CorpusSettings(dev=dev, test=test, n_sents=1, **SHARES))
    splits = read_split_sentences(tmp_path / "corpus")
    assert sorted(splits["train"]) == [f"Ada counted {number}" for number in range(10)]
    assert splits["dev"] == ["Ada counted 100", "Ada counted 101"]
    assert splits["test"] == ["Ada counted 200", "Ada counted 201", "Ada counted 200"]
    assert {split: file_["duplicates"] for split, file_ in counts["files"].items()} == {"train": 4, "dev": 2, "test": 0}
    assert counts["duplicates"] == 6


def test_train_file_inside_the_test_file_is_refused(tmp_path):
    train = write_numbered(tmp_path / "train.txt", 1, 2)
    test = write_numbered(tmp_path / "test.txt", 1, 2, 3)
    result = run_cli(train, tmp_path / "corpus", "-n", 1, "--test", test)
    assert_refused(result, f"{train}: all its sentences are in {test}, too")
    assert not (tmp_path / "corpus").exists()
