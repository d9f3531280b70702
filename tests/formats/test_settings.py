"""Languages and the values of options."""

import bz2
import json

import pytest
import spacy

from scripts.corpus import corpus_cli

from ..helpers import assert_refused, run_command
from .samples import EXPECTED, SAMPLES, WIKINER, read, read_files, summarize_corpus, write, write_json

LANGUAGES = ["de", "en", "es", "fr", "it", "nl", "pl", "pt", "ru"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_languages_of_wikiner(tmp_path, lang):
    source = write(tmp_path, f"aij-wikiner-{lang}-wp3.bz2", bz2.compress(WIKINER.encode("utf8")))
    options = ["-n", 1, "--lang", lang, "--dev-share", 0.34, "--test-share", 0.34]
    result = run_command(corpus_cli, source, tmp_path / "corpus", *options, "--metrics", tmp_path / "corpus.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "corpus.json").read_text())["lang"] == lang
    assert summarize_corpus(tmp_path / "corpus") == sorted(EXPECTED)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_texts_are_tokenized_in_their_language(tmp_path, lang):
    text = "L'ami de z.B. Zoë, don't, c'è l'art. 5 e/ou Nr. 7 (т.е.)."
    (sentence,) = read(write_json(tmp_path, text=text, spans=[]), "jsonl", lang=lang)
    assert sentence.words == [token.text for token in spacy.blank(lang)(text)]


def test_unknown_language_is_refused(tmp_path):
    source = write(tmp_path, *SAMPLES["conll"][::2])
    assert_refused(run_command(corpus_cli, source, tmp_path / "corpus", "--lang", "qq"), "no language 'qq'")


@pytest.mark.parametrize(
    "option, value, expected",
    [
        ("--format", "xml", "unknown value 'xml'. Expected one of auto, wikiner, conll, jsonl, huggingface"),
        ("--misaligned", "ignore", "unknown value 'ignore'. Expected one of error, skip"),
        ("--repeated", "all", "unknown value 'all'. Expected one of error, union, first, most"),
        ("--scheme", "bio", "unknown value 'bio'. Expected one of auto, io"),
        ("--columns", "word,lemma,tag", "unknown value 'lemma'. Expected one of word, pos, tag, _"),
        ("--columns", "word,_,_", "expected one word and one tag, as in word,_,tag, got 'word,_,_'"),
        ("--encoding", "klingon", "there is no encoding 'klingon'"),
        ("--encoding", "utf16", "has no lines of single bytes"),
    ],
)
def test_unknown_values_are_refused(tmp_path, option, value, expected):
    source = write(tmp_path, *SAMPLES["conll"][::2])
    assert_refused(run_command(corpus_cli, source, tmp_path / "corpus", option, value), option, expected)


def test_empty_options_are_not_given(tmp_path):
    """weasel has no conditions: its commands give every option, empty or not."""
    source = write(tmp_path, *SAMPLES["conll"][::2])
    shares = ["-n", 1, "--dev-share", 0.34, "--test-share", 0.34]
    empty = [
        part
        for name in (
            "format",
            "dev",
            "test",
            "labels",
            "lang",
            "encoding",
            "misaligned",
            "repeated",
            "columns",
            "scheme",
            "label-names",
        )
        for part in (f"--{name}", "")
    ]
    assert run_command(corpus_cli, source, tmp_path / "given", *shares, *empty).exit_code == 0
    assert run_command(corpus_cli, source, tmp_path / "bare", *shares).exit_code == 0
    assert read_files(tmp_path / "given") == read_files(tmp_path / "bare")
