"""The numbers of a comparison with peers as a table for the terminal and for a README."""

from typing import Any, Dict, List

from wasabi import msg

from ..common.reporting import format_markdown, name_interval, name_machine

HEADER = ("", "Words/s", "Against stock", "Best batches", "Peak memory (MB)")
ALIGNS = ("l", "r", "r", "r", "r")


def make_rows(metrics: Dict[str, Any]) -> List[List[str]]:
    """Lay out a comparison.

    metrics (Dict[str, Any]): What `compare` measured.
    RETURNS (List[List[str]]): A row for each peer, from the slowest to the fastest.
    """
    rows = []
    for peer in sorted(metrics["peers"].values(), key=lambda peer: peer["ratio"]):
        low, high = peer["ratio_interval"]
        size, unit = peer["batch_size"], peer["unit"]
        rows.append(
            [
                peer["title"],
                f"{peer['words_per_second']:,.0f}",
                f"{peer['ratio']:.2f}× ({low:.2f}–{high:.2f})",
                f"{size} {unit if size > 1 else unit[:-1]}",  # "1 document", "8 sentences"
                f"{peer['peak_memory_mb']:,.0f}",
            ]
        )
    return rows


def print_table(metrics: Dict[str, Any]) -> None:
    """Print the table, and why some peers are not in it.

    metrics (Dict[str, Any]): What `compare` measured.
    """
    msg.table(make_rows(metrics), title="Peers", header=HEADER, aligns=ALIGNS, divider=True)
    for name, reason in metrics["failed"].items():
        msg.warn(f"{name} does not run: {reason}")


def make_markdown(metrics: Dict[str, Any]) -> str:
    """Write the table for a README, with a sentence before it on what was measured and where.

    metrics (Dict[str, Any]): What `compare` measured.
    """
    measured = metrics["measured"]
    texts = f"{measured['documents']:,} documents ({measured['words']:,} words) of {measured['corpus']}"
    parts = [
        f"Measured on {name_machine(metrics['machine'])}: {texts}, median of {measured['rounds']} rounds in turn, each "
        "in a process of its own and in the batches that are best for it, with "
        f"{name_interval(measured['rounds'])} of the ratio. "
        "The token classification has a linear head that finds nothing, no spaCy tokens and, where its texts are "
        "sentences, those of the corpus.",
        format_markdown(HEADER, ALIGNS, make_rows(metrics)),
        *(f"{name} does not run: {reason}" for name, reason in metrics["failed"].items()),
    ]
    return "\n\n".join(parts) + "\n"
