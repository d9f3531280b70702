"""The plot of a benchmark: words a second by batch size, and the latency of single texts."""

from pathlib import Path
from typing import Any, Dict

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .benchmark_report import LATENCIES, describe_compiled, describe_texts, name_machine

# Grey and blue differ in lightness too, for people who don't tell colours apart and for prints in grey.
COLORS = {"reference": "#a6a6a6", "compiled": "#0072b2"}
INK, MUTED, GRID = "#1f2328", "#59636e", "#dfe3e8"
PERCENTILES = ("p50", "p99")
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


def draw_plot(metrics: Dict[str, Any], path: Path) -> None:
    """Draw a benchmark to a PNG file, wide enough for a README.

    metrics (Dict[str, Any]): What `benchmark` measured.
    path (Path): The file to write.
    """
    machine, measured = metrics["machine"], metrics["measured"]
    ratios = metrics["speedup"]["throughput"].values()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.8))
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.15, 1)})
        figure.subplots_adjust(left=0.075, right=0.975, top=0.69, bottom=0.125, wspace=0.36)
        draw_throughput(left, metrics)
        draw_latency(right, metrics)
        figure.text(
            0.015, 0.93,
            f"The compiled pipeline runs at {min(ratios):.1f} to {max(ratios):.1f} times the reference's speed",
            size=15, weight="bold",
        )  # fmt: skip
        figure.text(0.015, 0.875, f"{name_machine(machine)}; {describe_texts(measured)} for the throughput", color=MUTED)
        handles, _ = left.get_legend_handles_labels()
        labels = ["Trained (reference)", describe_compiled(measured).capitalize()]
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.008, 0.86), ncols=2, frameon=False,
            handlelength=1, handleheight=1, handletextpad=0.5, columnspacing=1.5,
        )  # fmt: skip
        figure.savefig(path, dpi=170, facecolor="white")


def draw_throughput(axes: Axes, metrics: Dict[str, Any]) -> None:
    """Draw words a second as bars, with the speed-up above those of the compiled pipeline."""
    sizes = list(metrics["speedup"]["throughput"])
    width = 0.38
    for name, offset in (("reference", -width / 2), ("compiled", width / 2)):
        heights = [metrics[name]["throughput"][size] for size in sizes]
        positions = [position + offset for position in range(len(sizes))]
        bars = axes.bar(positions, heights, 0.94 * width, color=COLORS[name], label=name)
    factors = [f"{ratio:.1f}×" for ratio in metrics["speedup"]["throughput"].values()]
    axes.bar_label(bars, factors, padding=3, color=COLORS["compiled"], weight="bold")
    axes.set_title("Throughput: words per second")
    axes.set_xlabel("Batch size (texts)")
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
        for name, milliseconds in zip(COLORS, pair):
            axes.scatter(milliseconds, position, s=90, color=COLORS[name], zorder=2)
            is_faster = milliseconds <= min(pair) and (name == "compiled" or pair[0] < pair[1])
            axes.annotate(
                f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}",
                (milliseconds, position), (-9 if is_faster else 9, 0), textcoords="offset points",
                ha="right" if is_faster else "left", va="center",
                color=COLORS[name] if name == "compiled" else MUTED, weight="bold" if name == "compiled" else "normal",
            )  # fmt: skip
    axes.set_title("Latency: milliseconds for one text")
    axes.set_xlabel("Milliseconds, logarithmic scale")
    axes.set_xscale("log")
    low, high = min(map(min, pairs)), max(map(max, pairs))
    axes.set_xlim(low / 1.8, high * 1.8)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(rows)), [f"{LATENCIES[key].removeprefix('one ').capitalize()}, {p}" for key, p in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
