"""`scripts.train_distributed`: two processes do what one does, end together, and continue."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import spacy
import srsly
import torch
import torch.distributed as distributed

from scripts.train_distributed import train_distributed_cli
from scripts.training.parameters import walk_parameters

from ..helpers import ROOT, assert_refused, cut_corpus, run_with_overrides
from .test_train import CONFIG, assert_same_weights, run_train

LEARNING_RATE = 1e-4


@pytest.fixture(scope="module")
def corpus(corpus_dir, tmp_path_factory):
    """A folder with 14 Docs of train.spacy and two of dev.spacy."""
    return cut_corpus(corpus_dir, tmp_path_factory.mktemp("distributed_corpus"), train=14, dev=2)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The default config with nothing random, and an optimizer that does not divide by rounding errors."""
    path = tmp_path_factory.mktemp("config") / "steady.cfg"
    loaded = spacy.util.load_config(CONFIG)
    loaded["components"]["ner"]["update_with_oracle_cut_size"] = 0
    loaded["components"]["transformer"]["model"]["transformer_config"]["hidden_dropout_prob"] = 0.0
    loaded["training"]["dropout"] = 0.0
    loaded["training"]["optimizer"]["eps"] = 1e-4
    loaded["training"]["optimizer"]["learn_rate"]["initial_rate"] = LEARNING_RATE
    loaded["training"]["batcher"] = {"@batchers": "spacy.batch_by_sequence.v1", "size": 5}
    loaded.to_disk(path)
    return path


def list_options(**settings):
    """RETURNS (List[str]): Settings of the training section as options."""
    return [str(part) for name, value in settings.items() for part in (f"--training.{name}", value)]


