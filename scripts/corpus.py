"""Convert a WikiNER file into the .spacy corpora that spaCy trains on.

The way of the data: assets/*.bz2 -> corpus/{train,dev,test}.spacy and metrics/corpus.json
"""

import bz2
import contextlib
import gzip
import hashlib
import random
import re
import zlib
from codecs import BOM_UTF8
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

import srsly
import tqdm
import typer
from spacy.tokens import Doc, DocBin
from spacy.training import biluo_to_iob, iob_to_biluo
from spacy.util import minibatch
from spacy.vocab import Vocab
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .console import UserError, exit_on_user_error, replace_when_done

LABELS = ("LOC", "MISC", "ORG", "PER")
SPLITS = ("train", "dev", "test")
OPENERS = {".bz2": bz2.open, ".gz": gzip.open}


class Sentence(NamedTuple):
    """One line of WikiNER: parallel lists of equal length, `tags` in IOB2."""

    words: List[str]
    pos: List[str]
    tags: List[str]


def corpus_cli(
    # fmt: off
    source: Path = Arg(..., help="WikiNER file: one sentence a line, tokens as word|POS|tag; .bz2, .gz or plain text"),
    output_dir: Path = Arg(..., help="Folder for train.spacy, dev.spacy and test.spacy"),
    n_sents: int = Opt(10, "--n-sents", "-n", min=1, help="Sentences in a Doc"),
    dev_share: float = Opt(0.1, "--dev-share", min=0.0, max=0.9, help="Share of the Docs for dev"),
    test_share: float = Opt(0.1, "--test-share", min=0.0, max=0.9, help="Share of the Docs for test"),
    seed: int = Opt(0, "--seed", "-s", help="Seed of the split; the same seed and source give the same files"),
    metrics: Optional[Path] = Opt(None, "--metrics", "-m", help="JSON file for the counts by split and label"),
    # fmt: on
):
    """Convert a WikiNER file to train, dev and test corpora for spaCy.

    Every line is checked; a bad one ends the command with its file and line number.
    Sentences that occur more than once are kept once, so that none is in two splits.
    """
    with exit_on_user_error():
        counts = convert(
            source,
            output_dir,
            n_sents=n_sents,
            shares={"dev": dev_share, "test": test_share},
            seed=seed,
            metrics=metrics,
            silent=False,
        )
    print_counts(counts)


def convert(
    source: Path,
    output_dir: Path,
    *,
    n_sents: int = 10,
    shares: Dict[str, float],
    seed: int = 0,
    metrics: Optional[Path] = None,
    silent: bool = True,
) -> Dict[str, Any]:
    """Write train.spacy, dev.spacy, test.spacy and the counts, all of them or none.

    source (Path): WikiNER file.
    output_dir (Path): Folder for the corpora.
    n_sents (int): Sentences in a Doc.
    shares (Dict[str, float]): Share of the Docs for "dev" and "test"; train gets the rest.
    seed (int): Seed of the split.
    metrics (Optional[Path]): JSON file for the counts.
    silent (bool): Show no progress bar.
    RETURNS (Dict[str, Any]): What is written to metrics, see `count`.
    RAISES (UserError): For a source that is missing, damaged or out of format, or too small to split.
    """
    sentences = read_wikiner(source)
    duplicates = Counter()
    unique = drop_duplicates(sentences, duplicates)
    progress = tqdm.tqdm(unique, desc="Sentences", unit="", disable=silent, leave=False)
    vocab = Vocab()
    docs = [make_doc(vocab, group) for group in minibatch(progress, size=n_sents)]
    splits = split_docs(docs, shares, seed, source)
    counts = {
        "source": source.name,
        "seed": seed,
        "n_sents": n_sents,
        "duplicates": duplicates["sentences"],
        "splits": {split: count(split_docs_) for split, split_docs_ in splits.items()},
    }
    # All files are written before the first one is renamed, so that they belong together.
    with contextlib.ExitStack() as stack:
        for split, split_docs_ in splits.items():
            path = stack.enter_context(replace_when_done(output_dir / f"{split}.spacy"))
            DocBin(docs=split_docs_, store_user_data=True).to_disk(path)
        if metrics is not None:
            path = stack.enter_context(replace_when_done(metrics))
            srsly.write_json(path, counts)
    return counts


