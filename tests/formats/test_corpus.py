"""WikiNER files to .spacy corpora: what is converted, what is refused, and that nothing half-done is left."""

import bz2
import gzip
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training.converters import iob_to_docs
from spacy.vocab import Vocab

from scripts.common.console import UserError
from scripts.corpus import LABELS, corpus_cli, read_wikiner
from scripts.formats.convert import SPLITS, convert, make_doc

from ..helpers import ROOT, assert_refused, get_entities, read_docs, run_command

SHARES = {"dev": 0.2, "test": 0.2}
GOOD_LINE = "Ada|X|I-PER saw|X|O Oslo|X|I-LOC .|X|O"


def run_cli(*arguments):
    return run_command(corpus_cli, *arguments)


def write_sentences(path: Path, sentences, compress=lambda data: data) -> Path:
    """Write sentences, each a list of (word, tag), in WikiNER's format."""
    lines = [" ".join(f"{word}|X|{tag}" for word, tag in sentence) for sentence in sentences]
    path.write_bytes(compress("\n\n".join(lines).encode("utf8")))
    return path


def number_sentences(n: int, start: int = 0):
    """Make different sentences with one PER each."""
    return [[("Ada", "I-PER"), ("counted", "O"), (str(number), "O")] for number in range(start, start + n)]


def read_split_sentences(folder: Path):
    """RETURNS (Dict[str, List[str]]): The sentences of each split, in the order of the file."""
    return {
        split: [sent.text.strip() for doc in read_docs(folder / f"{split}.spacy") for sent in doc.sents]
        for split in SPLITS
    }


def read_files(folder: Path):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def convert_one(tmp_path: Path, *lines: str) -> Doc:
    """Convert lines to one Doc, by making it the train Doc beside two others."""
    source = tmp_path / "source.txt"
    others = [f"Filler|X|O {number}|X|O" for number in range(2 * len(lines))]
    source.write_text("\n".join([*lines, *others]), encoding="utf8")
    folder = tmp_path / "corpus"
    for seed in range(50):  # Until the Doc with the lines is in train.
        convert(source, folder, n_sents=len(lines), shares={"dev": 0.34, "test": 0.34}, seed=seed)
        (doc,) = read_docs(folder / "train.spacy")
        if doc[0].text != "Filler":
            return doc
    raise AssertionError("no seed put the Doc into train")


# What is refused


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


# More text than one block of the compressors, so that a part of it can be read.
RANDOM = random.Random(0)
LONG_TEXT = b"\n".join(b"Ada|X|I-PER counted|X|O %d|X|O" % RANDOM.getrandbits(200) for _ in range(5000))
LONG_GZ = gzip.compress(LONG_TEXT)
LONG_BZ2 = bz2.compress(LONG_TEXT, compresslevel=1)
GOOD_LINES = f"\n{GOOD_LINE}\n\n".encode("utf8")

