"""Streams that are made while their results are read, and calls at the interpreter's end."""

import queue
import threading
from typing import Iterator, List

import pytest
import spacy
from spacy.tokens import Doc

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.ahead import encode_ahead

from .. import helpers
from .checks import ENGINES
from .test_processes import run_here

HANG = 60  # Seconds. A stream that waits for ever has to fail; the limit is far from what a slow machine takes.


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_text_may_depend_on_the_result_before(paths, texts, engine, threads):
    nlp = spacy.load(paths[engine], config={"components.transformer.threads": threads})
    results: queue.Queue = queue.Queue()

    def ask() -> Iterator[str]:
        """Wait for the answer before the next question."""
        for text in texts[:8]:
            yield text
            results.get(timeout=HANG)

    docs = []
    for doc in nlp.pipe(ask(), batch_size=1):
        docs.append(doc)
        results.put(doc)
    assert [helpers.get_entities(doc) for doc in docs] == [helpers.get_entities(nlp(text)) for text in texts[:8]]


def test_a_source_that_waits_holds_nothing_back(compiled_path, texts):
    """Of a batch of texts every now and then, each is given out before the next one comes."""
    nlp = spacy.load(compiled_path)
    docs = [nlp.make_doc(text) for text in texts[:12]]
    given: List[int] = []

    def wait() -> Iterator[Doc]:
        for number, doc in enumerate(docs):
            if number % 4 == 0:
                threading.Event().wait(0.05)  # The encoder below takes no time at all.
                assert len(given) == number
            yield doc

    for batch, vectors in encode_ahead(wait(), 4, lambda batch: [doc.tensor for doc in batch]):
        assert len(vectors.result(timeout=HANG)) == 4
        given.extend(docs.index(doc) for doc in batch)
    assert given == list(range(12))


def test_a_source_that_is_there_is_read_ahead(compiled_path, texts):
    """While a batch is encoded, else the encoder would wait for all other components."""
    nlp = spacy.load(compiled_path, config={"components.transformer.threads": 2})
    n_read = 0

    def count() -> Iterator[str]:
        nonlocal n_read
        for text in texts * 2:
            n_read += 1
            yield text

    ahead = [n_read - number for number, _ in enumerate(nlp.pipe(count(), batch_size=2))]
    assert ahead[:2] == [2, 1], "the first batch waited for the second"
    assert max(ahead) == 4


END = """
import atexit, queue, threading
import spacy
from scripts import compiled_transformer

path, texts, how = json.load(sys.stdin)
nlp = spacy.load(path, config={"components.transformer.threads": 2, "components.transformer.batch_wordpieces": 50})
expected = [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in map(nlp, texts)]

def annotate():
    if how == "thread":
        threading.main_thread().join()
    docs = [*nlp.pipe(texts, batch_size=4), *map(nlp, texts)]
    found = [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs]
    print(json.dumps(found == 2 * expected))

if how == "thread":
    threading.Thread(target=annotate).start()
elif how == "stream":
    # Its thread is there already, and ends with the interpreter.
    docs, end = nlp.pipe(texts * 4, batch_size=4), threading.main_thread()
    next(docs)
    def read_on():
        end.join()
        print(json.dumps(len(list(docs)) == 4 * len(texts) - 1))
    threading.Thread(target=read_on).start()
else:
    atexit.register(annotate)
"""


@pytest.mark.parametrize("how", ["thread", "stream", "atexit"])
def test_calls_at_the_interpreters_end(compiled_path, texts, tmp_path, how):
    """No executor takes work any more once the main thread has ended."""
    assert run_here(tmp_path, END, [str(compiled_path), texts, how])
