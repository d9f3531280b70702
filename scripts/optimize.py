"""Find the fastest way to run a trained pipeline that keeps its entities.

The data flow: training/model-best and corpus/{train,dev}.spacy -> training/model-compiled and metrics/optimize.*
"""

from pathlib import Path

import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .common.console import exit_on_user_error
from .compilation.gate import Gate
from .compilation.optimize import SearchSettings, optimize
from .compilation.search_report import print_rows
from .compilation.selection import OBJECTIVES


def optimize_cli(
    # fmt: off
    reference: Path = Arg(
        ..., help="Trained pipeline, a folder or an installed package, with a shared transformer; it is only read"
    ),
    output: Path = Arg(..., help="Folder for the compiled pipeline"),
    train: Path = Arg(..., help="Train corpus, .spacy: its text calibrates int8"),
    dev: Path = Arg(..., help="Annotated .spacy corpus that decides whether entities were lost; never the test corpus"),
    metrics_dir: Path = Arg(..., help="Folder for optimize.json, optimize.md and optimize.png"),
    max_f1_drop: float = Opt(
        Gate().max_f1_drop, "--max-f1-drop", min=0.0, max=1.0, help="Most entity F1 (0 to 1) that may be lost"
    ),
    max_label_drop: float = Opt(
        Gate().max_label_drop, "--max-label-drop", min=0.0, max=1.0, help="Most F1 (0 to 1) that any one label may lose"
    ),
    objective: str = Opt(
        SearchSettings.objective,
        "--objective",
        "-o",
        help=f"What is best: {', '.join(OBJECTIVES)}. With latency, engines for most sentences start when the pipeline is loaded",
    ),
    budget: float = Opt(
        SearchSettings.budget, "--budget", "-b", min=0.0, help="Minutes after which no further candidate is started"
    ),
    portable: bool = Opt(
        False, "--portable", "-p", help="Keep an fp32 encoder too, for CPUs that lack what the fast one needs"
    ),
    gpu: int = Opt(
        -1, "--gpu", "-g", help="GPU of the reference, -1 for the CPU. Candidates for a GPU are tried only with one"
    ),
    # fmt: on
):
    """Compile the transformer of a trained pipeline, and prove that no entities were lost.

    Each candidate (an engine and a precision) becomes a real pipeline, is compared with the reference on the dev corpus
    by entity F1, and is timed against it on the same texts, in turn. Then other settings of the best one are tried.
    The best that passes is kept. A search that was stopped goes on where it stopped.

    The pipeline's transformer is a `transformer` of spacy-transformers with a fast tokenizer, or a `curated_transformer` of
    spacy-curated-transformers (BERT, RoBERTa, CamemBERT, XLM-R), as in `en_core_web_trf`.
    """
    with exit_on_user_error():
        report = optimize(
            reference,
            output,
            train,
            dev,
            metrics_dir,
            SearchSettings(Gate(max_f1_drop, max_label_drop), objective, budget, portable, gpu),
            silent=False,
        )
    print_rows(report)
    chosen = next(row for row in report["candidates"] if row["name"] == report["chosen"])
    msg.good(f"Kept {report['chosen']} in {output}: {chosen['reason']}")


if __name__ == "__main__":
    typer.run(optimize_cli)
