"""What `scripts.optimize` refuses before it searches."""

import shutil

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from scripts import compiled_transformer  # noqa: F401
from scripts.optimize import optimize_cli

from ..helpers import assert_refused, has_gpu, read_docs, run_command
from .searches import make_pipeline, read_files


def drop_transformer(config):
    config["nlp"]["pipeline"].remove("transformer")
    del config["components"]["transformer"]
    config["components"]["ner"] = {"factory": "ner"}


def drop_listeners(config):
    config["components"]["ner"] = {"factory": "ner"}


@pytest.mark.parametrize(
    "change,expected",
    [
        (drop_transformer, ["no transformer", "Expected a `transformer`"]),
        (drop_listeners, ["No component", "listens", "TransformerListener"]),
    ],
)
def test_pipeline_that_cannot_be_compiled(change, expected, tiny_encoder, train_corpus, dev_corpus, tmp_path):
    make_pipeline(tiny_encoder, dev_corpus, tmp_path / "other", change)
    assert_optimize_refused(tmp_path, tmp_path / "other", train_corpus, dev_corpus, expected=expected)


def assert_optimize_refused(tmp_path, reference, train, dev, *options, expected):
    output = tmp_path / "out" / "compiled"
    result = run_command(optimize_cli, reference, output, train, dev, tmp_path / "metrics", *options)
    assert_refused(result, *expected)
    assert not output.exists()
    assert not (tmp_path / "metrics").exists()


@pytest.mark.parametrize("place", [".", "inside", ".."])
def test_output_that_would_replace_the_reference(place, reference_path, train_corpus, dev_corpus, tmp_path):
    reference = shutil.copytree(reference_path, tmp_path / "folder" / "pipeline")
    before = read_files(reference)
    result = run_command(optimize_cli, reference, reference / place, train_corpus, dev_corpus, tmp_path / "metrics")
    assert_refused(result, reference, "only read", "another output")
    assert read_files(reference) == before


def test_folder_that_no_search_made_is_kept(reference_path, train_corpus, dev_corpus, tmp_path):
    kept = tmp_path / "out" / "compiled-candidates" / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("somebody's own")
    expected = [kept.parent, "no search made it"]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, dev_corpus, expected=expected)
    assert kept.read_text() == "somebody's own"


def test_reference_that_fails_on_the_corpus(reference_path, train_corpus, dev_corpus, tmp_path):
    DocBin(docs=[*read_docs(dev_corpus), Doc(spacy.blank("en").vocab)]).to_disk(tmp_path / "dev.spacy")
    expected = ["The trained pipeline failed", reference_path]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, tmp_path / "dev.spacy", expected=expected)


def test_missing_pipeline(train_corpus, dev_corpus, tmp_path):
    expected = [tmp_path / "nowhere", "project run train"]
    assert_optimize_refused(tmp_path, tmp_path / "nowhere", train_corpus, dev_corpus, expected=expected)


@pytest.mark.parametrize("missing", ["train", "dev"])
def test_missing_corpus(missing, reference_path, train_corpus, dev_corpus, tmp_path):
    corpora = {"train": train_corpus, "dev": dev_corpus, missing: tmp_path / f"{missing}.spacy"}
    expected = [tmp_path / f"{missing}.spacy", "project run corpus"]
    assert_optimize_refused(tmp_path, reference_path, corpora["train"], corpora["dev"], expected=expected)


def test_no_text_at_all(reference_path, tmp_path):
    result = run_command(optimize_cli, reference_path, tmp_path / "compiled")
    assert_refused(result, "no text to compare pipelines on", "--text")


def test_unknown_candidate(reference_path, train_corpus, dev_corpus, tmp_path):
    expected = ["--candidates", "'fastest'", "openvino-int8"]
    options = ("--candidates", "openvino-int8,fastest")
    assert_optimize_refused(tmp_path, reference_path, train_corpus, dev_corpus, *options, expected=expected)


@pytest.mark.parametrize("value", ["much", "1.5", "entities=-1", "names=0.9"])
def test_agreement_that_is_none(value, reference_path, train_corpus, dev_corpus, tmp_path):
    expected = ["--min-agreement", repr(value), "entities=0.99"]
    options = ("--min-agreement", value)
    assert_optimize_refused(tmp_path, reference_path, train_corpus, dev_corpus, *options, expected=expected)


@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_gpu_where_there_is_none(reference_path, train_corpus, dev_corpus, tmp_path):
    expected = ["GPU 0 was asked for", "--vars.gpu -1"]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, dev_corpus, "--gpu", 0, expected=expected)


def test_unknown_objective(reference_path, train_corpus, dev_corpus, tmp_path):
    options = ("--objective", "beauty")
    expected = ["'beauty'", "throughput, latency, size"]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, dev_corpus, *options, expected=expected)