BAD_SOURCES = {
    "empty file": ("source.txt", b"", "holds no sentences"),
    "only blank lines": ("source.txt", b"\n \n\r\n\n", "holds no sentences"),
    "empty .gz": ("source.gz", gzip.compress(b""), "holds no sentences"),
    "empty .bz2": ("source.bz2", b"", "damaged or cut short after line 0"),
    "truncated .bz2": ("source.bz2", truncate(LONG_BZ2), "damaged or cut short after line "),
    "truncated .gz": ("source.gz", truncate(LONG_GZ), "damaged or cut short after line "),
    "garbage in .bz2": ("source.bz2", b"this was never compressed", "damaged or cut short after line 0"),
    "garbage in .gz": ("source.gz", b"this was never compressed", "damaged or cut short after line 0"),
    # The bytes inside are damaged, not the header: zlib has an error of its own for that.
    "damage inside .gz": ("source.gz", LONG_GZ[:5000] + b"\xff" * 5000 + LONG_GZ[10000:], "damaged or cut short after"),
    "two fields": ("source.txt", GOOD_LINES + b"Ada|I-PER ran|X|O", "line 4: expected word|POS|tag, got 'Ada|I-PER'"),
    "four fields": ("source.txt", GOOD_LINES + b"a|b|X|O", "line 4: expected word|POS|tag, got 'a|b|X|O'"),
    "no fields": ("source.txt", GOOD_LINES + b"plain text", "line 4: expected word|POS|tag, got 'plain'"),
    "empty word": ("source.txt", GOOD_LINES + b"|X|O", "line 4: expected word|POS|tag, got '|X|O'"),
    "empty part of speech": ("source.txt", GOOD_LINES + b"Ada||O", "line 4: expected word|POS|tag, got 'Ada||O'"),
    "empty tag": ("source.txt", GOOD_LINES + b"Ada|X|", "line 4: expected word|POS|tag, got 'Ada|X|'"),
    "two spaces": ("source.txt", GOOD_LINES + b"Ada|X|O  ran|X|O", "line 4: expected word|POS|tag, got ''"),
    "unknown label": ("source.txt", GOOD_LINES + b"Ada|X|I-PERSON", "line 4: unknown tag 'I-PERSON'"),
    "unknown prefix": ("source.txt", GOOD_LINES + b"Ada|X|U-PER", "line 4: unknown tag 'U-PER'"),
    "prefix without label": ("source.txt", GOOD_LINES + b"Ada|X|I-", "line 4: unknown tag 'I-'"),
    "lower-case tag": ("source.txt", GOOD_LINES + b"Ada|X|i-per", "line 4: unknown tag 'i-per'"),
    "label without prefix": ("source.txt", GOOD_LINES + b"Ada|X|PER", "line 4: unknown tag 'PER'"),
    "not UTF-8": ("source.txt", GOOD_LINES + "Zoë|X|O".encode("latin1"), "line 4: byte 3 is not UTF-8"),
    "not UTF-8 in .bz2": ("source.bz2", bz2.compress(GOOD_LINES + b"a\xff|X|O"), "line 4: byte 2 is not UTF-8"),
    "too few Docs": ("source.txt", GOOD_LINES, "makes 1 Docs, too few for a dev and a test corpus"),
}


@pytest.mark.parametrize("name, data, expected", BAD_SOURCES.values(), ids=BAD_SOURCES.keys())
def test_bad_source_is_refused_and_changes_nothing(tmp_path, name, data, expected):
    good = write_sentences(tmp_path / "good.txt", number_sentences(20))
    folder = tmp_path / "corpus"
    metrics = tmp_path / "metrics.json"
    assert run_cli(good, folder, "-n", 1, "--metrics", metrics).exit_code == 0
    before, counts_before = read_files(folder), metrics.read_bytes()
    assert set(before) == {"train.spacy", "dev.spacy", "test.spacy"}

    source = tmp_path / name
    source.write_bytes(data)
    assert_refused(run_cli(source, folder, "-n", 1, "--metrics", metrics), source, expected)

    assert read_files(folder) == before
    assert metrics.read_bytes() == counts_before
    assert {path.name for path in tmp_path.iterdir()} == {"good.txt", "corpus", "metrics.json", name}


@pytest.mark.parametrize("name, data, expected", BAD_SOURCES.values(), ids=BAD_SOURCES.keys())
def test_bad_source_makes_no_folder(tmp_path, name, data, expected):
    source = tmp_path / name
    source.write_bytes(data)
    with pytest.raises(UserError):
        convert(source, tmp_path / "corpus", shares=SHARES, metrics=tmp_path / "metrics" / "corpus.json")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name, data", [("source.gz", LONG_GZ), ("source.bz2", LONG_BZ2)])
def test_truncated_source_names_the_last_line_that_was_read(tmp_path, name, data):
    source = tmp_path / name
    source.write_bytes(truncate(data))
    sentences = read_wikiner(source)
    n_read = 0
    with pytest.raises(UserError) as raised:
        for _ in sentences:
            n_read += 1
    assert 0 < n_read < 5000
    assert f"after line {n_read} (" in str(raised.value)


def test_missing_source_is_refused(tmp_path):
    source = tmp_path / "nowhere.bz2"
    assert_refused(run_cli(source, tmp_path / "corpus"), source, "There is no corpus at")
    assert not (tmp_path / "corpus").exists()


