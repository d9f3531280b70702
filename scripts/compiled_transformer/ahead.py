"""Encode a batch of a stream in another thread, beside the reading of the next and all that comes after."""

from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from time import perf_counter, thread_time
from typing import Any, Callable, Deque, Iterable, Iterator, List, Optional, Tuple

from spacy.tokens import Doc
from thinc.types import Floats2d

Encoding = Tuple[List[Doc], Future]  # The vectors of each Doc


class TimedStream:
    """Iterate over a stream, and count the seconds that its reader waits for it, in which this thread does nothing.

    stream (Iterable[Doc]): The stream.
    """

    def __init__(self, stream: Iterable[Doc]) -> None:
        self._stream = iter(stream)
        self.waited = 0.0

    def __iter__(self) -> "TimedStream":
        return self

    def __next__(self) -> Doc:
        start, busy = perf_counter(), thread_time()
        try:
            return next(self._stream)
        finally:
            self.waited += perf_counter() - start - (thread_time() - busy)


class TimedEncoder:
    """Encode batches, and keep the seconds that the last one took.

    encode (Callable): Docs to the vectors of each.
    """

    def __init__(self, encode: Callable[[List[Doc]], List[Floats2d]]) -> None:
        self._encode = encode
        self.took: Optional[float] = None

    def __call__(self, docs: List[Doc]) -> List[Floats2d]:
        start = perf_counter()
        vectors = self._encode(docs)
        self.took = perf_counter() - start
        return vectors


def encode_ahead(
    stream: Iterable[Doc], batch_size: int, encode: Callable[[List[Doc]], List[Floats2d]]
) -> Iterator[Encoding]:
    """Read a batch while the one before is encoded, if the stream has been faster than the encoder.

    A stream that waits for something, such as a queue, may wait for what is made of the batch before. Then each batch is given
    out before more is read.

    stream (Iterable[Doc]): The Docs.
    batch_size (int): Docs of a batch.
    encode (Callable): Docs to the vectors of each.
    YIELDS (Encoding): The batches in order, each with its vectors or what went wrong.
    """
    source, encoder = TimedStream(stream), TimedEncoder(encode)
    running: Deque[Encoding] = deque()
    with ThreadPoolExecutor(1) as executor:
        while True:
            if encoder.took is None or source.waited > encoder.took:
                yield from take(running)
            batch: List[Doc] = []
            source.waited = 0.0
            for doc in source:
                batch.append(doc)
                if running and running[0][1].done():
                    yield running.popleft()
                if len(batch) == batch_size:
                    break
            if not batch:
                break
            running.append((batch, submit(executor, encoder, batch)))
            if len(running) > 1:
                yield running.popleft()
        yield from take(running)


def take(running: Deque[Encoding]) -> Iterator[Encoding]:
    """Give all out, the first one first."""
    while running:
        yield running.popleft()


def submit(executor: Executor, function: Callable, *arguments: Any) -> Future:
    """Call a function in another thread, or in this one if the interpreter is shutting down, which starts no thread.

    RETURNS (Future): What the function returns or raises.
    """
    try:
        return executor.submit(function, *arguments)
    except RuntimeError:
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future
