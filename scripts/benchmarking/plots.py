"""The plots of a benchmark: speed by batch size, latency of single texts, and cost by the length of a document."""

from pathlib import Path
from typing import Any, Dict, List, Tuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..common.reporting import COLORS, GRID, LABELS, MUTED, STYLE, name_machine
from .tables import LATENCIES, describe_agreement, describe_compiled, describe_single_texts, describe_texts

MARKERS = {"reference": "s", "compiled": "o"}
PERCENTILES = ("p50", "p99")


def draw_plot(metrics: Dict[str, Any], path: Path) -> None:
    """Draw a benchmark to a PNG file, readable at the width of a README.

    metrics (Dict[str, Any]): What `benchmark` measured.
    path (Path): The file to write.
    """
    machine, measured = metrics["machine"], metrics["measured"]
    texts = f"Throughput: {describe_texts(measured)}. Latency: {describe_single_texts(measured)}."
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 5.5))
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        figure.subplots_adjust(left=0.08, right=0.975, top=0.645, bottom=0.105, wspace=0.36)
        draw_throughput(left, metrics)
        draw_latency(right, metrics)
        figure.text(0.015, 0.935, make_title(metrics), size=15, weight="bold")
        figure.text(0.015, 0.885, name_machine(machine), color=MUTED)
        figure.text(0.015, 0.84, texts, color=MUTED)
        figure.text(0.015, 0.797, describe_agreement(metrics["agreement"]), color=MUTED, size=9)
        handles, _ = left.get_legend_handles_labels()
        labels = ["Trained (reference)", describe_compiled(measured).capitalize()]
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.015, 0.772), ncols=2, frameon=False, borderpad=0,
            borderaxespad=0, handlelength=1, handleheight=1, handletextpad=0.5, columnspacing=1.5,
        )  # fmt: skip
        figure.savefig(path, dpi=170, facecolor="white")


def make_title(metrics: Dict[str, Any]) -> str:
    ratios = metrics["speedup"]["throughput"].values()
    low, high = f"{min(ratios):.1f}", f"{max(ratios):.1f}"
    factor = low if low == high else f"{low} to {high}"
    return f"The compiled pipeline is {factor} times as fast as the trained one"


def draw_throughput(axes: Axes, metrics: Dict[str, Any]) -> None:
    """Draw words a second as bars, with the speed-up above those of the compiled pipeline."""
    sizes = list(metrics["speedup"]["throughput"])
    width = 0.38
    for name, offset in (("reference", -width / 2), ("compiled", width / 2)):
        heights = [metrics[name]["throughput"][size] for size in sizes]
        positions = [position + offset for position in range(len(sizes))]
        bars = axes.bar(positions, heights, 0.94 * width, color=COLORS[name], label=name)
    factors = [f"{ratio:.1f}×" for ratio in metrics["speedup"]["throughput"].values()]
    axes.bar_label(bars, factors, padding=3, **LABELS["compiled"])
    axes.set_title("Throughput: words per second")
    axes.set_xlabel("Batch size (documents)")
    axes.set_xticks(range(len(sizes)), sizes)
    axes.tick_params(length=0)
    axes.margins(y=0.12)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)


def draw_latency(axes: Axes, metrics: Dict[str, Any]) -> None:
    """Draw the milliseconds of single texts as points, those of the same texts joined by a line."""
    rows = [(key, percentile) for key in LATENCIES for percentile in PERCENTILES]
    pairs = [[metrics[name][key][percentile] for name in COLORS] for key, percentile in rows]
    for position, pair in enumerate(pairs):
        axes.plot(pair, [position] * 2, color=GRID, linewidth=5, solid_capstyle="butt", zorder=1)
        # The number of the shorter time to the left of its point, the other to the right: they never meet.
        for (milliseconds, name), offset, side in zip(sorted(zip(pair, COLORS)), (-9, 9), ("right", "left")):
            axes.scatter(milliseconds, position, s=90, color=COLORS[name], zorder=2)
            axes.annotate(
                f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}",
                (milliseconds, position), (offset, 0), textcoords="offset points", ha=side, va="center_baseline",
                bbox={"pad": 1, "color": "white"}, **LABELS[name],
            )  # fmt: skip
    axes.set_title("Latency: milliseconds for one text")
    axes.set_xlabel("Milliseconds, logarithmic scale")
    axes.set_xscale("log")
    low, high = min(map(min, pairs)), max(map(max, pairs))
    axes.set_xlim(low / 1.8, high * 1.8)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(rows)), [f"{LATENCIES[key].removeprefix('one ').capitalize()}, {p}" for key, p in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(which="both", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


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
    """Pair the words of each document with one of its numbers."""
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
