"""Lists of tokens and tags, as data sets of Hugging Face have them."""

import json

import pytest

from scripts.common.console import UserError
from scripts.corpus import corpus_cli
from scripts.formats.huggingface import parse_label_names

from ..helpers import assert_refused, run_command
from .made_samples import EXPECTED, tag
from .samples import detect, read, summarize, summarize_corpus, write

NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
NUMBERS = [{"id": "1", "tokens": words, "ner_tags": [NAMES.index(name) for name in tags]} for words, tags in tag()]
FEATURES = {
    "info": {"features": {"ner_tags": {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "Sequence"}}}
}
# The content of a file with the names of the tags.
FILES = {
    "list": NAMES,
    "numbers by name": {name: number for number, name in enumerate(NAMES)},
    "names by number": {str(number): name for number, name in enumerate(NAMES)},
    "features": {"features": {"chunk_tags": {"names": ["O", "B-NP"]}, **FEATURES["info"]["features"]}},
}


def write_numbers(tmp_path):
    return write(tmp_path, "train.jsonl", "\n".join(map(json.dumps, NUMBERS)).encode("utf8"))


def test_numbers_without_names_are_refused(tmp_path):
    source = write_numbers(tmp_path)
    assert detect(source) == "huggingface"
    result = run_command(corpus_cli, source, tmp_path / "corpus")
    assert_refused(result, f"{source}, line 1: the tags are numbers", "--label-names O,B-PER,I-PER")


@pytest.mark.parametrize("content", [None, *FILES.values()], ids=["option", *FILES])
def test_names_of_numbers(tmp_path, content):
    names = ",".join(NAMES) if content is None else write(tmp_path, "names.json", json.dumps(content).encode())
    options = ["-n", 1, "--dev-share", 0.34, "--test-share", 0.34, "--label-names", names]
    result = run_command(corpus_cli, write_numbers(tmp_path), tmp_path / "corpus", *options)
    assert result.exit_code == 0, result.output
    assert summarize_corpus(tmp_path / "corpus") == sorted(EXPECTED)


def test_too_few_names_are_refused(tmp_path):
    with pytest.raises(UserError, match="line 1: the tag 5 has no name, as `--label-names` has 3"):
        read(write_numbers(tmp_path), "huggingface", label_names=tuple(NAMES[:3]))
    with pytest.raises(UserError, match="names.json has no names of tags"):
        parse_label_names(str(write(tmp_path, "names.json", b'{"a": {}}')))


@pytest.mark.parametrize("metadata", [{}, {b"huggingface": json.dumps(FEATURES).encode()}], ids=["bare", "features"])
def test_parquet(tmp_path, metadata):
    """Data sets that were written with `datasets` have the names in the file."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist(NUMBERS).replace_schema_metadata(metadata)
    parquet.write_table(table, tmp_path / "train.parquet")
    assert detect(tmp_path / "train.parquet") == "huggingface"
    names = () if metadata else tuple(NAMES)
    assert summarize(read(tmp_path / "train.parquet", "huggingface", label_names=names)) == EXPECTED


def test_damaged_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(UserError, match="train.parquet is no Parquet file, or damaged"):
        read(write(tmp_path, "train.parquet", b"PAR1 and nothing else"), "huggingface")


@pytest.mark.parametrize(
    "record, expected",
    [
        ({"tokens": ["Ada", "sang"], "ner_tags": ["B-PER"]}, "line 1: there are 2 tokens and 1 tags"),
        ({"tokens": ["Ada", " "], "ner_tags": ["B-PER", "O"]}, "line 1: expected tokens that are not empty"),
        ({"tokens": ["Ada"], "pos_tags": ["NNP"]}, 'line 1: expected lists in "tokens" and "ner_tags", got the keys'),
        ({"tokens": ["Ada"], "ner_tags": ["PER"]}, "line 1: unknown tag 'PER'"),
    ],
)
def test_broken_records_are_refused(tmp_path, record, expected):
    with pytest.raises(UserError, match=expected):
        read(write(tmp_path, "train.jsonl", json.dumps(record).encode()), "huggingface")
