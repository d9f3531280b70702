"""`scripts.sweep`: one table of several trainings, of which the finished ones are not repeated."""

import pytest
import srsly

from scripts.sweep import sweep_cli
from scripts.training.settings import TrainingSettings
from scripts.training.sweep import describe_training, is_finished, make_overrides

from ..helpers import assert_refused, cut_corpus, run_with_overrides
from .test_train import CONFIG


def run_sweep(*arguments):
    return run_with_overrides(sweep_cli, *arguments)


@pytest.fixture(scope="module")
def corpus(corpus_dir, tmp_path_factory):
    """A folder with four Docs of three sentences in train.spacy, and two Docs in dev.spacy."""
    return cut_corpus(corpus_dir, tmp_path_factory.mktemp("sweep_corpus"), train=4, dev=2)


def test_equal_epochs():
    for size, steps in ((1, 36), (32, 3), (5, 9)):
        overrides = make_overrides(12, size, 1e-4, epochs=3)
        assert overrides["training.max_steps"] == steps
        assert 3 * overrides["training.eval_frequency"] == steps


def test_edited_config_is_another_training(tmp_path):
    config, folder = tmp_path / "my.cfg", tmp_path / "sweep"
    config.write_text(CONFIG.read_text(encoding="utf8"), encoding="utf8")
    settings = TrainingSettings(config, tmp_path / "corpus", tmp_path / "encoder", tmp_path / "training")
    about = (settings, make_overrides(12, 6, 1e-4, epochs=2))
    folder.mkdir()
    srsly.write_json(folder / "sweep.json", describe_training(*about))
    assert is_finished(folder, describe_training(*about))
    config.write_text(f"{config.read_text(encoding='utf8')}\n[training.logger]\n", encoding="utf8")
    assert not is_finished(folder, describe_training(*about))


@pytest.mark.slow
def test_sweep(corpus, tiny_encoder, tmp_path):
    """Two trainings, one of them with a learning rate that no weights survive."""
    arguments = (CONFIG, corpus, tiny_encoder, tmp_path / "training", tmp_path / "metrics", "--epochs", 2)
    options = ("--batch-sizes", "6", "--learning-rates", "1e-4,1e30", "--training.dropout", 0.0)
    result = run_sweep(*arguments, *options)
    assert result.exit_code == 0, result.output
    good, failed = srsly.read_json(tmp_path / "metrics" / "sweep.json")["runs"]
    assert (good["batch_size"], good["learning_rate"], good["steps"]) == (6, 1e-4, 5)
    assert good["samples_per_second"] > 0 and 0 <= good["ents_f"] <= 1
    assert "Lower the learning rate" in failed["error"] and "ents_f" not in failed
    report = (tmp_path / "metrics" / "sweep.md").read_text()
    assert "2 epochs of 12 samples" in report and "| 6 | 0.0001 | 5 |" in report and "failed: The " in report

    folder = tmp_path / "training" / "sweep" / "batch-6-rate-0.0001"
    settings = srsly.read_json(folder / "metrics" / "training.json")["settings"]["training"]
    assert settings["batcher"]["@batchers"] == "spacy.batch_by_sequence.v1" and settings["batcher"]["size"] == 6
    assert settings["dropout"] == 0.0

    written = (folder / "metrics" / "training.json").stat().st_mtime_ns
    result = run_sweep(*arguments, "--batch-sizes", "6", "--learning-rates", "1e-4", "--training.dropout", 0.0)
    assert result.exit_code == 0, result.output
    assert (folder / "metrics" / "training.json").stat().st_mtime_ns == written
    assert srsly.read_json(tmp_path / "metrics" / "sweep.json")["runs"] == [good]


@pytest.mark.parametrize("sizes", ["many", "0", "1,,2", "-3"])
def test_batch_sizes_that_are_none(sizes, corpus, tiny_encoder, tmp_path):
    result = run_sweep(CONFIG, corpus, tiny_encoder, tmp_path, tmp_path / "metrics", "--batch-sizes", sizes)
    assert_refused(result, "--batch-sizes", sizes, "1,32,64,128")


def test_file_as_output_folder(corpus, tiny_encoder, tmp_path):
    (tmp_path / "file").write_text("mine")
    result = run_sweep(CONFIG, corpus, tiny_encoder, tmp_path / "file", tmp_path / "metrics")
    assert_refused(result, f"Can't write {tmp_path / 'file' / 'sweep'}", "is a file, not a folder")


def test_missing_config(corpus, tiny_encoder, tmp_path):
    result = run_sweep(tmp_path / "no.cfg", corpus, tiny_encoder, tmp_path, tmp_path / "metrics")
    assert_refused(result, tmp_path / "no.cfg", "--vars.config")
