"""Show what the search found: on the terminal, as Markdown and as a picture."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from wasabi import msg

HEADER = ("Candidate", "Status", "F1", "Drop", "Words/s", "Speed-up", "p50 ms", "MB")


def make_cells(report: Dict[str, Any]) -> List[Tuple[str, ...]]:
    """RETURNS (List[Tuple[str, ...]]): The table's rows, the reference first."""
    reference = report["reference"]
    cells = [
        (
            "reference",
            "",
            f"{reference['ents_f']:.4f}",
            "",
            format_number(reference["words_per_second"], ",.0f"),
            "1.00x",
            format_number(reference["p50_ms"], ".1f"),
            format_number(reference["size_mb"], ".1f"),
        )
    ]
    for row in report["candidates"]:
        cells.append(
            (
                row["name"],
                row["status"],
                format_number(row["ents_f"], ".4f"),
                format_number(row["drop"], "+.4f"),
                format_number(row["words_per_second"], ",.0f"),
                format_number(row.get("speedup"), ".2f", "x"),
                format_number(row["p50_ms"], ".1f"),
                format_number(row["size_mb"], ".1f"),
            )
        )
    return cells


def format_number(number: Optional[float], pattern: str, unit: str = "") -> str:
    return "" if number is None else f"{number:{pattern}}{unit}"


def print_rows(report: Dict[str, Any]) -> None:
    """Print the table, a reason for each candidate, and the warnings."""
    msg.table(make_cells(report), header=HEADER, aligns=("l", "l") + ("r",) * 6, divider=True)
    for row in report["candidates"]:
        msg.text(f"{row['name']}: {row['reason']}")
        for line in row.get("log", []):
            msg.text(f"    {line}")
    for warning in report["warnings"]:
        msg.warn(warning)


def make_markdown(report: Dict[str, Any]) -> str:
    """RETURNS (str): The table for a README, with the machine and the reasons."""
    machine = report["machine"]
    lines = [
        f"Measured on {machine['cpu']}, {machine['cores']} cores, alternating with the reference; F1 on dev.",
        "",
        "| " + " | ".join(HEADER) + " | Reason |",
        "|---|---|" + "--:|" * 6 + "---|",
    ]
    reasons = [""] + [row["reason"] for row in report["candidates"]]
    for cells, reason in zip(make_cells(report), reasons):
        lines.append("| " + " | ".join((*cells, reason.replace("|", "/"))) + " |")
    return "\n".join(lines + [""] + [f"Warning: {warning}" for warning in report["warnings"]]).strip() + "\n"


def save_plot(report: Dict[str, Any], path: Path) -> None:
    """Draw F1 against speed: every candidate a labelled point, the gate a line.

    path (Path): The .png file to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    styles = {
        "chosen": {"color": "#0072B2", "marker": "*", "s": 220},
        "passed": {"color": "#0072B2", "marker": "o", "s": 55},
        "rejected": {"color": "#D55E00", "marker": "X", "s": 70},
    }
    reference = report["reference"]
    figure, axes = plt.subplots(figsize=(8, 4.8), constrained_layout=True)
    floor = reference["ents_f"] - report["gate"]["max_f1_drop"]
    axes.axhline(floor, color="#D55E00", linewidth=1, linestyle="--", label=f"gate: F1 {floor:.4f}")
    axes.scatter(1, reference["ents_f"], color="black", marker="s", s=55, label="reference")
    axes.annotate("reference", (1, reference["ents_f"]), xytext=(0, 9), textcoords="offset points", ha="center")
    labelled = set()
    for number, row in enumerate(row for row in report["candidates"] if row.get("speedup")):
        point = (row["speedup"], row["ents_f"])
        label = None if row["status"] in labelled else row["status"]
        labelled.add(row["status"])
        axes.scatter(*point, label=label, zorder=3, **styles[row["status"]])
        axes.annotate(
            row["name"], point, xytext=(0, 9 if number % 2 else -16), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set_xlabel("Throughput, times the reference")
    axes.set_ylabel("Entity F1 on dev")
    axes.set_title("What each candidate keeps, and how fast it is", loc="left")
    axes.set_xlim(left=0)
    axes.margins(0.12, 0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="best")
    figure.savefig(path, dpi=150)
    plt.close(figure)
