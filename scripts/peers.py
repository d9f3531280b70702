"""Compare the compiled pipeline with other ways to run the same encoder on the same text.

It needs an environment of its own, which the project itself does not:

    python -m venv peers && . peers/bin/activate
    python -m pip install -r requirements.txt optimum==2.1.0 optimum-onnx==0.1.0
    python -m pip install --no-deps nebullvm==0.10.0
    python -m scripts.peers training/model-best training/model-compiled corpus/test.spacy metrics

The data flow: two pipelines and a .spacy corpus -> metrics/peers.{json,md}
"""

from pathlib import Path

import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .common.console import exit_on_user_error
from .comparison.compare import compare
from .comparison.peer_report import print_table


def peers_cli(
    # fmt: off
    reference: Path = Arg(..., help="Folder of the trained pipeline"),
    compiled: Path = Arg(..., help="Folder of the compiled pipeline"),
    corpus: Path = Arg(..., help="Corpus in .spacy format with the texts to run"),
    metrics_dir: Path = Arg(..., help="Folder for peers.json and peers.md"),
    rounds: int = Opt(3, "--rounds", "-r", min=1, help="Rounds that count, after those that find the best batches"),
    words: int = Opt(10000, "--words", "-w", min=1, help="Words of the documents, at least"),
    # fmt: on
):
    """Compare both pipelines with transformers' own pipeline, optimum's int8 and nebullvm, on the CPU.

    All run the encoder of the trained pipeline, each in a process of its own, and they take turns. Each runs in the
    batches that are best for it. Install what it needs into an environment of its own:
    python -m pip install -r requirements.txt optimum==2.1.0 optimum-onnx==0.1.0, then
    python -m pip install --no-deps nebullvm==0.10.0
    """
    with exit_on_user_error():
        metrics = compare(reference, compiled, corpus, metrics_dir, rounds=rounds, n_words=words, silent=False)
    print_table(metrics)
    msg.good(f"Saved the numbers and the table as peers.json and peers.md in {metrics_dir}")


if __name__ == "__main__":
    typer.run(peers_cli)
