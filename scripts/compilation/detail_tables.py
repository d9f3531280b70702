"""What a benchmark found inside the compiled pipeline, and by the length of a document, as tables for people."""

from typing import Any, Dict, List, NamedTuple, Sequence

from .lengths import REFERENCE_LONGEST


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
    """Lay out the parts of a benchmark that look into the compiled pipeline.

    metrics (Dict[str, Any]): What `benchmark` measured.
    RETURNS (List[Table]): The stages, the encoder, and documents by their length.
    """
    return [make_stages(metrics["stages"]), make_encoder(metrics), make_lengths(metrics)]


def make_stages(stages: Dict[str, Any]) -> Table:
    shares = stages["share"]
    rows = [
        [f"Stage {name}", f"{seconds:.3f}", f"{shares[name]:.1%}"] for name, seconds in stages["seconds"].items()
    ]
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
