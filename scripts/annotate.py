"""Annotate a large corpus with a pipeline, on as many workers, machines and GPUs as there are.

The data flow: a pipeline and an input -> OUTPUT.parts/ -> OUTPUT, OUTPUT.errors.jsonl, OUTPUT.summary.json
"""

from pathlib import Path
from typing import Any, Dict, Optional

import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .annotation.settings import AnnotationSettings, PoolSettings, RowSettings
from .common.console import UserError, exit_on_user_error


def annotate_cli(
    # fmt: off
    pipeline: str = Arg(..., help="Folder of a pipeline, or name of an installed one"),
    source: Path = Arg(
        ..., metavar="INPUT", help="Documents: .jsonl, .parquet, .txt (one a line), .spacy, or a folder of .txt files"
    ),
    output: Path = Arg(..., help="File for the entities: .parquet, .jsonl or .spacy"),
    workers: Optional[int] = Opt(
        PoolSettings.workers,
        "--workers",
        "-w",
        min=1,
        help="Pipelines to run at once; by default one for each core or GPU",
    ),
    threads: Optional[int] = Opt(
        PoolSettings.threads,
        "--threads",
        "-t",
        min=1,
        help="Threads of each worker; by default the cores divided among the workers",
    ),
    gpus_per_worker: float = Opt(
        PoolSettings.gpus_per_worker,
        "--gpus-per-worker",
        "-g",
        min=0.0,
        help="GPUs of each worker, also a part of one, like 0.5",
    ),
    address: Optional[str] = Opt(
        PoolSettings.address,
        "--address",
        "-a",
        help="Address of a running Ray cluster; by default Ray is started here",
    ),
    text_field: str = Opt(RowSettings.text_field, "--text-field", help="Field or column with the text"),
    id_field: Optional[str] = Opt(
        RowSettings.id_field,
        "--id-field",
        help="Field or column with the id; by default the record's number is its id",
    ),
    with_text: bool = Opt(RowSettings.with_text, "--with-text", help="Write the texts too"),
    with_scores: bool = Opt(
        RowSettings.with_scores,
        "--with-scores",
        help="Write how sure the pipeline is of each entity, from 0 to 1",
    ),
    stats: bool = Opt(
        RowSettings.stats,
        "--stats",
        help="Write the most frequent entities and a sample: OUTPUT.stats.json and .html",
    ),
    fail_fast: bool = Opt(AnnotationSettings.fail_fast, "--fail-fast", help="Stop at the first bad record"),
    chunk_size: int = Opt(
        RowSettings.chunk_size,
        "--chunk-size",
        min=1,
        help="Most documents that a worker takes, and a killed run repeats, at once",
    ),
    long_words: int = Opt(
        RowSettings.long_words,
        "--long-words",
        min=1,
        help="Cut longer documents into overlapping windows as a stream",
    ),
    # fmt: on
):
    """Annotate a corpus in parallel and write the entities of each document, in the order of the input.

    A run that was stopped or killed goes on where it was when the same command is given again. Records that can't be
    annotated go to OUTPUT.errors.jsonl.
    """
    settings = AnnotationSettings(
        rows=RowSettings(text_field, id_field, with_text, with_scores, stats, chunk_size, long_words),
        pool=PoolSettings(workers, threads, gpus_per_worker, address),
        fail_fast=fail_fast,
    )
    with exit_on_user_error():
        try:
            from .annotation.annotate import annotate
        except ModuleNotFoundError as error:  # pyarrow comes with Ray.
            if error.name and error.name.partition(".")[0] == "scripts":
                raise
            raise UserError(
                f"{error.name} is not installed. Install it with Ray: pip install -r requirements-scale.txt"
            ) from error
        summary = annotate(pipeline, source, output, settings, silent=False)
        print_summary(summary, output)
        if not summary["documents"]:
            reason = "all of its records are bad" if summary["failures"] else "it has none"
            raise UserError(f"No document of {source} was annotated: {reason}.")


def print_summary(summary: Dict[str, Any], output: Path) -> None:
    """Print what was found, and what was not annotated."""
    run = summary["run"]
    rows = [
        ("Documents", f"{summary['documents']:,}"),
        ("Words", f"{summary['words']:,}"),
        *((f"Entities: {label}", f"{n:,}") for label, n in summary["entities"].items()),
        ("Failures", f"{summary['failures']:,}"),
    ]
    if run["seconds"]:
        rows.append(("Words/s", f"{run['words'] / run['seconds']:,.0f}"))
        rows.append(("Seconds", f"{run['seconds']:,.1f}"))
        rows.append(("Workers x threads", f"{run['workers']} x {run['threads']}"))
    msg.table(rows, aligns=("l", "r"), header=("", "Total"), divider=True)
    for note, n in summary["notes"].items():
        msg.info(f"{n:,} documents {note}.")
    for kind, n in summary["left_out"].items():
        msg.warn(f"Left out {n:,} {kind}: of a folder only .txt files are read.")
    if summary["failures"]:
        msg.warn(f"{summary['failures']:,} records could not be annotated: see {output}.errors.jsonl")
    msg.good(f"Wrote {output}")


if __name__ == "__main__":
    typer.run(annotate_cli)
