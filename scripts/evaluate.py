"""Score the trained and the compiled pipeline with spaCy's own evaluation.

The data flow: two pipelines and a .spacy corpus -> metrics/{reference,compiled}.json
"""

from pathlib import Path

import typer
from typer import Argument as Arg
from typer import Option as Opt

from .benchmarking.evaluate import evaluate, print_scores
from .common.console import exit_on_user_error


def evaluate_cli(
    # fmt: off
    reference: Path = Arg(..., help="Folder or package of the trained pipeline"),
    compiled: Path = Arg(..., help="Folder or package of the compiled pipeline"),
    corpus: Path = Arg(..., help="Annotated corpus in .spacy format"),
    metrics_dir: Path = Arg(..., help="Folder for reference.json and compiled.json"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU to use, -1 for the CPU"),
    # fmt: on
):
    """Score the trained and the compiled pipeline on a corpus and compare their entities.

    The scores are what `spacy evaluate` computes and writes. Its speed is not compared: `benchmark` does that.
    """
    with exit_on_user_error():
        scores = evaluate(reference, compiled, corpus, metrics_dir, gpu=gpu, silent=False)
    print_scores(scores["reference"], scores["compiled"])


if __name__ == "__main__":
    typer.run(evaluate_cli)