def test_folder_as_source_is_refused(tmp_path):
    assert_refused(run_cli(tmp_path, tmp_path / "corpus"), tmp_path, "is a folder")
    assert not (tmp_path / "corpus").exists()


def test_file_as_output_folder_is_refused(tmp_path):
    source = write_sentences(tmp_path / "source.txt", number_sentences(20))
    output = tmp_path / "corpus"
    output.write_text("mine")
    assert_refused(run_cli(source, output, "-n", 1), output, "is a file, not a folder")
    assert output.read_text() == "mine"


@pytest.mark.parametrize("name", ["train.spacy", "dev.spacy", "test.spacy", "corpus.json"])
@pytest.mark.parametrize("option", ["source", "--dev", "--test"])
def test_files_that_are_read_are_not_overwritten(tmp_path, monkeypatch, option, name):
    """Also where they have another name: the folder is a link."""
    monkeypatch.chdir(tmp_path)
    convert(write_sentences(tmp_path / "old.txt", number_sentences(20)), tmp_path / "corpus", n_sents=1, shares=SHARES)
    (tmp_path / "corpus" / "train.spacy").rename(tmp_path / "corpus" / name)
    (tmp_path / "link").symlink_to("corpus")
    before = read_files(tmp_path / "corpus")
    mine, other = Path("link") / name, write_sentences(tmp_path / "new.txt", number_sentences(20, start=100))
    arguments = [mine, "corpus"] if option == "source" else [other, "corpus", option, mine]
    result = run_cli(*arguments, "-n", 1, "--metrics", "corpus/corpus.json")
    assert_refused(result, f"{mine} would be overwritten")
    assert read_files(tmp_path / "corpus") == before


def test_shares_that_leave_nothing_are_refused(tmp_path):
    source = write_sentences(tmp_path / "source.txt", number_sentences(20))
    result = run_cli(source, tmp_path / "corpus", "-n", 1, "--dev-share", 0.5, "--test-share", 0.5)
    assert_refused(result, source, "too few for a train corpus with 50% for dev and 50% for test")
    result = run_cli(source, tmp_path / "corpus", "-n", 1, "--dev-share", 0)
    assert_refused(result, source, "too few for a dev corpus with 0% for dev and 10% for test")


@pytest.mark.parametrize("metrics", ["file/corpus.json", "folder"])
def test_corpora_and_counts_are_replaced_together(tmp_path, metrics):
    """A metrics file that can't be written leaves the corpora as they were, too."""
    folder = tmp_path / "corpus"
    convert(write_sentences(tmp_path / "old.txt", number_sentences(20)), folder, n_sents=1, shares=SHARES)
    before = read_files(folder)
    (tmp_path / "file").write_text("a file where a folder should be")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "results.json").write_text("{}")
    new = write_sentences(tmp_path / "new.txt", number_sentences(20, start=100))
    assert_refused(run_cli(new, folder, "-n", 1, "--metrics", tmp_path / metrics), tmp_path / metrics)
    assert read_files(folder) == before
    assert read_files(tmp_path / "folder") == {"results.json": b"{}"}


@pytest.mark.parametrize("option, value", [("-n", 0), ("--dev-share", -0.1), ("--test-share", 1.5)])
def test_options_out_of_range_are_refused(tmp_path, option, value):
    source = write_sentences(tmp_path / "source.txt", number_sentences(20))
    result = run_cli(source, tmp_path / "corpus", option, value)
    assert result.exit_code == 2
    assert not (tmp_path / "corpus").exists()


