"""`configs/long.cfg`, which names an optimizer of this project."""

import subprocess
import sys

import pytest
from spacy.util import load_config

from ..helpers import ROOT, assert_refused
from .test_train import STEPS, run_train


def test_config_for_long_trainings(tiny_corpus, tiny_encoder, tmp_path):
    arguments = (ROOT / "configs" / "long.cfg", tiny_corpus, tiny_encoder, tmp_path / "training", *STEPS)
    result = run_train(*arguments, "--learn-rate", "1e-4", "--training.optimizer.layers", 1)
    assert_refused(result, "`training.optimizer.layers` is 1. Set the layers that it has")
    result = run_train(*arguments, "--learn-rate", "1e-4")
    assert result.exit_code == 0, result.output
    config = load_config(tmp_path / "training" / "model-best" / "config.cfg")
    assert config["training"]["optimizer"]["learn_rate"]["initial_rate"] == 1e-4


@pytest.mark.slow
def test_pipeline_of_a_long_training_is_loaded_without_this_project(tiny_corpus, tiny_encoder, tmp_path):
    """Its config names an optimizer that spaCy doesn't know, and doesn't need to run it."""
    arguments = (ROOT / "configs" / "long.cfg", tiny_corpus, tiny_encoder, tmp_path / "training", *STEPS)
    assert run_train(*arguments).exit_code == 0
    code = "import sys, spacy; print(len(spacy.load(sys.argv[1])('Ada met Karl .')))"
    command = [sys.executable, "-c", code, str(tmp_path / "training" / "model-best")]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout == "4\n", result.stderr
