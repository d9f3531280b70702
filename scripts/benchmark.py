"""Measure how much faster and smaller the compiled pipeline is.

The data flow: two pipelines and a .spacy corpus -> metrics/benchmark.{json,md,png} and benchmark-length.png
"""

from pathlib import Path

import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .benchmarking.benchmark import benchmark
from .benchmarking.lengths import REFERENCE_LONGEST
from .benchmarking.tables import print_tables
from .common.console import exit_on_user_error

LENGTHS_HELP = f"100, 1,000 and so on are measured, the trained pipeline up to {REFERENCE_LONGEST:,}."


def benchmark_cli(
    # fmt: off
    reference: Path = Arg(..., help="Folder or package of the trained pipeline"),
    compiled: Path = Arg(..., help="Folder or package of the compiled pipeline"),
    corpus: Path = Arg(..., help="Corpus in .spacy format with the texts to run"),
    metrics_dir: Path = Arg(..., help="Folder for benchmark.json, .md and .png, and benchmark-length.png"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU to use, -1 for the CPU"),
    rounds: int = Opt(3, "--rounds", "-r", min=1, help="Rounds that count, after one that warms up"),
    words: int = Opt(20000, "--words", "-w", min=1, help="Words of the documents for the throughput, at least"),
    sentences: int = Opt(100, "--sentences", "-s", min=1, help="Sentences, and documents, for the latency"),
    longest: int = Opt(100000, "--longest", "-l", min=100, help=f"Words of the longest document. {LENGTHS_HELP}"),
    # fmt: on
):
    """Measure the speed, memory and size of the trained and the compiled pipeline, side by side.

    Each pipeline runs in a process of its own, and they take turns, so that a machine whose speed drifts treats
    both alike.
    """
    with exit_on_user_error():
        metrics = benchmark(
            reference,
            compiled,
            corpus,
            metrics_dir,
            gpu=gpu,
            rounds=rounds,
            n_words=words,
            n_sentences=sentences,
            longest=longest,
            silent=False,
        )
    print_tables(metrics)
    msg.good(
        f"Saved numbers, tables and plots as benchmark.json, .md and .png, and benchmark-length.png in {metrics_dir}"
    )


if __name__ == "__main__":
    typer.run(benchmark_cli)
