"""Show what students keep of their teacher: on the terminal, as Markdown and as a picture."""

import math
from pathlib import Path
from typing import Any, Dict, List, Tuple

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from wasabi import msg

from ..common.reporting import COLORS, MUTED, STYLE, format_markdown, name_interval, name_machine

HEADER = (
    *("Pipeline", "F1 dev", "F1 test", "Drop, test", "Words/s", "Times", "Interval"),
    *("p50 ms", "Load s", "Memory MB", "Disk MB"),
)
ALIGNS = ("l", *("r" * (len(HEADER) - 1)))
KINDS = {"teacher": MUTED, "encoder": COLORS["compiled"], "cnn": "#d55e00"}


def make_cells(report: Dict[str, Any]) -> List[Tuple[str, ...]]:
    """Lay out the rows of the table.

    report (Dict[str, Any]): What is in distill.json.
    """
    return [
        (
            f"{row['name']} (chosen)" if row["name"] == report["chosen"] else row["name"],
            f"{row['dev']['ents_f']:.4f}",
            f"{row['test']['ents_f']:.4f}",
            f"{row['test']['drop']:+.4f}",
            f"{row['words_per_second']:,.0f}",
            f"{row['speedup']:.2f}x",
            "{:.2f} to {:.2f}".format(*row["speedup_interval"]),
            f"{row['p50_ms']:.1f}",
            f"{row['load_seconds']:.1f}",
            f"{row['peak_memory_mb']:,.0f}",
            f"{row['size_mb']:,.1f}",
        )
        for row in report["pipelines"]
    ]


def print_table(report: Dict[str, Any]) -> None:
    """Print the table, and what the names mean.

    report (Dict[str, Any]): What is in distill.json.
    """
    msg.table(make_cells(report), header=HEADER, aligns=ALIGNS, divider=True)
    for row in report["pipelines"]:
        msg.text(f"{row['name']}: {row['about']}")


def make_markdown(report: Dict[str, Any]) -> str:
    """Write the table for a README, with what was measured and what the names mean.

    report (Dict[str, Any]): What is in distill.json.
    """
    names = "\n".join(f"- {row['name']}: {row['about']}" for row in report["pipelines"])
    return "\n\n".join((describe_run(report), format_markdown(HEADER, ALIGNS, make_cells(report)), names)) + "\n"


def describe_run(report: Dict[str, Any]) -> str:
    """Say what was measured, on which machine, and how."""
    measured = report["measured"]
    return (
        f"Measured on {name_machine(report['machine'])}: throughput over about {measured['words']:,} words of "
        f"{measured['corpus']} in batches of {measured['batch_size']}, and latency of {measured['sentences']:,} of its "
        f"sentences; each pipeline in a process of its own and in turn, median of {measured['rounds']} rounds, with "
        f"{name_interval(measured['rounds'])} of the ratio to the compiled teacher. The drop is from the compiled teacher's F1."
    )


def save_plot(report: Dict[str, Any], path: Path) -> None:
    """Draw F1 on test against words a second, readable at the width of a README.

    report (Dict[str, Any]): What is in distill.json.
    path (Path): The .png file to write.
    """
    rows = report["pipelines"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 5.2))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.075, right=0.965, top=0.8, bottom=0.12)
        figure.text(0.015, 0.935, "What students keep of their teacher, and how fast they are", size=15, weight="bold")
        figure.text(0.015, 0.88, name_machine(report["machine"]), color=MUTED)
        for row in rows:
            point, color = (row["words_per_second"], 100 * row["test"]["ents_f"]), KINDS[row["kind"]]
            chosen = row["name"] == report["chosen"]
            axes.scatter(*point, s=330 if chosen else 90, marker="*" if chosen else "o", color=color, zorder=3)
            side = -1 if has_one_above(row, rows) else 1
            axes.annotate(
                f"{row['name']}\nF1 {point[1]:.1f}, {row['speedup']:.2g}×", point, (0, 11 * side), color=color,
                textcoords="offset points", ha="center", va="bottom" if side > 0 else "top",
                weight="bold" if chosen else None,
            )  # fmt: skip
        axes.set_xlabel("Words per second, logarithmic scale (at the points: times the compiled teacher's)")
        axes.set_title("Entity F1 on test")
        axes.set_xscale("log")
        axes.margins(x=0.1, y=0.25)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="both", length=0)
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        figure.savefig(path, dpi=170, facecolor="white")


def has_one_above(row: Dict[str, Any], rows: List[Dict[str, Any]]) -> bool:
    """Tell whether a label above a point would meet that of another one, as fast and better."""
    better = (other for other in rows if other["test"]["ents_f"] > row["test"]["ents_f"])
    return any(abs(math.log2(other["words_per_second"] / row["words_per_second"])) < 1 for other in better)
