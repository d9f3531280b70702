"""Convert an annotated corpus to .spacy corpora for train, dev and test."""

import contextlib
import hashlib
import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set

import srsly
import tqdm
from spacy.tokens import Doc, DocBin
from spacy.util import minibatch
from spacy.vocab import Vocab

from ..common.console import UserError
from ..common.files import check_kept, replace_when_done
from .detect import FORMATS, detect_format, read_sentences
from .labels import Labels
from .sentence import Notes, Sentence
from .settings import AUTO, CorpusSettings, check_choice

SPLITS = ("train", "dev", "test")


def convert(
    source: Path,
    output_dir: Path,
    settings: CorpusSettings = CorpusSettings(),
    *,
    metrics: Optional[Path] = None,
    silent: bool = True,
) -> Dict[str, Any]:
    """Write train.spacy, dev.spacy, test.spacy and the counts, all of them or none.

    source (Path): Annotated corpus.
    output_dir (Path): Folder for the corpora.
    settings (CorpusSettings): How the corpus is read and split.
    metrics (Optional[Path]): JSON file for the counts.
    silent (bool): Show no progress bar.
    RETURNS (Dict[str, Any]): What is written to metrics: the settings, the duplicates, and of each split `count`.
    RAISES (UserError): For a file that is missing, damaged or out of format, too small to split, or would be overwritten.
    """
    check_choice("--format", settings.format_name, (AUTO, *FORMATS))
    # Test comes first, as it is kept whole; then the others lose what was read before them.
    paths = {"test": settings.test, "dev": settings.dev, "train": source}
    paths = {split: path for split, path in paths.items() if path is not None}
    targets = {split: output_dir / f"{split}.spacy" for split in SPLITS}
    check_kept(paths.values(), [*targets.values(), *([metrics] if metrics is not None else [])])
    labels = settings.reader.labels
    notes = Notes()
    seen: Set[bytes] = set()
    vocab = Vocab()
    found: Set[str] = set()
    docs: Dict[str, List[Doc]] = {}
    files: Dict[str, Dict[str, Any]] = {}
    for split, path in paths.items():
        name = detect_format(path, settings.reader) if settings.format_name == AUTO else settings.format_name
        duplicates: Counter = Counter()
        sentences = rename_labels(read_sentences(path, name, settings.reader, notes), labels, found)
        kept = drop_duplicates(sentences, seen, duplicates, keep=split == "test")
        progress = tqdm.tqdm(kept, desc="Sentences", unit="", disable=silent, leave=False)
        docs[split] = [make_doc(vocab, group) for group in group_sentences(progress, settings.n_sents)]
        files[split] = {"name": path.name, "format": name, "duplicates": duplicates["sentences"]}
        if not docs[split]:
            others = " and ".join(str(paths[other]) for other in docs if other != split)
            raise UserError(f"{path}: all its sentences are in {others}, too. Name another file.")
    splits = split_docs(docs, settings, source)
    counts = {
        "source": source.name,
        "files": files,
        "lang": settings.reader.lang,
        "labels": labels.renamed,
        "labels_not_found": sorted(set(labels.renamed) - found),
        "seed": settings.seed,
        "n_sents": settings.n_sents,
        "duplicates": sum(file_["duplicates"] for file_ in files.values()),
        "skipped": {what: n for what, n in notes.skipped.items() if n},
        "corrected": {what: n for what, n in notes.corrected.items() if n},
        "splits": {split: count(split_docs_) for split, split_docs_ in splits.items()},
    }
    # All files are written before the first one is renamed, so that they belong together.
    with contextlib.ExitStack() as stack:
        for split, split_docs_ in splits.items():
            path = stack.enter_context(replace_when_done(targets[split]))
            DocBin(docs=split_docs_, store_user_data=True).to_disk(path)
        if metrics is not None:
            path = stack.enter_context(replace_when_done(metrics))
            srsly.write_json(path, counts)
    return counts


def rename_labels(sentences: Iterable[Sentence], labels: Labels, found: Set[str]) -> Iterator[Sentence]:
    """Give entities their new labels, and drop those that have none.

    found (Set[str]): Gets the old labels.
    """
    for sentence in sentences:
        found.update(tag[2:] for tag in sentence.tags if tag and tag != "O")
        yield sentence._replace(tags=labels.rename(sentence.tags))