def test_command_ends_without_traceback(tmp_path):
    """The same through the shell, as the project runs it."""
    source = tmp_path / "source.txt"
    source.write_bytes(GOOD_LINES + b"Ada|X|I-PERSON")
    command = [sys.executable, "-m", "scripts.corpus", str(source), str(tmp_path / "corpus")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "unknown tag 'I-PERSON'" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert not (tmp_path / "corpus").exists()


# What is converted


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
    docs = [make_doc(Vocab(), [sentence]) for sentence in read_wikiner(sample_path)]
    assert len(docs) == len(expected)
    for doc, expected_doc in zip(docs, expected):
        assert [token.text for token in doc] == [token.text for token in expected_doc]
        assert get_entities(doc) == get_entities(expected_doc)


def test_byte_order_mark_is_no_part_of_the_first_word(tmp_path):
    source = tmp_path / "source.txt"
    source.write_text(f"{GOOD_LINE}\n", encoding="utf-8-sig")
    assert [sentence.words for sentence in read_wikiner(source)] == [["Ada", "saw", "Oslo", "."]]
    source.write_text(f"\n{GOOD_LINE}\n", encoding="utf-8-sig")
    assert [sentence.words for sentence in read_wikiner(source)] == [["Ada", "saw", "Oslo", "."]]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_of_every_system(tmp_path, newline):
    source = tmp_path / "source.txt"
    source.write_bytes(newline.join(["", GOOD_LINE, "", f"{GOOD_LINE} ", "   ", GOOD_LINE]).encode("utf8"))
    sentences = list(read_wikiner(source))
    assert len(sentences) == 3
    assert all(sentence.tags == ["B-PER", "O", "B-LOC", "O"] for sentence in sentences)


def test_compressed_and_plain_sources_give_equal_corpora(tmp_path):
    sentences = number_sentences(40)
    corpora = []
    for name, compress in (("a.txt", bytes), ("a.bz2", bz2.compress), ("a.gz", gzip.compress)):
        source = write_sentences(tmp_path / name, sentences, compress)
        convert(source, tmp_path / name.replace(".", "-"), n_sents=2, shares=SHARES)
        corpora.append(read_files(tmp_path / name.replace(".", "-")))
    assert corpora[0] == corpora[1] == corpora[2]


# Grouping, duplicates and the split


@pytest.mark.parametrize("n_sents", [1, 3, 7])
def test_groups_have_n_sentences_and_the_last_one_the_rest(tmp_path, n_sents):
    source = write_sentences(tmp_path / "source.txt", number_sentences(29))
    counts = convert(source, tmp_path / "corpus", n_sents=n_sents, shares=SHARES)
    docs = [doc for split in SPLITS for doc in read_docs(tmp_path / "corpus" / f"{split}.spacy")]
    lengths = Counter(len(list(doc.sents)) for doc in docs)
    full, rest = divmod(29, n_sents)
    assert lengths == Counter({n_sents: full, rest: 1 if rest else 0})
    assert sum(split["sentences"] for split in counts["splits"].values()) == 29


def test_sentences_of_a_doc_follow_each_other_in_the_source(tmp_path):
    source = write_sentences(tmp_path / "source.txt", number_sentences(30))
    convert(source, tmp_path / "corpus", n_sents=5, shares=SHARES)
    for split in SPLITS:
        for doc in read_docs(tmp_path / "corpus" / f"{split}.spacy"):
            numbers = [int(sent[-1].text) for sent in doc.sents]
            assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_duplicates_are_dropped_before_the_split(tmp_path):
    unique = number_sentences(30)
    again = [[(word, "O") for word, _ in sentence] for sentence in unique[:7]]  # Other tags, the same words.
    source = write_sentences(tmp_path / "source.txt", unique + unique[5:20] + again)
    metrics = tmp_path / "metrics.json"
    counts = convert(source, tmp_path / "corpus", n_sents=2, shares=SHARES, metrics=metrics)
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
    counts = convert(source, tmp_path / "corpus", n_sents=2, shares={"dev": 0.1, "test": 0.3})
    assert {split: counts["splits"][split]["docs"] for split in SPLITS} == {"train": 30, "dev": 5, "test": 15}


def test_same_seed_gives_the_same_bytes_in_any_process(tmp_path, sample_path):
    convert(sample_path, tmp_path / "here", n_sents=10, shares={"dev": 0.1, "test": 0.1}, seed=3)
    command = [sys.executable, "-m", "scripts.corpus", str(sample_path), str(tmp_path / "there"), "--seed", "3"]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PYTHONHASHSEED": "1"})
    assert read_files(tmp_path / "there") == read_files(tmp_path / "here")


def test_other_seed_gives_another_split_of_the_same_sentences(tmp_path):
    source = write_sentences(tmp_path / "source.txt", number_sentences(60))
    splits = []
    for seed in (0, 1):
        convert(source, tmp_path / str(seed), n_sents=2, shares=SHARES, seed=seed)
        splits.append(read_split_sentences(tmp_path / str(seed)))
    assert set(splits[0]["dev"]) != set(splits[1]["dev"])
    assert set(splits[0]["test"]) != set(splits[1]["test"])
    assert sorted(sum(splits[0].values(), [])) == sorted(sum(splits[1].values(), []))


# Files of their own for dev and test


def write_numbered(path: Path, *numbers: int) -> Path:
    return write_sentences(path, [number_sentences(1, start=number)[0] for number in numbers])


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
    counts = convert(source, tmp_path / "corpus", n_sents=1, shares=SHARES, **{own: file_})
    docs = {split: counts["splits"][split]["docs"] for split in SPLITS}
    assert docs == {"train": 16, other: 4, own: 5}


def test_duplicates_across_files_are_dropped_from_train_never_from_test(tmp_path):
    train = write_numbered(tmp_path / "train.txt", *range(10), 100, 101, 200, 3)
    dev = write_numbered(tmp_path / "dev.txt", 100, 101, 200, 101)
    test = write_numbered(tmp_path / "test.txt", 200, 201, 200)
    counts = convert(train, tmp_path / "corpus", dev=dev, test=test, n_sents=1, shares=SHARES)
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


def test_missing_separate_file_is_refused(tmp_path):
    train = write_numbered(tmp_path / "train.txt", *range(20))
    dev = tmp_path / "dev.txt"
    assert_refused(run_cli(train, tmp_path / "corpus", "--dev", dev), dev, "no corpus at")
    assert not (tmp_path / "corpus").exists()


# What is reported


def recount(path: Path):
    docs = read_docs(path)
    return {
        "docs": len(docs),
        "sentences": sum(token.is_sent_start for doc in docs for token in doc),
        "tokens": sum(map(len, docs)),
        "entities": dict(Counter(label for doc in docs for _, _, label in get_entities(doc))),
    }


def test_counts_are_those_of_the_written_files(tmp_path, sample_path):
    metrics = tmp_path / "metrics" / "corpus.json"
    result = run_cli(sample_path, tmp_path / "corpus", "-n", 4, "--seed", 7, "--metrics", metrics)
    assert result.exit_code == 0
    counts = json.loads(metrics.read_text(encoding="utf8"))
    assert counts["source"] == sample_path.name
    assert (counts["seed"], counts["n_sents"]) == (7, 4)
    for split in SPLITS:
        assert counts["splits"][split] == recount(tmp_path / "corpus" / f"{split}.spacy")
        assert set(counts["splits"][split]["entities"]) == set(LABELS)


def test_table_shows_the_counts(tmp_path, sample_path):
    result = run_cli(sample_path, tmp_path / "corpus")
    for split in SPLITS:
        numbers = recount(tmp_path / "corpus" / f"{split}.spacy")
        row = next(line.split() for line in result.output.splitlines() if line.startswith(split))
        expected = [numbers["docs"], numbers["sentences"], numbers["tokens"]]
        expected += [numbers["entities"][label] for label in LABELS]
        assert row == [split, *(f"{number:,}" for number in expected)]


# Random sentences


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
    convert(source, folder / "corpus", n_sents=n_sents, shares={"dev": 0.34, "test": 0.34}, seed=seed)
    found = {}
    for split in SPLITS:
        for doc in read_docs(folder / "corpus" / f"{split}.spacy"):
            for sent in doc.sents:
                entities = [(ent.start - sent.start, ent.end - sent.start, ent.label_) for ent in sent.ents]
                found[tuple(token.text for token in sent)] = entities
    assert found == {
        tuple(word for word, _ in sentence): read_iob1([tag for _, tag in sentence]) for sentence in sentences
    }


# The development corpora


def test_whole_development_corpus_converts(tmp_path, shared_data):
    source = shared_data / "wikineural-en-val.wp.bz2"
    counts = convert(source, tmp_path, n_sents=10, shares={"dev": 0.1, "test": 0.1})
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