def read_wikiner(source: Path) -> Iterator[Sentence]:
    """Stream the sentences of a WikiNER file, checking every line.

    source (Path): The file: .bz2, .gz or plain UTF-8 text, a sentence a line, blank lines between them.
    YIELDS (Sentence): The sentences, their tags converted from IOB1 to IOB2.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    if not source.exists():
        raise UserError(
            f"There is no corpus at {source}. Download the assets with "
            "`python -m spacy project assets`, or name another file with `--vars.source PATH`."
        )
    if source.is_dir():
        raise UserError(f"{source} is a folder. Name one WikiNER file.")
    opener = OPENERS.get(source.suffix, open)
    line_number, n_sentences = 0, 0
    try:
        with opener(source, "rb") as file_:
            for line_number, line in enumerate(file_, start=1):
                where = f"{source}, line {line_number}"
                if line_number == 1:
                    line = line.removeprefix(BOM_UTF8)
                if line.strip():
                    yield parse_line(decode(line, where), where)
                    n_sentences += 1
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(
            f"{source} is damaged or cut short after line {line_number} ({error}). "
            "Delete it and download it again with `python -m spacy project assets`."
        ) from error
    if not n_sentences:
        raise UserError(f"{source} holds no sentences: expected lines of word|POS|tag tokens.")


def decode(line: bytes, where: str) -> str:
    try:
        return line.decode("utf8").strip(" \r\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: byte {error.start + 1} is not UTF-8. Convert the file to UTF-8 first."
        ) from error


def parse_line(line: str, where: str) -> Sentence:
    """Parse one sentence in WikiNER's format.

    line (str): Tokens as `word|POS|tag`, separated by single spaces, tags in IOB1.
    where (str): File and line number, for the error.
    RETURNS (Sentence): The parsed sentence.
    RAISES (UserError): For a token without three fields, or an unknown tag.
    """
    words, pos, tags = [], [], []
    for token in line.split(" "):
        fields = token.split("|")
        if len(fields) != 3 or not all(fields):
            raise UserError(f"{where}: expected word|POS|tag, got {token!r}.")
        word, tag_of_speech, tag = fields
        if tag != "O" and not (re.match("[IB]-", tag) and tag[2:] in LABELS):
            raise UserError(
                f"{where}: unknown tag {tag!r} in {token!r}. "
                f"Expected O, or I- or B- and one of {', '.join(LABELS)}."
            )
        words.append(word)
        pos.append(tag_of_speech)
        tags.append(tag)
    # Sentence by sentence: in IOB1 an entity at the end of one sentence and one
    # at the start of the next would otherwise melt into one.
    return Sentence(words, pos, biluo_to_iob(iob_to_biluo(tags)))


def drop_duplicates(sentences: Iterable[Sentence], duplicates: Counter) -> Iterator[Sentence]:
    """Keep the first of all sentences with the same words.

    duplicates (Counter): Gets the number of dropped "sentences".
    """
    seen = set()
    for sentence in sentences:
        # A digest instead of the text: WikiNER in full has 140,000 sentences.
        digest = hashlib.blake2b(" ".join(sentence.words).encode("utf8"), digest_size=16).digest()
        if digest in seen:
            duplicates["sentences"] += 1
        else:
            seen.add(digest)
            yield sentence


def make_doc(vocab: Vocab, sentences: Iterable[Sentence]) -> Doc:
    """Join sentences to one Doc with tags, entities and sentence starts."""
    words, pos, tags, sent_starts = [], [], [], []
    for sentence in sentences:
        words.extend(sentence.words)
        pos.extend(sentence.pos)
        tags.extend(sentence.tags)
        sent_starts.extend([True] + [False] * (len(sentence.words) - 1))
    return Doc(vocab, words=words, tags=pos, ents=tags, sent_starts=sent_starts)


def split_docs(
    docs: List[Doc], shares: Dict[str, float], seed: int, source: Path
) -> Dict[str, List[Doc]]:
    """Shuffle the Docs by the seed and cut them into train, dev and test.

    RAISES (UserError): If a split would get no Doc.
    """
    shuffled = list(docs)
    random.Random(seed).shuffle(shuffled)
    n_dev, n_test = (round(len(docs) * shares[split]) for split in ("dev", "test"))
    splits = {
        "train": shuffled[n_dev + n_test :],
        "dev": shuffled[:n_dev],
        "test": shuffled[n_dev : n_dev + n_test],
    }
    empty = [split for split, split_docs_ in splits.items() if not split_docs_]
    if empty:
        raise UserError(
            f"{source} makes {len(docs)} Docs, too few for a {' and a '.join(empty)} corpus with "
            f"{shares['dev']:.0%} for dev and {shares['test']:.0%} for test. "
            "Use more text, fewer sentences a Doc (`--vars.n_sents`), or other shares."
        )
    return splits


def count(docs: List[Doc]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The number of "docs", "sentences", "tokens" and "entities" (by label)."""
    entities = Counter(ent.label_ for doc in docs for ent in doc.ents)
    return {
        "docs": len(docs),
        "sentences": sum(1 for doc in docs for _ in doc.sents),
        "tokens": sum(len(doc) for doc in docs),
        "entities": dict(sorted(entities.items())),
    }


def print_counts(counts: Dict[str, Any]) -> None:
    header = ["", "Docs", "Sentences", "Tokens", *LABELS]
    rows: List[Tuple] = []
    for split in SPLITS:
        numbers = counts["splits"][split]
        by_label = [numbers["entities"].get(label, 0) for label in LABELS]
        rows.append(
            (split, numbers["docs"], numbers["sentences"], numbers["tokens"], *by_label)
        )
    msg.table(
        [(row[0], *(f"{number:,}" for number in row[1:])) for row in rows],
        header=header,
        aligns=["l"] + ["r"] * (len(header) - 1),
        divider=True,
    )
    msg.good(f"Converted {counts['source']} (dropped {counts['duplicates']:,} duplicate sentences)")


if __name__ == "__main__":
    typer.run(corpus_cli)
