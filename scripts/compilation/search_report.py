"""Show what the search found: on the terminal, as Markdown and as a picture."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from wasabi import msg

from ..common.reporting import format_markdown, name_machine

ALIGNS = ("l", "l", *"rrrrrrr")
HEADER = ("Candidate", "Status", "F1", "Drop", "Agreement", "Words/s", "Speed-up", "p50 ms", "MB")


def make_cells(report: Dict[str, Any]) -> List[Tuple[str, ...]]:
    """Lay out the table, the reference first."""
    reference = report["reference"]
    cells = [
        (
            "reference",
            "",
            format_number(reference["ents_f"], ".4f"),
            "",
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
                format_number(get_lowest_agreement(row), ".4f"),
                format_number(row["words_per_second"], ",.0f"),
                format_number(row.get("speedup"), ".2f", "x"),
                format_number(row["p50_ms"], ".1f"),
                format_number(row["size_mb"], ".1f"),
            )
        )
    return cells


def get_lowest_agreement(row: Dict[str, Any]) -> Optional[float]:
    """Find the agreement with the reference on the kind of annotation that it is lowest for."""
    return min((found["value"] for found in row.get("agreement", {}).values()), default=None)


def format_number(number: Optional[float], pattern: str, unit: str = "") -> str:
    return "" if number is None else f"{number:{pattern}}{unit}"


def print_rows(report: Dict[str, Any]) -> None:
    """Print the table, a reason for each candidate, and the warnings."""
    msg.table(make_cells(report), header=HEADER, aligns=ALIGNS, divider=True)
    for row in report["candidates"]:
        msg.text(f"{row['name']}: {row['reason']}")
        for line in row.get("log", []):
            msg.text(f"    {line}")
    if report.get("calibration") is not None:
        msg.text(describe_calibration(report["calibration"]))
    for warning in report["warnings"]:
        msg.warn(warning)


def make_markdown(report: Dict[str, Any]) -> str:
    """Write the table for a README, with the machine and the reasons."""
    reasons = ["", *(row["reason"] for row in report["candidates"])]
    rows = [(*cells, reason) for cells, reason in zip(make_cells(report), reasons)]
    parts = [
        f"Measured on {name_machine(report['machine'])}, alternating with the reference. {describe_compared(report)}",
        format_markdown((*HEADER, "Reason"), (*ALIGNS, "l"), rows),
        *([describe_calibration(report["calibration"])] if report.get("calibration") is not None else []),
        *(f"Warning: {warning}" for warning in report["warnings"]),
    ]
    return "\n\n".join(parts) + "\n"


def describe_compared(report: Dict[str, Any]) -> str:
    """Say what F1 and agreement were computed on."""
    compared = report["compared"]
    gold = f"F1 on the {compared['with_gold']:,} with gold entities. " if compared["with_gold"] else ""
    return (
        f"Annotations compared in {compared['docs']:,} documents ({compared['words']:,} words). {gold}"
        "Agreement: with the reference, of the kind of annotation that it is lowest for."
    )


def describe_calibration(calibration: Dict[str, Any]) -> str:
    """Say what the temperature of the entities' confidence was set to, and what that changed."""
    return (
        f"Confidence of entities: calibrated with a temperature of {calibration['temperature']:.2f} on the "
        f"{calibration['entities']:,} entities found in dev; expected calibration error {calibration['ece_before']:.4f} "
        f"without it, {calibration['ece_after']:.4f} with it."
    )


def save_plot(report: Dict[str, Any], path: Path) -> None:
    """Draw F1 against speed: every candidate a numbered point with its name beside the picture, the gate a line.

    path (Path): The .png file to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    blue, red = "#0072B2", "#D55E00"
    styles = {
        "chosen": {"color": blue, "marker": "*", "s": 330},
        "passed": {"color": blue, "marker": "o", "s": 90},
        "rejected": {"color": red, "marker": "X", "s": 110},
    }
    has_gold = report["reference"]["ents_f"] is not None
    timed = [row for row in report["candidates"] if row.get("speedup")]
    if has_gold:
        top, floor = report["reference"]["ents_f"], report["reference"]["ents_f"] - report["gate"]["max_f1_drop"]
    else:
        top, floor = 1.0, None
    figure, (axes, names) = plt.subplots(1, 2, figsize=(10, 5), width_ratios=[2.1, 1], constrained_layout=True)
    if floor is not None:
        axes.axhline(floor, color=red, linewidth=1, linestyle="--")
        axes.annotate(
            f"gate: F1 {floor:.4f}",
            (1, floor),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3),
            color=red,
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
    axes.scatter(1, top, color="black", marker="s", s=70, zorder=4)
    axes.annotate("reference", (1, top), xytext=(0, 11), textcoords="offset points", ha="center", fontsize=8)
    for number, row in enumerate(timed, start=1):
        point = (row["speedup"], row["ents_f"] if has_gold else get_lowest_agreement(row))
        axes.scatter(*point, zorder=3, **styles[row["status"]])
        axes.annotate(
            str(number),
            point,
            color="white",
            ha="center",
            va="center_baseline",
            fontsize=6,
            fontweight="bold",
            zorder=5,
        )
        names.text(
            0,
            1 - number / (len(timed) + 1),
            f"{number:>2}  {row['name']} ({row['status']})",
            fontsize=8,
            va="center",
            color=red if row["status"] == "rejected" else blue,
            fontweight="bold" if row["status"] == "chosen" else None,
        )
    names.axis("off")
    axes.set_xlabel("Throughput, times the reference")
    axes.set_ylabel("Entity F1 on dev" if has_gold else "Lowest agreement with the reference")
    axes.set_title("What each candidate keeps, and how fast it is", loc="left")
    axes.set_xlim(left=0)
    axes.margins(0.08, 0.2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
