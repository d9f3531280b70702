"""Convert annotated corpora of many formats into the .spacy corpora that spaCy trains on.

Data flow: assets/* -> corpus/{train,dev,test}.spacy and metrics/corpus.json
"""

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .common.console import exit_on_user_error
from .formats.convert import SPLITS, convert
from .formats.detect import FORMATS
from .formats.huggingface import parse_label_names
from .formats.labels import parse_labels
from .formats.settings import CorpusSettings, ReaderSettings, parse_columns

DEFAULTS = CorpusSettings()


def corpus_cli(
    # fmt: off
    source: Path = Arg(..., help="Annotated corpus; text formats as .bz2, .gz or plain text"),
    output_dir: Path = Arg(..., help="Folder for train.spacy, dev.spacy and test.spacy"),
    format_name: str = Opt(
        DEFAULTS.format_name, "--format", "-f", help=f"Format: {', '.join(FORMATS)}; auto looks at each file"
    ),
    dev: str = Opt("", "--dev", help="File for dev, instead of a share of the source"),
    test: str = Opt("", "--test", help="File for test, instead of a share of the source"),
    labels: str = Opt("", "--labels", "-l", help="Labels to rename or drop: geo=LOC,tim="),
    lang: str = Opt(
        DEFAULTS.reader.lang, "--lang", help="Language: its tokenizer splits texts that come without tokens"
    ),
    encoding: str = Opt("", "--encoding", help="Encoding of text files, if it is not that of the format"),
    misaligned: str = Opt(
        DEFAULTS.reader.misaligned, "--misaligned", help="Spans that miss token borders: error, or skip them"
    ),
    repeated: str = Opt(
        DEFAULTS.reader.repeated,
        "--repeated",
        help="Texts that are there more than once with different spans: error, union, first or most",
    ),
    columns: str = Opt("", "--columns", help="Columns of a file with a token a line, if they are not seen: word,_,tag"),
    scheme: str = Opt(DEFAULTS.reader.scheme, "--scheme", help="Tags: auto for any with prefixes, io for bare labels"),
    label_names: str = Opt("", "--label-names", help="Names of tags that are numbers: O,B-PER,I-PER or a JSON file"),
    strict: bool = Opt(
        DEFAULTS.reader.strict, "--strict", help="Refuse stray tags that could be read as they were meant"
    ),
    n_sents: int = Opt(DEFAULTS.n_sents, "--n-sents", "-n", min=1, help="Sentences in a Doc, at most"),
    dev_share: float = Opt(DEFAULTS.dev_share, "--dev-share", min=0.0, max=0.9, help="Share of the Docs for dev"),
    test_share: float = Opt(DEFAULTS.test_share, "--test-share", min=0.0, max=0.9, help="Share of the Docs for test"),
    seed: int = Opt(
        DEFAULTS.seed, "--seed", "-s", help="Seed of the split; the same seed and source give the same files"
    ),
    metrics: Optional[Path] = Opt(None, "--metrics", "-m", help="JSON file for the counts by split and label"),
    # fmt: on
):
    """Convert an annotated corpus to train, dev and test corpora for spaCy.

    Every line is checked; a bad one ends the command with its file and line number.
    Sentences that occur more than once are kept once, so that none is in two splits;
    a test file is kept as it is, and what is in it is dropped from the others.
    An empty value of an option means the default.
    """
    with exit_on_user_error():
        settings = CorpusSettings(
            reader=ReaderSettings(
                labels=parse_labels(labels),
                lang=lang or DEFAULTS.reader.lang,
                encoding=encoding,
                columns=parse_columns(columns),
                scheme=scheme or DEFAULTS.reader.scheme,
                label_names=parse_label_names(label_names),
                misaligned=misaligned or DEFAULTS.reader.misaligned,
                repeated=repeated or DEFAULTS.reader.repeated,
                strict=strict,
            ),
            format_name=format_name or DEFAULTS.format_name,
            dev=Path(dev) if dev else None,
            test=Path(test) if test else None,
            n_sents=n_sents,
            dev_share=dev_share,
            test_share=test_share,
            seed=seed,
        )
        counts = convert(source, output_dir, settings, metrics=metrics, silent=False)
    print_counts(counts)


def print_counts(counts: Dict[str, Any]) -> None:
    """Print what was converted as a table, and what is to be known besides."""
    labels = sorted({label for split in SPLITS for label in counts["splits"][split]["entities"]})
    header = ["", "Docs", "Sentences", "Tokens", *labels]
    rows: List[Tuple] = []
    for split in SPLITS:
        numbers = counts["splits"][split]
        by_label = [numbers["entities"].get(label, 0) for label in labels]
        rows.append((split, numbers["docs"], numbers["sentences"], numbers["tokens"], *by_label))
    msg.table(
        [(row[0], *(f"{number:,}" for number in row[1:])) for row in rows],
        header=header,
        aligns=["l"] + ["r"] * (len(header) - 1),
        divider=True,
    )
    for what, n in counts["skipped"].items():
        msg.warn(f"Left out {n:,} {what}")
    for what, n in counts["corrected"].items():
        msg.warn(f"Read {n:,} {what}")
    if counts["labels_not_found"]:
        msg.warn(f"No entity has the label {' or '.join(counts['labels_not_found'])}, which `--labels` names")
    files = ", ".join(f"{file_['name']} ({file_['format']})" for file_ in reversed(counts["files"].values()))
    msg.good(f"Converted {files} (dropped {counts['duplicates']:,} duplicate sentences)")


if __name__ == "__main__":
    typer.run(corpus_cli)
