"""The numbers of a benchmark as tables for the terminal and for a README."""

from typing import Any, Dict, List, NamedTuple, Sequence

from wasabi import msg

from ..common.agreement import Agreement, name_kind
from ..common.reporting import format_markdown, name_interval, name_machine
from .lengths import REFERENCE_LONGEST

HEADER = ("", "Reference", "Compiled", "Gain")
ALIGNS = ("l", "r", "r", "r")
LATENCIES = {"latency_sentence": "one sentence", "latency_document": "one document"}
STATISTICS = ("mean", "p50", "p95", "p99")
AGREEMENT_HEADER = ("", "Agreement", "95% interval", "Equal documents", "Of the reference")
AGREEMENT_NOTE = (
    "What the compiled pipeline annotates against what the trained one does, on {words:,} words: the F1 of one against the "
    "other for what is found, the share of equal ones for what each token or document has one of."
)
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
        speeds = reference["throughput"][size], compiled["throughput"][size]
        interval = speedup["throughput_interval"][size]
        tables["Throughput"].append(make_speed_row(f"Batches of {size} (words/s)", *speeds, ratio, interval))
    sizes = reference["best_batch_size"], compiled["best_batch_size"]
    title = f"Best batches of each, {sizes[0]} and {sizes[1]} (words/s)"
    speeds = reference["throughput_best"], compiled["throughput_best"]
    interval = speedup["throughput_best_interval"]
    tables["Throughput"].append(make_speed_row(title, *speeds, speedup["throughput_best"], interval))
    for key, title in LATENCIES.items():
        for statistic in STATISTICS:
            before, after = reference[key][statistic], compiled[key][statistic]
            tables["Latency"].append(make_row(f"{title.capitalize()}, {statistic} (ms)", before, after, ",.1f"))
    for key, (title, format_) in RESOURCES.items():
        tables["Resources"].append(make_row(title, reference[key], compiled[key], format_))
    return tables


def make_speed_row(title: str, reference: float, compiled: float, ratio: float, interval: Sequence[float]) -> Row:
    """Lay out two numbers of which the larger is the better, with the interval of their ratio."""
    low, high = interval
    return Row(title, f"{reference:,.0f}", f"{compiled:,.0f}", f"{ratio:.2f}× ({low:.2f}–{high:.2f})")


def make_row(title: str, reference: float, compiled: float, format_: str) -> Row:
    """Lay out two numbers of which the smaller is the better."""
    return Row(title, format(reference, format_), format(compiled, format_), f"{reference / compiled:.2f}×")


def print_tables(metrics: Dict[str, Any]) -> None:
    for title, rows in make_tables(metrics).items():
        msg.table(rows, title=title, header=HEADER, aligns=ALIGNS, divider=True)
    for table in make_detail_tables(metrics):
        msg.table(table.rows, title=table.title, header=table.header, aligns=table.aligns, divider=True)
        msg.text(table.note)


def make_markdown(metrics: Dict[str, Any]) -> str:
    """Write the tables for a README, the first with a sentence before it on what was measured and where."""
    rows = [row for rows in make_tables(metrics).values() for row in rows]
    parts = [describe_run(metrics), format_markdown(HEADER, ALIGNS, rows)]
    for table in make_detail_tables(metrics):
        parts.extend([f"**{table.title}.** {table.note}", format_markdown(table.header, table.aligns, table.rows)])
    return "\n\n".join(parts) + "\n"


def describe_run(metrics: Dict[str, Any]) -> str:
    """Say what was measured, on which machine, and how."""
    machine, measured = metrics["machine"], metrics["measured"]
    features = f" ({', '.join(machine['cpu_features'])})" if machine["cpu_features"] else ""
    packages = ("spacy", "spacy-transformers", "spacy-curated-transformers", "torch", measured["engine"])
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if name in packages)
    return (
        f"Measured on {name_machine(machine)}{features}, with {versions}: the pipeline {describe_compiled(measured)} "
        "against the trained one, each in a process of its own and in turn. "
        f"Throughput: {describe_texts(measured)} of {measured['corpus']}, median of {measured['rounds']} rounds, with "
        f"{name_interval(measured['rounds'])} of the gain. Latency: {describe_single_texts(measured)}, one at a time. "
        "Both load and hold torch here, because it is installed; the compiled pipeline runs without it, in less memory."
    )


def describe_compiled(measured: Dict[str, Any]) -> str:
    """Name the compiled pipeline by its engine."""
    return f"compiled ({measured['engine']}, {measured['precision']})"


def describe_texts(measured: Dict[str, Any]) -> str:
    """Describe the texts of the throughput."""
    return f"{measured['texts']:,} documents ({measured['words']:,} words)"


def describe_single_texts(measured: Dict[str, Any]) -> str:
    """Describe the texts of the latency."""
    return f"{measured['sentences']:,} sentences and {measured['documents']:,} documents"


