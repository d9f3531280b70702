"""Score the trained and the compiled pipeline with spaCy's own evaluation.

The data flow: two pipelines and a .spacy corpus -> metrics/{reference,compiled,agreement}.json
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
    metrics_dir: Path = Arg(..., help="Folder for reference.json, compiled.json and agreement.json"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU to use, -1 for the CPU"),
    # fmt: on
):
    """Score the trained and the compiled pipeline on a corpus, and compare all that they annotate.

    The scores are what `spacy evaluate` computes and writes, of each head for which the corpus has gold; for all heads there
    is the agreement of the two pipelines. Its speed is not compared: `benchmark` does that.
    """
    with exit_on_user_error():
        scores = evaluate(reference, compiled, corpus, metrics_dir, gpu=gpu, silent=False)
    print_scores(scores)


if __name__ == "__main__":
    typer.run(evaluate_cli)
