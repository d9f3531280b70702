"""`scripts.train`: a short training, and what is kept when one fails."""

import shutil

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.util import load_config
from typer import Typer
from typer.testing import CliRunner

from scripts import train as script
from scripts.train import train_cli

from .helpers import ROOT, assert_refused, has_gpu, read_docs

CONFIG = ROOT / "configs" / "default.cfg"
STEPS = ("--training.max_steps", 2, "--training.eval_frequency", 1)


def run_train(config, corpus_dir, encoder, output_dir, *options):
    """Run the command as its module does: what it does not know is an override."""
    app = Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train_cli)
    return CliRunner().invoke(app, [str(argument) for argument in (config, corpus_dir, encoder, output_dir, *options)])


@pytest.fixture(scope="module")
def tiny_corpus(corpus_dir, tmp_path_factory):
    """A folder with eight Docs of train.spacy and two of dev.spacy."""
    folder = tmp_path_factory.mktemp("tiny_corpus")
    for split, n_docs in (("train", 8), ("dev", 2)):
        DocBin(docs=read_docs(corpus_dir / f"{split}.spacy")[:n_docs]).to_disk(folder / f"{split}.spacy")
    return folder


@pytest.fixture
def old_training(tmp_path):
    """A training folder with the models of an earlier run."""
    folder = tmp_path / "training"
    for name in ("model-best", "model-last"):
        (folder / name).mkdir(parents=True)
        (folder / name / "meta.json").write_text("old")
    return folder


def assert_untouched(folder):
    for name in ("model-best", "model-last"):
        assert {path.name: path.read_text() for path in (folder / name).iterdir()} == {"meta.json": "old"}


def test_training_replaces_the_models(tiny_corpus, tiny_encoder, old_training):
    options = (*STEPS, "--system.seed", 3, "--training.dropout", 0.25)
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *options)
    assert result.exit_code == 0, result.output
    assert {path.name for path in old_training.iterdir()} == {"model-best", "model-last"}
    for name in ("model-best", "model-last"):
        config = load_config(old_training / name / "config.cfg", interpolate=True)
        assert config["training"]["max_steps"] == 2
        assert config["training"]["eval_frequency"] == 1
        assert config["training"]["dropout"] == 0.25
        assert config["training"]["seed"] == 3
        assert config["paths"]["encoder"] == str(tiny_encoder)
        assert config["corpora"]["train"]["path"] == str(tiny_corpus / "train.spacy")
        assert config["corpora"]["dev"]["path"] == str(tiny_corpus / "dev.spacy")
    nlp = spacy.load(old_training / "model-best")
    assert nlp.pipe_names == ["transformer", "ner"]
    assert nlp.get_pipe("transformer").model.transformer.config.num_hidden_layers == 2  # The encoder that was given.
    assert len(nlp("Ada met Karl in Bergen .")) == 6


def test_training_starts_after_one_that_was_killed(tiny_corpus, tiny_encoder, old_training):
    (old_training / "in-progress" / "model-best").mkdir(parents=True)
    (old_training / "in-progress" / "model-best" / "meta.json").write_text("half")
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *STEPS)
    assert result.exit_code == 0, result.output
    assert {path.name for path in old_training.iterdir()} == {"model-best", "model-last"}
    assert spacy.util.load_meta(old_training / "model-best" / "meta.json")["pipeline"] == ["transformer", "ner"]


def test_training_that_fails_leaves_the_models(tiny_corpus, tiny_encoder, old_training, monkeypatch):
    def fail(config, output, **_):
        (output / "model-best").mkdir(parents=True)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(script, "spacy_train", fail)
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *STEPS)
    assert result.exit_code == 1
    assert_untouched(old_training)


def test_override_that_is_wrong(tiny_corpus, tiny_encoder, old_training):
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *STEPS, "--training.max_steps", "many")
    assert result.exit_code == 1
    assert "'many' is not <class 'int'>" in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert_untouched(old_training)


@pytest.mark.parametrize("missing", ["train", "dev"])
def test_missing_corpus(missing, tiny_corpus, tiny_encoder, old_training, tmp_path):
    shutil.copytree(tiny_corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / f"{missing}.spacy").unlink()
    result = run_train(CONFIG, tmp_path / "corpus", tiny_encoder, old_training, *STEPS)
    assert_refused(result, tmp_path / "corpus" / f"{missing}.spacy", "project run corpus")
    assert_untouched(old_training)


def test_missing_config(tiny_corpus, tiny_encoder, old_training, tmp_path):
    result = run_train(tmp_path / "no.cfg", tiny_corpus, tiny_encoder, old_training, *STEPS)
    assert_refused(result, tmp_path / "no.cfg", "--vars.config")
    assert_untouched(old_training)


def test_missing_encoder(tiny_corpus, old_training, tmp_path):
    result = run_train(CONFIG, tiny_corpus, tmp_path / "encoder", old_training, *STEPS)
    assert_refused(result, tmp_path / "encoder", "project run encoder")
    assert_untouched(old_training)


def test_encoder_without_weights(tiny_corpus, tiny_encoder, old_training, tmp_path):
    shutil.copytree(tiny_encoder, tmp_path / "encoder")
    (tmp_path / "encoder" / "model.safetensors").unlink()
    result = run_train(CONFIG, tiny_corpus, tmp_path / "encoder", old_training, *STEPS)
    assert_refused(result, tmp_path / "encoder", "model.safetensors", "project run encoder")
    assert_untouched(old_training)


def test_corpus_of_another_format(tiny_corpus, tiny_encoder, old_training, tmp_path):
    shutil.copytree(tiny_corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / "train.spacy").write_text("Ada met Karl .")
    result = run_train(CONFIG, tmp_path / "corpus", tiny_encoder, old_training, *STEPS)
    assert_refused(result, tmp_path / "corpus" / "train.spacy", "is not a .spacy corpus")
    assert_untouched(old_training)


@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_gpu_where_there_is_none(tiny_corpus, tiny_encoder, old_training):
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *STEPS, "--gpu", 0)
    assert_refused(result, "GPU 0 was asked for", "--vars.gpu -1")
    assert_untouched(old_training)
