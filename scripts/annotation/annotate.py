"""Annotate a corpus part by part, and join the parts."""

import contextlib
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import srsly
import tqdm

from ..common.console import UserError
from ..common.files import check_kept, replace_when_done

INSTALL = "pip install -r requirements-scale.txt"
LONG_WORDS = 20_000


def annotate(
    pipeline: str,
    source: Path,
    output: Path,
    *,
    workers: Optional[int] = None,
    threads: Optional[int] = None,
    gpus_per_worker: float = 0.0,
    address: Optional[str] = None,
    text_field: str = "text",
    id_field: Optional[str] = None,
    with_text: bool = False,
    stats: bool = False,
    fail_fast: bool = False,
    chunk_size: int = 1024,
    long_words: int = LONG_WORDS,
    silent: bool = True,
) -> Dict[str, Any]:
    """Write the output, the errors and the summary, or go on with a run that was stopped.

    pipeline (str): Folder of a pipeline, or name of an installed one.
    source (Path): The documents.
    output (Path): File for the entities.
    workers (Optional[int]): Pipelines to run at once.
    threads (Optional[int]): Threads of each.
    gpus_per_worker (float): GPUs of each.
    address (Optional[str]): Address of a running Ray cluster.
    text_field (str): Field or column with the text.
    id_field (Optional[str]): Field or column with the id.
    with_text (bool): Write the texts too.
    stats (bool): Write the most frequent entities and a sample.
    fail_fast (bool): Stop at the first bad record.
    chunk_size (int): Most documents of a part.
    long_words (int): Words above which a document is cut.
    silent (bool): Show no progress bar.
    RETURNS (Dict[str, Any]): What is written to OUTPUT.summary.json.
    RAISES (UserError): For an input, output or pipeline that can't be used, settings that differ from those of the
        run to go on with, and a bad record with `fail_fast`.
    """
    try:
        from ..common.pipelines import find_pipeline, get_folder_digest
        from .inputs import describe_input, open_input
        from .journal import Journal
        from .outputs import open_output
    except ImportError as error:  # pyarrow comes with Ray.
        raise UserError(f"{error.name} is not installed. Install it with Ray: {INSTALL}") from error

    found = find_pipeline(pipeline)
    opened = open_input(source, text_field, id_field)
    writer = open_output(output, with_text)
    # Of an input folder only .txt files are read, which no output is.
    check_kept([source], [output, beside(output, "errors.jsonl")])
    # All that the rows depend on. Workers, threads and GPUs may change when a run goes on.
    settings = {
        "input": describe_input(source),
        "pipeline": get_folder_digest(found.folder),
        "--text-field": text_field,
        "--id-field": id_field,
        "--with-text": with_text,
        "--stats": stats,
        "--chunk-size": chunk_size,
        "--long-words": long_words,
    }
    journal = Journal(output.absolute())
    summary = read_finished(journal, settings)
    if summary is not None:
        errors = beside(journal.output, "errors.jsonl")
        if fail_fast and errors.is_file():
            check_entry({"first_error": next(srsly.read_jsonl(errors), None)}, fail_fast)
        return summary
    chunks = list(opened.plan(chunk_size))
    if not chunks:
        raise UserError(f"{source} holds no documents. Name an input with at least one.")
    worker_settings = {
        "pipeline": found.name,
        "compiled": found.compiled,
        "input_path": str(source.absolute()),
        "output": str(output.absolute()),
        "text_field": text_field,
        "id_field": id_field,
        "with_text": with_text,
        "stats": stats,
        "long_words": long_words,
    }
    try:
        journal.start(settings)
        speed = process(chunks, journal, worker_settings, workers, threads, gpus_per_worker, address, fail_fast, silent)
        return finish(journal, writer, len(chunks), settings, speed)
    finally:
        journal.close()


