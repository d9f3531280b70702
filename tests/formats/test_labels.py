"""Labels that are renamed, dropped, or refused."""

from collections import Counter

import pytest

from scripts.corpus import corpus_cli
from scripts.formats.convert import SPLITS, convert
from scripts.formats.labels import parse_labels
from scripts.formats.settings import CorpusSettings, ReaderSettings

from ..helpers import assert_refused, get_entities, run_command
from .samples import SAMPLES, SHARES, WIKINER, as_doc, read_text, write


def test_labels_are_renamed_and_dropped(tmp_path):
    source = write(tmp_path, *SAMPLES["kaggle"][::2])
    counts = convert(
        source,
        tmp_path / "corpus",
        CorpusSettings(reader=ReaderSettings(labels=parse_labels("geo=LOC, per=PER,tim=")), n_sents=1, **SHARES),
    )
    labels = sum((Counter(counts["splits"][split]["entities"]) for split in SPLITS), Counter())
    assert labels == {"LOC": 2, "PER": 6, "org": 2, "art": 1}
    assert counts["labels"] == {"geo": "LOC", "per": "PER", "tim": ""}


def test_entities_that_get_one_label_stay_apart(tmp_path):
    text = "Sentence #,Word,POS,Tag\nSentence: 1,Oslo,NNP,B-geo\n,Norway,NNP,B-gpe\n"
    (sentence,) = read_text(tmp_path, "kaggle", text)
    renamed = sentence._replace(tags=parse_labels("geo=LOC,gpe=LOC").rename(sentence.tags))
    assert get_entities(as_doc(renamed)) == [(0, 1, "LOC"), (1, 2, "LOC")]


def test_map_adds_to_the_labels_of_wikiner(tmp_path):
    text = WIKINER.replace("I-MISC", "I-OPUS")
    assert_refused(
        run_command(corpus_cli, write(tmp_path, "source.txt", text.encode("utf8")), tmp_path / "corpus"),
        "line 12: unknown tag 'I-OPUS'. Expected the labels LOC, MISC, ORG, PER",
    )
    counts = convert(
        tmp_path / "source.txt",
        tmp_path / "corpus",
        CorpusSettings(reader=ReaderSettings(labels=parse_labels("OPUS=MISC")), n_sents=1, **SHARES),
    )
    assert sum(counts["splits"][split]["entities"].get("MISC", 0) for split in SPLITS) == 1


@pytest.mark.parametrize("sample", SAMPLES)
def test_bare_labels_make_the_list_complete(tmp_path, sample):
    name, format_name, data = SAMPLES[sample]
    source = write(tmp_path, name, data)
    missing = "art" if format_name == "kaggle" else "MISC"
    labels = "per,geo=LOC,org,tim=" if format_name == "kaggle" else "PER,LOC,ORG"
    result = run_command(corpus_cli, source, tmp_path / "corpus", "--labels", labels)
    line = {"wikiner": 12, "conll": 42, "indexed": 39, "kaggle": 32, "prodigy": 8, "doccano": 6}.get(sample)
    assert_refused(result, f"{source}, line {line}:" if line else f"{source}, ", "unknown", f"{missing}'")
    assert not (tmp_path / "corpus").exists()
    result = run_command(corpus_cli, source, tmp_path / "corpus", "-n", 1, "--labels", f"{labels},{missing}")
    assert result.exit_code == 0, result.output


def test_labels_that_no_entity_has_are_reported(tmp_path):
    source = write(tmp_path, *SAMPLES["conll"][::2])
    options = ["-n", 1, "--dev-share", 0.34, "--test-share", 0.34]
    result = run_command(corpus_cli, source, tmp_path / "corpus", *options, "--labels", "PRE=PER")
    assert result.exit_code == 0
    assert "No entity has the label PRE" in result.output


@pytest.mark.parametrize(
    "labels, expected",
    [
        ("geo=LOC=PER", "got 'geo=LOC=PER'"),
        ("=LOC", "got '=LOC'"),
        ("geo=LOC,", "got ''"),
        ("geo=LOC,geo=PER", "'geo' is there twice"),
    ],
)
def test_bad_label_maps_are_refused(tmp_path, labels, expected):
    source = write(tmp_path, *SAMPLES["kaggle"][::2])
    assert_refused(run_command(corpus_cli, source, tmp_path / "corpus", "--labels", labels), "--labels", expected)