def start_ranks(n_ranks, *arguments):
    """RETURNS (subprocess.Popen): torchrun, with the ranks as its children."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n_ranks)]
    command = [*launcher, "-m", "scripts.train_distributed", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf8"
    )


def run_alone(monkeypatch, *arguments):
    """RETURNS (Result): The command as the only rank, in this process."""
    ranks = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1}
    for name, value in {**ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 0}.items():  # Any port: no other rank asks.
        monkeypatch.setenv(name, str(value))
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    try:
        return run_with_overrides(train_distributed_cli, *arguments)
    finally:
        # What a process leaves to its end after an error.
        if distributed.is_initialized():
            distributed.destroy_process_group()
        signal.signal(signal.SIGTERM, handler)
        signal.set_wakeup_fd(-1)
        torch.set_num_threads(threads)


def assert_nearly_same_weights(one, other):
    """Two pipelines have the same weights, but for a few that a single step tells apart.

    Where two transitions score the same, rounding decides which one the NER follows, and that changes its next gradient.
    """
    expected, found = (walk_parameters(nlp, ["transformer", "ner"]) for nlp in (one, other))
    assert [parameter.name for parameter in expected] == [parameter.name for parameter in found]
    for mine, theirs in zip(expected, found):
        difference = abs(theirs.weights.numpy() - mine.weights.numpy())
        assert difference.max() < LEARNING_RATE, mine.name
        assert (difference > 0.1 * LEARNING_RATE).mean() < 0.05, mine.name


@pytest.mark.slow
@pytest.mark.parametrize(
    "size, accumulate, one_process",
    [
        # Each batch is cut into two, two and one samples: of the last, the second rank gets nothing. Over two epochs, with
        # one rank, for without ranks spacy-transformers draws from the generator that shuffles the next epoch.
        (5, 2, "one rank"),
        # The second rank never gets anything, and has no gradients of its own.
        (1, 1, "train"),
    ],
)
def test_two_processes_train_what_one_does(
    size, accumulate, one_process, corpus, config, tiny_encoder, tmp_path, monkeypatch
):
    settings = {"batcher.size": size, "accumulate_gradient": accumulate, "max_steps": 9, "eval_frequency": 3}
    options = [*list_options(**settings), "--fp32", "--metrics"]
    ranks = start_ranks(2, config, corpus, tiny_encoder, tmp_path / "two", *options, tmp_path / "two")
    arguments = (config, corpus, tiny_encoder, tmp_path / "one", *options, tmp_path / "one")
    result = run_train(*arguments) if one_process == "train" else run_alone(monkeypatch, *arguments)
    printed, _ = ranks.communicate()
    assert result.exit_code == 0, result.output
    assert ranks.returncode == 0, printed
    one, two = (srsly.read_json(tmp_path / name / "training.json") for name in ("one", "two"))
    assert two["settings"]["ranks"] == 2
    assert one["evaluations"][-1]["epoch"] == (1 if one_process == "one rank" else 0)
    for mine, theirs in zip(one["evaluations"], two["evaluations"], strict=True):
        for kind in ("step", "epoch", "words", "samples"):
            assert mine[kind] == theirs[kind]
        assert theirs["losses"] == pytest.approx(mine["losses"], rel=1e-4)
    for name in ("model-best", "model-last"):
        assert_nearly_same_weights(*(spacy.load(tmp_path / run / name) for run in ("one", "two")))
    assert printed.count("Pipeline:") == 1  # One rank prints.
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        "model-best", "model-last", "training.json", "training.png",
    }  # fmt: skip


@pytest.mark.slow
def test_killed_rank_ends_all(corpus, config, tiny_encoder, tmp_path):
    # So many steps that it is killed before the last one.
    arguments = (config, corpus, tiny_encoder, tmp_path, *list_options(max_steps=100_000, eval_frequency=2), "--fp32")
    ranks = start_ranks(2, *arguments)
    checkpoint = tmp_path / "checkpoint" / "training.json"
    while not checkpoint.is_file() and ranks.poll() is None:
        time.sleep(0.1)  # The checkpoint is the sign; how long it takes does not matter.
    children = Path(f"/proc/{ranks.pid}/task/{ranks.pid}/children").read_text().split()
    workers = [pid for pid in map(int, children) if get_environment(pid).get("RANK") == "1"]
    assert len(workers) == 1
    os.kill(workers[0], signal.SIGKILL)
    printed, _ = ranks.communicate(timeout=30)  # What the issue asks for.
    assert ranks.returncode != 0
    assert re.search("Rank 0 (lost the others|stops: another rank ended)", printed), printed
    assert "--resume" in printed
    assert not any(Path(f"/proc/{pid}").exists() for pid in map(int, children))
    assert srsly.read_json(checkpoint)["progress"]["step"] % 2 == 1
    assert not (tmp_path / "model-best").exists()


def get_environment(pid):
    lines = Path(f"/proc/{pid}/environ").read_bytes().decode("utf8").split("\0")
    return dict(line.partition("=")[::2] for line in lines)


def test_resumed_training_ends_as_an_uninterrupted_one(corpus, tiny_encoder, tmp_path, monkeypatch):
    """With dropout and random cuts, too: a step draws the same numbers whenever it is made."""

    class Interrupted(Exception):
        pass

    stop_at = 5

    @spacy.registry.callbacks("tests.StopTraining.v1")
    def make_callback():
        def stop(nlp, progress):
            if progress["step"] == stop_at:
                raise Interrupted

        return stop

    config = tmp_path / "stop.cfg"
    loaded = spacy.util.load_config(CONFIG)
    loaded["training"]["before_update"] = {"@callbacks": "tests.StopTraining.v1"}
    loaded.to_disk(config)
    steps = {"max_steps": 8, "eval_frequency": 2}
    options = (*list_options(**steps, **{"batcher.size": 120}), "--fp32")

    interrupted = run_alone(monkeypatch, config, corpus, tiny_encoder, tmp_path / "resumed", *options)
    assert isinstance(interrupted.exception, Interrupted)
    checkpoint = srsly.read_json(tmp_path / "resumed" / "checkpoint" / "training.json")
    assert checkpoint["progress"]["step"] == 5  # The steps 0 to 4, of which the last was evaluated.

    other = list_options(**steps, **{"batcher.size": 121})
    refused = run_alone(monkeypatch, config, corpus, tiny_encoder, tmp_path / "resumed", *other, "--fp32", "--resume")
    assert_refused(refused, "training.batcher", "120", "121", "--resume")

    stop_at = None
    for name, resume in (("resumed", ["--resume"]), ("whole", [])):
        metrics = ("--metrics", tmp_path / name)
        result = run_alone(monkeypatch, config, corpus, tiny_encoder, tmp_path / name, *options, *metrics, *resume)
        assert result.exit_code == 0, result.output
    resumed, whole = (srsly.read_json(tmp_path / name / "training.json") for name in ("resumed", "whole"))
    for kind in ("step", "epoch", "words", "samples", "score", "losses"):
        assert [one[kind] for one in resumed["evaluations"]] == [one[kind] for one in whole["evaluations"]]
    for name in ("model-best", "model-last"):
        assert_same_weights(*(spacy.load(tmp_path / run / name) for run in ("whole", "resumed")), atol=0.0)
    assert not (tmp_path / "resumed" / "checkpoint").exists()

    result = run_alone(monkeypatch, config, corpus, tiny_encoder, tmp_path / "resumed", *options, "--resume")
    assert_refused(result, "no checkpoint", "--resume")


def test_file_as_output_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    paths = (CONFIG, tmp_path / "corpus", tmp_path / "encoder", tmp_path / "file")
    assert_refused(run_alone(monkeypatch, *paths), f"Can't write {tmp_path / 'file'}", "is a file, not a folder")


def test_without_torchrun(corpus, tiny_encoder, tmp_path, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    result = run_with_overrides(train_distributed_cli, CONFIG, corpus, tiny_encoder, tmp_path)
    assert_refused(result, "torch.distributed.run")
