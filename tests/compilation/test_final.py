"""The final: candidates and the reference in the same rounds, so that noise does not choose."""

import contextlib
import subprocess
import sys

import numpy
import pytest

from scripts.benchmarking.process import PipelineProcess
from scripts.common.corpora import read_corpus
from scripts.compilation import trial as trial_module
from scripts.compilation.candidates import Workbench
from scripts.compilation.final import choose_finalists, hold_final, is_noisy, summarize_rounds
from scripts.compilation.gate import Gate
from scripts.compilation.reference import load_reference
from scripts.compilation.selection import choose
from scripts.compiled_transformer.cpu import available_cores

from .searches import SAFE

# Keeps a core busy, then idle, for a tenth of a second to a second each.
BURN = """
import random, sys, time
random.seed(int(sys.argv[1]))
while True:
    end = time.perf_counter() + random.uniform(0.1, 1)
    while time.perf_counter() < end:
        pass
    time.sleep(random.uniform(0.1, 1))
"""


def make_row(name, words_per_second, speedup, **fields):
    return {
        "name": name, "status": "passed", "engine": "openvino", "precision": "int8", "settings": {}, "reason": "",
        "words_per_second": words_per_second, "speedup": speedup, "p50_ms": 1e4 / words_per_second,
        "latency_speedup": speedup, "size_mb": 1.0, **fields,
    }  # fmt: skip


def test_finalists_are_the_best_by_ratio_and_by_their_own_speed():
    """Two by each: where the reference had a slow moment, the ratio alone would leave the fastest out."""
    rows = [
        make_row("lucky", 8218, 8.46),
        make_row("lucky too", 8000, 8.2),
        make_row("fast", 13231, 6.1),
        make_row("slow", 3000, 2.0),
        make_row("rejected", 20000, 20.0, status="rejected"),
    ]
    assert {row["name"] for row in choose_finalists(rows, "throughput")} == {"lucky", "lucky too", "fast"}


@pytest.mark.parametrize("seed", range(20))
def test_choice_stands_when_the_machine_is_busy_at_random(seed):
    """Rounds in which everything is slowed down by up to five times, and each runner by up to a third by itself."""
    random = numpy.random.default_rng(seed)
    load = random.choice([1.0, 1.0, 0.5, 0.2], size=7)
    true = {"reference": 2000.0, "fast": 13000.0, "slower": 9000.0, "slowest": 8000.0}
    rounds = {name: (speed * load * random.uniform(0.75, 1.0, size=7)).tolist() for name, speed in true.items()}
    rows = []
    for name in ("slower", "fast", "slowest"):
        row = make_row(name, 1.0, 1.0)
        row.update(summarize_rounds("throughput", rounds["reference"], rounds[name]))
        rows.append(row)
    assert choose(rows, "throughput") == "fast"


def test_busy_machine_is_said():
    quiet = make_row("a", 1.0, 1.0) | summarize_rounds("throughput", [100.0, 110.0], [900.0, 990.0])
    busy = make_row("b", 1.0, 1.0) | summarize_rounds("throughput", [100.0, 40.0], [900.0, 350.0])
    assert not is_noisy([quiet]) and is_noisy([busy]) and not is_noisy([make_row("c", 1.0, 1.0)])
    assert quiet["speedup"] == pytest.approx(9.0)


@contextlib.contextmanager
def busy_cores():
    """Keep each core busy at random."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN, str(number)]) for number in range(available_cores())]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


@pytest.mark.slow
def test_choice_stands_beside_processes_that_burn_cores(reference_path, train_corpus, tmp_path, monkeypatch):
    """One candidate that runs its windows together and one that runs each alone, in ten finals."""
    monkeypatch.setattr(trial_module, "WORDS", 600)
    workbench = Workbench(load_reference(reference_path), read_corpus(train_corpus), [], 0.0, tmp_path)
    with PipelineProcess(reference_path) as process:
        trial = trial_module.start_trial(workbench, process, train_corpus, Gate(), "throughput", -1)
        folder = trial_module.build_candidate(trial, SAFE, {})
        chosen = []
        with busy_cores():
            for _ in range(10):
                rows = [
                    make_row("alone", 1.0, 1.0, folder=folder, settings={"batch_wordpieces": 1}),
                    make_row("together", 1.0, 1.0, folder=folder),
                ]
                hold_final(trial, rows, silent=True)
                chosen.append(choose(rows, "throughput"))
    assert chosen.count("together") >= 9
