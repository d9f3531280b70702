"""What tables, plots and reports have in common."""

import contextlib
import re
from pathlib import Path
from typing import Any, Callable, Dict, Sequence

import srsly

from .files import replace_when_done

# Grey and blue differ in lightness too, for people who don't tell colours apart and for prints in grey.
COLORS = {"reference": "#a6a6a6", "compiled": "#0072b2"}
INK, MUTED, GRID = "#1f2328", "#59636e", "#dfe3e8"
LABELS = {"reference": {"color": MUTED}, "compiled": {"color": COLORS["compiled"], "weight": "bold"}}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def write_reports(writers: Dict[Path, Callable[[Path], None]]) -> None:
    """Write several files that belong together, all or none.

    writers (Dict[Path, Callable[[Path], None]]): By file, a function that writes it to a path.
    """
    with contextlib.ExitStack() as stack:
        for target, write in writers.items():
            write(stack.enter_context(replace_when_done(target)))


def write_json(data: Any) -> Callable[[Path], None]:
    """Make a writer of data as JSON, for `write_reports`."""
    return lambda path: srsly.write_json(path, data)


def write_text(text: str) -> Callable[[Path], None]:
    """Make a writer of text, for `write_reports`."""
    return lambda path: path.write_text(text, encoding="utf8")


def format_markdown(header: Sequence[str], aligns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table in Markdown.

    header (Sequence[str]): Titles of the columns.
    aligns (Sequence[str]): "l" or "r" for each column.
    rows (Sequence[Sequence[str]]): Cells of each row.
    """
    lines = [header, ["---" if align == "l" else "--:" for align in aligns], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |" for cells in lines)


def name_machine(machine: Dict[str, Any]) -> str:
    """Name the processors that did the work."""
    cpu = re.sub(r"\((R|TM|tm)\)", "", machine["cpu"])
    cores = f"{cpu}, {machine['cores']} core{'s' if machine['cores'] > 1 else ''}"
    return f"{machine['gpu']} and {cores}" if "gpu" in machine else cores


def name_interval(rounds: int) -> str:
    """Say what `Throughput.interval` is.

    Of few rounds, its ends are the lowest and the highest one, and the true median is between these in less than 95% of
    cases (of five, in 1 - 2 / 2**5 = 94%).
    """
    return "the 95% bootstrap interval" if rounds > 5 else "the lowest and the highest round"
