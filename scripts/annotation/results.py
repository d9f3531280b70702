"""What a run leaves: the parts joined to the output, and its errors, statistics and summary beside it."""

from pathlib import Path
from typing import Any, Dict, Optional

import srsly

from .journal import Journal
from .outputs import Output, join_files
from .statistics import Statistics, render, report


def beside(output: Path, ending: str) -> Path:
    """Name a file that belongs to an output."""
    return output.with_name(f"{output.name}.{ending}")


def read_finished(journal: Journal, settings: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """Read the summary of a run that is over.

    settings (Dict[str, Any]): All that the rows depend on.
    RETURNS (Optional[Dict[str, Any]]): The summary if the output is there and was made with these settings.
    """
    path = beside(journal.output, "summary.json")
    if not journal.output.is_file() or not path.is_file() or journal.folder.exists():
        return None
    summary = srsly.read_json(path)
    return summary if summary["settings"] == settings else None


def read_first_error(output: Path) -> Optional[Dict[str, Any]]:
    """Read the first bad record of a run that is over, if there was one."""
    path = beside(output, "errors.jsonl")
    return next(srsly.read_jsonl(path), None) if path.is_file() else None


def write_results(
    journal: Journal, writer: Output, n_chunks: int, settings: Dict[str, Any], about: Dict[str, Any]
) -> Dict[str, Any]:
    """Join the parts, write what goes beside the output, and remove the parts.

    settings (Dict[str, Any]): All that the rows depend on.
    about (Dict[str, Any]): What else the summary is to say.
    RETURNS (Dict[str, Any]): The summary.
    """
    output = journal.output
    total = Statistics(detailed=settings["--stats"])
    for entry in journal.iterate(n_chunks):
        total.merge(Statistics.from_json(entry))
    summary = {
        "documents": total.documents,
        "words": total.words,
        "failures": total.failures,
        "entities": dict(sorted(total.labels.items())),
        "notes": dict(sorted(total.notes.items())),
        **about,
        "settings": settings,
    }
    errors = beside(output, "errors.jsonl")
    if total.failures:
        with journal.replace_when_done(errors) as path:
            join_files(map(journal.errors, range(n_chunks)), path)
    else:
        errors.unlink(missing_ok=True)
    if settings["--stats"]:
        with (
            journal.replace_when_done(beside(output, "stats.json")) as json_path,
            journal.replace_when_done(beside(output, "stats.html")) as html_path,
        ):
            srsly.write_json(json_path, report(total))
            html_path.write_text(render(total), encoding="utf8")
    with journal.replace_when_done(output) as path:
        writer.join(map(journal.part, range(n_chunks)), path)
    with journal.replace_when_done(beside(output, "summary.json")) as path:
        srsly.write_json(path, summary)
    journal.remove()
    return summary
