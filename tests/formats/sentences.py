"""Sentences in WikiNER's format that differ by a number, and corpora read back."""

from pathlib import Path

import pytest

from scripts.common.console import UserError
from scripts.corpus import corpus_cli
from scripts.formats.convert import SPLITS, convert
from scripts.formats.settings import CorpusSettings

from ..helpers import assert_refused, read_docs, run_command
from .samples import read_files

SHARES = {"dev_share": 0.2, "test_share": 0.2}


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


def write_numbered(path: Path, *numbers: int) -> Path:
    return write_sentences(path, [number_sentences(1, start=number)[0] for number in numbers])


def read_split_sentences(folder: Path):
    """Read the sentences of each split, in the order of the file."""
    return {
        split: [sent.text.strip() for doc in read_docs(folder / f"{split}.spacy") for sent in doc.sents]
        for split in SPLITS
    }


def assert_source_is_refused(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    """A file is refused where there is a corpus already, which is left as it was, and where there is none."""
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

    with pytest.raises(UserError):
        convert(source, tmp_path / "new", CorpusSettings(**SHARES), metrics=tmp_path / "new-metrics" / "corpus.json")
    assert {path.name for path in tmp_path.iterdir()} == {"good.txt", "corpus", "metrics.json", name}
