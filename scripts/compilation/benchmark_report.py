"""The numbers of a benchmark as tables for the terminal and for a README."""

import re
from typing import Any, Dict, List, NamedTuple

from wasabi import msg

HEADER = ("", "Reference", "Compiled", "Gain")
ALIGNS = ("l", "r", "r", "r")
LATENCIES = {"latency_sentence": "one sentence", "latency_document": "one document"}
STATISTICS = ("mean", "p50", "p95", "p99")
RESOURCES = {
    "load_seconds": ("Load and first text (s)", ",.1f"),
    "peak_memory_mb": ("Peak memory (MB)", ",.0f"),
    "size_mb": ("Size on disk (MB)", ",.0f"),
}


class Row(NamedTuple):
    """A line of a table, its numbers as a person reads them."""

    title: str
    reference: str
    compiled: str
    gain: str


def make_tables(metrics: Dict[str, Any]) -> Dict[str, List[Row]]:
    """Lay out a benchmark.

    metrics (Dict[str, Any]): What `benchmark` measured.
    RETURNS (Dict[str, List[Row]]): By title, the rows of each table.
    """
    reference, compiled, speedup = metrics["reference"], metrics["compiled"], metrics["speedup"]
    tables: Dict[str, List[Row]] = {"Throughput": [], "Latency": [], "Resources": []}
    for size, ratio in speedup["throughput"].items():
        low, high = speedup["throughput_interval"][size]
        tables["Throughput"].append(
            Row(
                f"Batches of {size} (words/s)",
                f"{reference['throughput'][size]:,.0f}",
                f"{compiled['throughput'][size]:,.0f}",
                f"{ratio:.2f}× ({low:.2f}–{high:.2f})",
            )
        )
    for key, title in LATENCIES.items():
        for statistic in STATISTICS:
            before, after = reference[key][statistic], compiled[key][statistic]
            tables["Latency"].append(make_row(f"{title.capitalize()}, {statistic} (ms)", before, after, ",.1f"))
    for key, (title, format_) in RESOURCES.items():
        tables["Resources"].append(make_row(title, reference[key], compiled[key], format_))
    return tables


def make_row(title: str, reference: float, compiled: float, format_: str) -> Row:
    """RETURNS (Row): Two numbers of which the smaller is the better."""
    return Row(title, format(reference, format_), format(compiled, format_), f"{reference / compiled:.2f}×")


def print_tables(metrics: Dict[str, Any]) -> None:
    for title, rows in make_tables(metrics).items():
        msg.table(rows, title=title, header=HEADER, aligns=ALIGNS, divider=True)


def make_markdown(metrics: Dict[str, Any]) -> str:
    """RETURNS (str): One table for a README, with a sentence before it on what was measured and where."""
    rows = [row for rows in make_tables(metrics).values() for row in rows]
    lines = [
        describe_run(metrics),
        "",
        "| " + " | ".join(HEADER) + " |",
        "| " + " | ".join("---" if align == "l" else "--:" for align in ALIGNS) + " |",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def describe_run(metrics: Dict[str, Any]) -> str:
    """RETURNS (str): What was measured, on which machine, and how."""
    machine, measured = metrics["machine"], metrics["measured"]
    features = f" ({', '.join(machine['cpu_features'])})" if machine["cpu_features"] else ""
    packages = ("spacy", "spacy-transformers", "torch", measured.get("engine"))
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if name in packages)
    return (
        f"Measured on {name_machine(machine)}{features}, with {versions}: the pipeline {describe_compiled(measured)} "
        "against the trained one, each in a process of its own and in turn. "
        f"Throughput: {describe_texts(measured)} of {measured['corpus']}, median of {measured['rounds']} rounds, with "
        f"the 95% bootstrap interval of the gain. Latency: {describe_single_texts(measured)}, one at a time. "
        "Both load and hold torch here, because it is installed; the compiled pipeline runs without it, in less memory."
    )


def name_machine(machine: Dict[str, Any]) -> str:
    """RETURNS (str): The processors that did the work."""
    cpu = re.sub(r"\((R|TM|tm)\)", "", machine["cpu"])
    cores = f"{cpu}, {machine['threads']} core{'s' if machine['threads'] > 1 else ''}"
    return f"{machine['gpu']} and {cores}" if "gpu" in machine else cores


def describe_compiled(measured: Dict[str, Any]) -> str:
    """RETURNS (str): The compiled pipeline by its engine."""
    return f"compiled ({measured['engine']}, {measured['precision']})" if "engine" in measured else "compiled"


def describe_texts(measured: Dict[str, Any]) -> str:
    """RETURNS (str): The texts of the throughput."""
    return f"{measured['texts']:,} documents ({measured['words']:,} words)"


def describe_single_texts(measured: Dict[str, Any]) -> str:
    """RETURNS (str): The texts of the latency."""
    return f"{measured['sentences']:,} sentences and {measured['documents']:,} documents"