def read_finished(journal: Any, settings: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """RETURNS (Optional[Dict[str, Any]]): The summary of the output if it is there and was made with these settings."""
    path = beside(journal.output, "summary.json")
    if not journal.output.is_file() or not path.is_file() or journal.folder.exists():
        return None
    summary = srsly.read_json(path)
    return summary if summary["settings"] == settings else None


def beside(output: Path, ending: str) -> Path:
    return output.with_name(f"{output.name}.{ending}")


def process(
    chunks: List[Any],
    journal: Any,
    worker_settings: Dict[str, Any],
    workers: Optional[int],
    threads: Optional[int],
    gpus_per_worker: float,
    address: Optional[str],
    fail_fast: bool,
    silent: bool,
) -> Dict[str, Any]:
    """Annotate the chunks that are not done.

    RETURNS (Dict[str, Any]): The workers and the speed of this run.
    RAISES (UserError): If the workers can't be started or fail, and for a bad record with `fail_fast`.
    """
    from .ray_pool import run_chunks, start_ray

    waiting, n_done = [], 0
    for chunk in chunks:
        entry = journal.read_entry(chunk.number)
        if entry is None:
            waiting.append(chunk)
        else:
            n_done += chunk.records
            check_entry(entry, fail_fast)
    if not waiting:
        return {"workers": 0, "threads": 0, "seconds": 0.0, "words": 0}
    n_records = sum(chunk.records for chunk in chunks)
    start = time.perf_counter()
    words = 0
    with (
        start_ray(address, len(waiting), workers, threads, gpus_per_worker) as pool,
        tqdm.tqdm(total=n_records, initial=n_done, desc="Annotating", unit=" documents", disable=silent) as progress,
    ):
        worker_settings = {**worker_settings, "threads": pool.threads, "use_gpu": pool.gpus > 0}
        with contextlib.closing(run_chunks(waiting, pool, worker_settings, keep_order=fail_fast)) as entries:
            for entry in entries:
                check_entry(entry, fail_fast)
                words += entry["words"]
                progress.update(entry["records"])
        return {
            "workers": pool.workers,
            "threads": pool.threads,
            "seconds": round(time.perf_counter() - start, 3),
            "words": words,
        }


def check_entry(entry: Dict[str, Any], fail_fast: bool) -> None:
    """RAISES (UserError): If a worker met a problem that stops the run, or a bad record with `fail_fast`."""
    if "problem" in entry:
        raise UserError(f"A worker can't go on: {entry['problem'].rstrip('.')}.")
    error = entry["first_error"]
    if fail_fast and error is not None:
        unit = "line" if "line" in error else "record"
        raise UserError(
            f"{error['file']}, {unit} {error[unit]}: {error['reason']}. "
            "Mend it, or leave out `--fail-fast` to go on without it."
        )


def finish(journal: Any, writer: Any, n_chunks: int, settings: Dict[str, Any], speed: Dict[str, Any]) -> Dict[str, Any]:
    """Join the parts, write what goes beside the output, and remove the parts.

    RETURNS (Dict[str, Any]): The summary.
    """
    from . import statistics
    from .outputs import join_files

    output = journal.output
    total = statistics.Statistics(detailed=settings["--stats"])
    for entry in journal.iterate(n_chunks):
        total.merge(statistics.Statistics.from_json(entry))
    summary = {
        "documents": total.documents,
        "words": total.words,
        "failures": total.failures,
        "entities": dict(sorted(total.labels.items())),
        "notes": dict(sorted(total.notes.items())),
        "run": speed,
        "settings": settings,
    }
    errors = beside(output, "errors.jsonl")
    if total.failures:
        with replace_when_done(errors) as path:
            join_files(map(journal.errors, range(n_chunks)), path)
    else:
        errors.unlink(missing_ok=True)
    if settings["--stats"]:
        with (
            replace_when_done(beside(output, "stats.json")) as json_path,
            replace_when_done(beside(output, "stats.html")) as html_path,
        ):
            srsly.write_json(json_path, statistics.report(total))
            html_path.write_text(statistics.render(total), encoding="utf8")
    with replace_when_done(output) as path:
        writer.join(map(journal.part, range(n_chunks)), path)
    with replace_when_done(beside(output, "summary.json")) as path:
        srsly.write_json(path, summary)
    journal.remove()
    return summary
