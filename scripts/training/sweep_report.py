"""The trainings of a sweep as a table for the terminal and for a README."""

from typing import Any, Dict, List

from wasabi import msg

from ..common.reporting import format_markdown, name_machine

HEADER = ("Batch size", "Learning rate", "Steps", "Training, s", "Samples/s", "Words/s", "Entity F1", "")
ALIGNS = tuple("rrrrrrrl")


def make_row(run: Dict[str, Any]) -> List[str]:
    """Lay out a training as the cells of HEADER.

    run (Dict[str, Any]): A row of sweep.json.
    """
    cells = [str(run["batch_size"]), f"{run['learning_rate']:g}"]
    if "error" in run:
        return [*cells, "", "", "", "", "", f"failed: {run['error']}"]
    speed = [f"{run['samples_per_second']:,.1f}", f"{run['words_per_second']:,.0f}"]
    return [*cells, f"{run['steps']:,}", f"{run['seconds']:,.0f}", *speed, f"{100 * run['ents_f']:.2f}", ""]


def print_table(runs: List[Dict[str, Any]]) -> None:
    """Print a table of trainings."""
    msg.table([make_row(run) for run in runs], header=HEADER, aligns=ALIGNS, divider=True)


def make_markdown(report: Dict[str, Any]) -> str:
    """Write the table for a README, with a sentence before it on what was trained and where.

    report (Dict[str, Any]): What is in sweep.json.
    """
    about = (
        f"{report['epochs']} epochs of {report['samples']:,} samples each, on {name_machine(report['machine'])}. "
        "The F1 is the best on dev. The time is without evaluations."
    )
    table = format_markdown(HEADER, ALIGNS, [make_row(run) for run in report["runs"]])
    return f"{about}\n\n{table}\n"
