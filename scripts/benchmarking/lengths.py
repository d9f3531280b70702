"""Cost against the length of a document: seconds and memory of both pipelines, in turn."""

import itertools
from functools import partial
from typing import Any, Dict, List, Sequence, Tuple

from spacy.tokens import Doc

from .process import PipelineProcess
from .timing import take_turns

SHORTEST = 100  # Words, and ten times as many, and so on.
# The trained pipeline runs all windows of a document at once, padded to the longest: memory and time go out of hand.
REFERENCE_LONGEST = 10_000
WORDS = 3_000  # Short documents are several, with so many words together.
WARM_UP_LONGEST = 1_000  # Words; longer documents warm up while they run.
REPEATED_WORDS = 20_000  # Documents are repeated up to so many words, or up to the number of rounds.


def list_lengths(longest: int) -> List[int]:
    """List 100, 1,000 and so on up to the longest."""
    powers = itertools.takewhile(lambda n: n <= longest, (SHORTEST * 10**power for power in itertools.count()))
    return list(powers)


def make_documents(docs: Sequence[Doc], length: int) -> List[str]:
    """Make documents of one length from the sentences of a corpus.

    docs (Sequence[Doc]): The corpus, whose sentences follow each other, and again if it is short.
    length (int): Words of each document, less than a sentence more.
    RETURNS (List[str]): Documents, 3,000 words together or one.
    """
    sentences = itertools.cycle((sent.text, len(sent)) for doc in docs for sent in doc.sents)
    documents = []
    for _ in range(max(1, WORDS // length)):
        texts, words = [], 0
        while words < length:
            text, n = next(sentences)
            texts.append(text)
            words += n
        documents.append(" ".join(texts))
    return documents


def compare_length(
    reference: PipelineProcess, compiled: PipelineProcess, docs: Sequence[Doc], length: int, rounds: int
) -> Tuple[Dict[str, float], Dict[str, float]]:
    """Run documents of one length through both pipelines in turn, one document at a time.

    Ask for the shorter lengths before the longer ones: the most memory that a process has used never becomes less.

    rounds (int): Rounds that count, at most; long documents have fewer.
    RETURNS (Tuple): Of the reference, without any numbers if that is too long for it, and of the compiled pipeline:
        "words" of a document, "words_per_second" of the fastest round, "peak_memory_mb", and "kib_per_word" above the
        loaded pipeline.
    """
    texts = make_documents(docs, length)
    processes = [compiled] if length > REFERENCE_LONGEST else [reference, compiled]
    runs = {process: partial(process.documents, texts) for process in processes}
    if length <= WARM_UP_LONGEST:
        take_turns(runs, range(1))
    results = take_turns(runs, range(max(1, min(rounds, REPEATED_WORDS // length))))
    return tuple(describe(process, results.get(process, []), len(texts)) for process in (reference, compiled))


def describe(process: PipelineProcess, results: List[Dict[str, float]], n_texts: int) -> Dict[str, Any]:
    if not results:
        return {}
    words = results[0]["words"] / n_texts
    peak = process.peak_memory()
    return {
        "words": words,
        "words_per_second": max(result["words"] / result["seconds"] for result in results),
        "peak_memory_mb": peak,
        "kib_per_word": 1e6 * (peak - process.loaded_memory()) / 1024 / words,
    }