class Table(NamedTuple):
    """A table, and the sentence that it needs to be understood."""

    title: str
    note: str
    header: Sequence[str]
    rows: List[List[str]]

    @property
    def aligns(self) -> List[str]:
        """The first column to the left, numbers to the right."""
        return ["l"] + ["r"] * (len(self.header) - 1)


def make_detail_tables(metrics: Dict[str, Any]) -> List[Table]:
    """Lay out what the compiled pipeline keeps, and the parts of a benchmark that look into it.

    metrics (Dict[str, Any]): What `benchmark` measured.
    RETURNS (List[Table]): The agreement, the stages, the encoder, and documents by their length.
    """
    return [
        make_agreement_table(metrics["agreement"]),
        make_stages(metrics["stages"]),
        make_encoder(metrics),
        make_lengths(metrics),
    ]


def make_stages(stages: Dict[str, Any]) -> Table:
    shares = stages["share"]
    rows = [[f"Stage {name}", f"{seconds:.3f}", f"{shares[name]:.1%}"] for name, seconds in stages["seconds"].items()]
    rows.append(["All stages in turn", f"{stages['sum']:.3f}", "100.0%"])
    rows.append(["nlp.pipe", f"{stages['pipe']:.3f}", f"{stages['pipe'] / stages['sum']:.1%}"])
    return Table(
        "Stages of the compiled pipeline",
        f"Batches of {stages['batch_size']}, one stage after the other; nlp.pipe runs the encoder and the components "
        "after it at the same time.",
        ("", "s for 10,000 words", "Share"),
        rows,
    )


def make_encoder(metrics: Dict[str, Any]) -> Table:
    wordpieces, encoder = metrics["wordpieces"], metrics["encoder"]
    rows = [
        ["Wordpieces of a word", f"{wordpieces['per_word']:.2f}"],
        ["Wordpieces of a window, special tokens included", f"{wordpieces['per_window']:.1f}"],
        ["Padding among what the encoder is given", f"{wordpieces['padding']:.1%}"],
        ["Special tokens among it", f"{wordpieces['special']:.1%}"],
        ["Overlap: text seen in another window before", f"{wordpieces['overlap']:.1%}"],
        ["Operations of wordpieces (GOP/s)", f"{encoder['real'] / 1e9:,.0f}"],
        ["Operations with padding (GOP/s)", f"{encoder['padded'] / 1e9:,.0f}"],
    ]
    if encoder["peak"]:
        rows += [
            ["Peak: large matrix products (GOP/s)", f"{encoder['peak'] / 1e9:,.0f}"],
            ["Wordpieces, share of the peak", f"{encoder['share']['real']:.1%}"],
            ["With padding, share of the peak", f"{encoder['share']['padded']:.1%}"],
        ]
    shape = encoder["architecture"]
    return Table(
        "Encoder of the compiled pipeline",
        f"{shape['layers']} layers, {shape['width']} wide, {shape['intermediate']} between. The peak is that of the "
        "same engine in the same precision, measured in the same process.",
        ("", "Measured"),
        rows,
    )


def make_lengths(metrics: Dict[str, Any]) -> Table:
    rows = []
    for length, after in metrics["compiled"]["lengths"].items():
        before = metrics["reference"]["lengths"].get(length)
        rows.append(
            [
                f"Document of {int(length):,} words",
                f"{before['words_per_second']:,.0f}" if before else "–",
                f"{after['words_per_second']:,.0f}",
                f"{after['words_per_second'] / before['words_per_second']:.2f}×" if before else "–",
                f"{before['peak_memory_mb']:,.0f}" if before else "–",
                f"{after['peak_memory_mb']:,.0f}",
                f"{after['kib_per_word']:,.1f}",
            ]
        )
    return Table(
        "By the length of a document",
        f"One document at a time. The trained pipeline is measured up to {REFERENCE_LONGEST:,} words: it pads all "
        "windows of a document to the longest and runs them at once. The last column is the compiled pipeline's peak memory "
        "above that of the loaded pipeline, for each word.",
        ("", "Reference (words/s)", "Compiled (words/s)", "Gain", "Peak (MB)", "Peak (MB)", "KiB a word"),
        rows,
    )


def make_agreement_table(compared: Dict[str, Any]) -> Table:
    """Lay out what `agreement.compare` found."""
    rows = []
    for kind, values in compared["kinds"].items():
        found = Agreement(**values)
        title = name_kind(kind).capitalize()
        if found.largest_difference is not None:
            title += f" (scores differ by {found.largest_difference:.4f} at most)"
        low, high = found.interval
        rows.append(
            [title, f"{found.value:.4f}", f"{low:.4f}–{high:.4f}", f"{found.equal_docs:.1%}", f"{found.items:,}"]
        )
    return Table("What both annotate", AGREEMENT_NOTE.format(words=compared["words"]), AGREEMENT_HEADER, rows)


def describe_agreement(compared: Dict[str, Any]) -> str:
    """Say in one line how far all kinds of annotation agree."""
    kinds = [f"{name_kind(kind)} {values['value']:.4f}" for kind, values in compared["kinds"].items()]
    return f"Agreement: {', '.join(kinds)}."
