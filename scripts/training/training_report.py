"""metrics/training.json and its plot: loss, scores and speed of a training, evaluation by evaluation."""

from functools import partial
from pathlib import Path
from typing import Any, Dict, List

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..common.reporting import COLORS, INK, MUTED, STYLE, name_machine, write_json, write_reports
from .progress import Progress


def write_metrics(folder: Path, progress: Progress, about: Dict[str, Any]) -> None:
    """Write training.json and training.png.

    folder (Path): The folder for metrics.
    progress (Progress): What the training did.
    about (Dict[str, Any]): The machine and the settings.
    """
    best = max(progress.evaluations, key=lambda evaluation: evaluation["score"])
    metrics = {
        **about,
        # Without evaluations and saving.
        "seconds": progress.seconds,
        "steps": progress.step,
        "words": progress.words,
        "samples": progress.samples,
        "words_per_second": progress.words / progress.seconds,
        "samples_per_second": progress.samples / progress.seconds,
        "best": {"step": best["step"], "score": best["score"], "ents_f": best["scores"].get("ents_f")},
        "evaluations": progress.evaluations,
    }
    write_reports({folder / "training.json": write_json(metrics), folder / "training.png": partial(draw_plot, metrics)})


def draw_plot(metrics: Dict[str, Any], path: Path) -> None:
    """Draw loss and entity F1 over the steps, readable at the width of a README.

    metrics (Dict[str, Any]): What is in training.json.
    path (Path): The file to write.
    """
    machine, settings, best = metrics["machine"], metrics["settings"], metrics["best"]
    evaluations = metrics["evaluations"]
    steps = [evaluation["step"] for evaluation in evaluations]
    score = "Entity F1" if best["ents_f"] is not None else "Score"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.6))
        left, right = figure.subplots(1, 2)
        figure.subplots_adjust(left=0.075, right=0.965, top=0.68, bottom=0.125, wspace=0.22)
        title = f"{score} {100 * (best['ents_f'] or best['score']):.1f} on dev after {best['step']:,} steps"
        figure.text(0.015, 0.925, title, size=15, weight="bold")
        ranks = f", {settings['ranks']} ranks" if settings["ranks"] > 1 else ""
        figure.text(0.015, 0.865, f"{name_machine(machine)}{ranks}, {settings['precision']}", color=MUTED)
        rates = f"{metrics['words_per_second']:,.0f} words and {metrics['samples_per_second']:,.1f} samples a second"
        figure.text(0.015, 0.81, f"{metrics['seconds'] / 60:,.1f} minutes of training at {rates}", color=MUTED)
        draw_losses(left, steps, evaluations)
        draw_scores(right, steps, evaluations, score)
        figure.savefig(path, dpi=170, facecolor="white")


def draw_losses(axes: Axes, steps: List[int], evaluations: List[Dict[str, Any]]) -> None:
    """Draw the loss a sample of each component, on a logarithmic scale: theirs differ by powers of ten."""
    samples = [evaluation["samples"] for evaluation in evaluations]
    counts = [now - before for now, before in zip(samples, [0, *samples])]
    axes.set_title("Loss per sample")
    axes.set_yscale("log")
    for name, color in zip(evaluations[0]["losses"], (COLORS["reference"], COLORS["compiled"], "#d55e00", "#009e73")):
        losses = [evaluation["losses"][name] / count for evaluation, count in zip(evaluations, counts)]
        axes.plot(steps, losses, "o-", color=color, markersize=4, label=name)
    axes.legend(frameon=False, loc="best")
    style_steps(axes)


def draw_scores(axes: Axes, steps: List[int], evaluations: List[Dict[str, Any]], title: str) -> None:
    """Draw the F1 of each evaluation, and mark the best one."""
    scores = [100 * evaluation["scores"].get("ents_f", evaluation["score"]) for evaluation in evaluations]
    best = max(range(len(scores)), key=lambda position: evaluations[position]["score"])
    axes.set_title(f"{title} on dev")
    axes.plot(steps, scores, "o-", color=COLORS["compiled"], markersize=4)
    axes.scatter(steps[best], scores[best], s=70, color=COLORS["compiled"], zorder=3)
    axes.annotate(
        f"{scores[best]:.1f}", (steps[best], scores[best]), (0, 9), textcoords="offset points", ha="center",
        color=INK, weight="bold",
    )  # fmt: skip
    axes.margins(y=0.18)
    style_steps(axes)


def style_steps(axes: Axes) -> None:
    """Lay out a plot over steps."""
    axes.set_xlabel("Steps")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(which="both", length=0)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
