"""The plot of a benchmark's costs: words a second and memory, by the length of a document and by the batch size."""

from pathlib import Path
from typing import Any, Dict, List, Tuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from .benchmark_plot import COLORS, LABELS, MUTED, STYLE
from .benchmark_report import describe_compiled, describe_texts, name_machine

MARKERS = {"reference": "s", "compiled": "o"}


def draw_length_plot(metrics: Dict[str, Any], path: Path) -> None:
    """Draw the costs of a benchmark to a PNG file, readable at the width of a README.

    metrics (Dict[str, Any]): What `benchmark` measured.
    path (Path): The file to write.
    """
    machine, measured = metrics["machine"], metrics["measured"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 6.8))
        axes = figure.subplots(2, 2, sharex="col")
        figure.subplots_adjust(left=0.09, right=0.965, top=0.76, bottom=0.085, wspace=0.25, hspace=0.32)
        for row, (by_length, by_batch, title) in enumerate(
            (
                ("words_per_second", "throughput", "Words per second"),
                ("peak_memory_mb", "peak_memory_mb_by_batch", "Peak memory (MB)"),
            )
        ):
            lengths = {name: get_lengths(metrics[name], by_length) for name in COLORS}
            batches = {name: [(int(size), value) for size, value in metrics[name][by_batch].items()] for name in COLORS}
            draw_lines(axes[row, 0], lengths, f"{title}, one document", 10)
            draw_lines(axes[row, 1], batches, f"{title}, batches of documents", 2)
        axes[1, 0].set_xlabel("Words of the document")
        axes[1, 1].set_xlabel("Batch size (documents)")
        figure.text(0.015, 0.945, "What length and batches cost", size=15, weight="bold")
        figure.text(0.015, 0.905, name_machine(machine), color=MUTED)
        figure.text(0.015, 0.87, f"Batches: {describe_texts(measured)}. Memory with torch loaded.", color=MUTED)
        handles, _ = axes[0, 0].get_legend_handles_labels()
        labels = ["Trained (reference)", describe_compiled(measured).capitalize()]
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.015, 0.85), ncols=2, frameon=False, borderpad=0,
            borderaxespad=0, handlelength=1.6, handletextpad=0.5, columnspacing=1.5,
        )  # fmt: skip
        figure.savefig(path, dpi=170, facecolor="white")


def get_lengths(side: Dict[str, Any], key: str) -> List[Tuple[float, float]]:
    """RETURNS (List[Tuple[float, float]]): Words of a document, and a number of it."""
    return [(int(length), numbers[key]) for length, numbers in side["lengths"].items()]


def draw_lines(axes: Axes, points: Dict[str, List[Tuple[float, float]]], title: str, base: int) -> None:
    """Draw a line for each pipeline over a logarithmic scale, with the number of its last point."""
    for name, pairs in points.items():
        positions, values = zip(*pairs)
        axes.plot(positions, values, color=COLORS[name], marker=MARKERS[name], linewidth=2, markersize=6, label=name)
        axes.annotate(
            f"{values[-1]:,.0f}", (positions[-1], values[-1]), (0, 8), textcoords="offset points", ha="center",
            bbox={"pad": 1, "color": "white"}, **LABELS[name],
        )  # fmt: skip
    ticks = sorted({position for pairs in points.values() for position, _ in pairs})
    axes.set_xscale("log", base=base)
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, 1.2 * max(value for pairs in points.values() for _, value in pairs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_title(title)
    axes.tick_params(which="both", length=0)
    axes.margins(x=0.08)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