def drop_duplicates(
    sentences: Iterable[Sentence], seen: Set[bytes], duplicates: Counter, *, keep: bool = False
) -> Iterator[Sentence]:
    """Keep the first of all sentences with the same words.

    seen (Set[bytes]): Digests of the sentences before; gets those of these.
    duplicates (Counter): Gets the number of dropped "sentences".
    keep (bool): Drop nothing.
    """
    for sentence in sentences:
        # A digest instead of the text: WikiNER in full has 140,000 sentences.
        digest = hashlib.blake2b(" ".join(sentence.words).encode("utf8"), digest_size=16).digest()
        if digest in seen and not keep:
            duplicates["sentences"] += 1
        else:
            seen.add(digest)
            yield sentence


def group_sentences(sentences: Iterable[Sentence], n_sents: int) -> Iterator[List[Sentence]]:
    """Group sentences that follow each other, never of two documents."""
    for _, document in itertools.groupby(sentences, key=lambda sentence: sentence.document):
        yield from minibatch(document, size=n_sents)


def make_doc(vocab: Vocab, sentences: Iterable[Sentence]) -> Doc:
    """Join sentences to one Doc with parts of speech and spaces, if all have them, entities and sentence starts."""
    sentences = list(sentences)
    words, tags, sent_starts = [], [], []
    for sentence in sentences:
        words.extend(sentence.words)
        tags.extend(sentence.tags)
        sent_starts.extend([True] + [False] * (len(sentence.words) - 1))
    pos = join([sentence.pos for sentence in sentences])
    spaces = join([sentence.spaces for sentence in sentences])
    return Doc(vocab, words=words, spaces=spaces, tags=pos, ents=tags, sent_starts=sent_starts)


def join(lists: List[Optional[List[Any]]]) -> Optional[List[Any]]:
    """Join lists, if none is missing.

    RETURNS (Optional[List[Any]]): All of them as one, None if one is missing.
    """
    joined: List[Any] = []
    for one in lists:
        if one is None:
            return None
        joined.extend(one)
    return joined


def split_docs(docs: Dict[str, List[Doc]], settings: CorpusSettings, source: Path) -> Dict[str, List[Doc]]:
    """Shuffle the Docs of the source by the seed, and cut off those for dev and test where these have no file.

    docs (Dict[str, List[Doc]]): The Docs of each file, those of the source as "train".
    RETURNS (Dict[str, List[Doc]]): The Docs of all splits; those of a file of its own in its order.
    RAISES (UserError): If a split would get no Doc.
    """
    shuffled = list(docs["train"])
    random.Random(settings.seed).shuffle(shuffled)
    dev_share, test_share = (
        0.0 if split in docs else share for split, share in (("dev", settings.dev_share), ("test", settings.test_share))
    )
    n_dev, n_test = (round(len(shuffled) * share) for share in (dev_share, test_share))
    splits = {
        "train": shuffled[n_dev + n_test :],
        "dev": docs.get("dev", shuffled[:n_dev]),
        "test": docs.get("test", shuffled[n_dev : n_dev + n_test]),
    }
    empty = [split for split, split_docs_ in splits.items() if not split_docs_]
    if empty:
        n_sentences = sum(len(list(doc.sents)) for doc in shuffled)
        hint = "It is one sentence: is there a blank line after each? " if n_sentences == 1 else ""
        raise UserError(
            f"{source} makes {len(shuffled)} Docs, too few for a {' and a '.join(empty)} corpus with "
            f"{dev_share:.0%} for dev and {test_share:.0%} for test. "
            f"{hint}Use more text, fewer sentences a Doc (`--vars.n_sents`), or other shares."
        )
    return splits


def count(docs: List[Doc]) -> Dict[str, Any]:
    """Count what a split holds.

    RETURNS (Dict[str, Any]): The number of "docs", "sentences", "tokens" and "entities" (by label).
    """
    entities = Counter(ent.label_ for doc in docs for ent in doc.ents)
    return {
        "docs": len(docs),
        "sentences": sum(1 for doc in docs for _ in doc.sents),
        "tokens": sum(len(doc) for doc in docs),
        "entities": dict(sorted(entities.items())),
    }
