"""The command: what it reads and writes, what it prints, and that nothing half-done is left."""

import json
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from weasel.util import load_project_config

from scripts.formats.convert import SPLITS, convert
from scripts.formats.settings import CorpusSettings
from scripts.formats.wikiner import LABELS

from ..helpers import ROOT, assert_refused, get_entities, read_docs
from .samples import read_files
from .sentences import SHARES, number_sentences, run_cli, write_numbered, write_sentences

GOOD_LINE = "Ada|X|I-PER saw|X|O Oslo|X|I-LOC .|X|O"


GOOD_LINES = f"\n{GOOD_LINE}\n\n".encode("utf8")


def test_missing_source_is_refused(tmp_path):
    source = tmp_path / "nowhere.bz2"
    assert_refused(run_cli(source, tmp_path / "corpus"), source, "There is no corpus at")
    assert not (tmp_path / "corpus").exists()


def test_folder_as_source_is_refused(tmp_path):
    assert_refused(run_cli(tmp_path, tmp_path / "corpus"), tmp_path, "is a folder")
    assert not (tmp_path / "corpus").exists()


def test_missing_separate_file_is_refused(tmp_path):
    train = write_numbered(tmp_path / "train.txt", *range(20))
    dev = tmp_path / "dev.txt"
    assert_refused(run_cli(train, tmp_path / "corpus", "--dev", dev), dev, "no corpus at")
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
    convert(
        write_sentences(tmp_path / "old.txt", number_sentences(20)),
        tmp_path / "corpus",
        CorpusSettings(n_sents=1, **SHARES),
    )
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
    convert(write_sentences(tmp_path / "old.txt", number_sentences(20)), folder, CorpusSettings(n_sents=1, **SHARES))
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


def test_project_passes_paths_labels_and_options_on(tmp_path, monkeypatch):
    """With spaces in them, and with one kind of each option that says how a corpus is read."""
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "my corpus.tsv"
    source.write_bytes("\n\n".join(f"Zoë\tx\tFull name\n{number}\tx\tO" for number in range(30)).encode("latin1"))
    variables = {
        "source": source.name, "labels": "Full name=Person name", "encoding": "latin1", "misaligned": "skip",
        "columns": "word,_,tag", "repeated": "union", "scheme": "io", "n_sents": "1",
    }  # fmt: skip
    overrides = {f"vars.{name}": value for name, value in variables.items()}
    commands = load_project_config(ROOT, overrides=overrides)["commands"]
    (line,) = next(command["script"] for command in commands if command["name"] == "corpus")
    result = run_cli(*shlex.split(line)[3:])
    assert result.exit_code == 0, result.output
    counts = json.loads((tmp_path / "metrics" / "corpus.json").read_text())
    assert sum(counts["splits"][split]["entities"]["Person name"] for split in SPLITS) == 30
    assert read_docs(tmp_path / "corpus" / "test.spacy")[0][0].text == "Zoë"


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
