"""Annotate a corpus part by part, and join the parts."""

import contextlib
import time
from pathlib import Path
from typing import Any, Dict, List

import tqdm

from ..common.console import UserError
from ..common.files import check_kept
from ..common.pipelines import Pipeline, find_pipeline, get_folder_digest, require_scores
from .annotator import AnnotatorSettings
from .inputs import describe_input, open_input
from .journal import Journal, report_full_disk
from .outputs import open_output
from .ray_pool import run_chunks, start_ray
from .records import Chunk
from .results import beside, read_finished, read_first_error, write_results
from .settings import AnnotationSettings, RowSettings
from .text_inputs import FolderInput


def annotate(
    pipeline: str,
    source: Path,
    output: Path,
    settings: AnnotationSettings = AnnotationSettings(),
    *,
    silent: bool = True,
) -> Dict[str, Any]:
    """Write the output, the errors and the summary, or go on with a run that was stopped.

    pipeline (str): Folder of a pipeline, or name of an installed one.
    source (Path): The documents.
    output (Path): File for the entities.
    settings (AnnotationSettings): What is read and written, and by which workers.
    silent (bool): Show no progress bar.
    RETURNS (Dict[str, Any]): What is written to OUTPUT.summary.json.
    RAISES (UserError): For an input, output or pipeline that can't be used, settings that differ from those of the
        run to go on with, and a bad record with `fail_fast`.
    """
    rows = settings.rows
    found = find_pipeline(pipeline)
    opened = open_input(source, rows.text_field, rows.id_field)
    if rows.with_scores:
        require_scores(found, "leave out `--with-scores`")
    writer = open_output(output, rows)
    # Of an input folder only .txt files are read, which no output is.
    check_kept([source], [output, beside(output, "errors.jsonl")])
    described = describe_run(found, source, rows)
    journal = Journal(output.absolute())
    journal.clean()
    summary = read_finished(journal, described)
    if summary is not None:
        check_entry({"first_error": read_first_error(journal.output)}, settings.fail_fast)
        return summary
    chunks = list(opened.plan(rows.chunk_size))
    left_out = opened.count_left_out() if isinstance(opened, FolderInput) else {}
    if not chunks:
        others = f", only {', '.join(f'{n:,} {kind}' for kind, n in left_out.items())}" if left_out else ""
        raise UserError(f"{source} holds no documents{others}. Name an input with at least one.")
    annotator = AnnotatorSettings(found.name, found.compiled, str(source.absolute()), str(output.absolute()), rows)
    try:
        with report_full_disk(output):
            journal.start(described)
        speed = process(chunks, journal, annotator, settings, silent)
        with report_full_disk(output):
            return write_results(journal, writer, len(chunks), described, {"left_out": left_out, "run": speed})
    finally:
        journal.close()


def describe_run(pipeline: Pipeline, source: Path, rows: RowSettings) -> Dict[str, Any]:
    """Note all that the rows of the output depend on. Workers, threads and GPUs may change when a run goes on."""
    return {"input": describe_input(source), "pipeline": get_folder_digest(pipeline.folder), **rows.by_option()}


def process(
    chunks: List[Chunk], journal: Journal, annotator: AnnotatorSettings, settings: AnnotationSettings, silent: bool
) -> Dict[str, Any]:
    """Annotate the chunks that are not done.

    RETURNS (Dict[str, Any]): The workers and the speed of this run.
    RAISES (UserError): If the workers can't be started or fail, and for a bad record with `fail_fast`.
    """
    waiting, n_done = [], 0
    for chunk in chunks:
        entry = journal.read_entry(chunk.number)
        if entry is None:
            waiting.append(chunk)
        else:
            n_done += chunk.records
            check_entry(entry, settings.fail_fast)
    if not waiting:
        return {"workers": 0, "threads": 0, "seconds": 0.0, "words": 0}
    n_records = sum(chunk.records for chunk in chunks)
    start = time.perf_counter()
    words = 0
    with (
        start_ray(len(waiting), settings.pool) as pool,
        tqdm.tqdm(total=n_records, initial=n_done, desc="Annotating", unit=" documents", disable=silent) as progress,
        contextlib.closing(run_chunks(waiting, pool, annotator, keep_order=settings.fail_fast)) as entries,
    ):
        for entry in entries:
            check_entry(entry, settings.fail_fast)
            words += entry["words"]
            progress.update(entry["records"])
        return {
            "workers": pool.workers,
            "threads": pool.threads,
            "seconds": round(time.perf_counter() - start, 3),
            "words": words,
        }


def check_entry(entry: Dict[str, Any], fail_fast: bool) -> None:
    """Stop the run at what it can't go on from.

    entry (Dict[str, Any]): The result of a worker.
    RAISES (UserError): If the worker met a problem that stops the run, or a bad record with `fail_fast`.
    """
    if "problem" in entry:
        raise UserError(
            f"A worker can't go on: {entry['problem'].rstrip('.')}. "
            "The same command goes on with the parts that are finished."
        )
    error = entry["first_error"]
    if fail_fast and error is not None:
        unit = "line" if "line" in error else "record"
        raise UserError(
            f"{error['file']}, {unit} {error[unit]}: {error['reason']}. "
            "Fix it, or leave out `--fail-fast` to go on without it."
        )
