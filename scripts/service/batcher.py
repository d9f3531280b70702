"""Gather what many clients ask for at the same time into batches of so many wordpieces."""

import asyncio
from itertools import chain
from typing import Any, Awaitable, Callable, List, NamedTuple, Sequence

from ray import serve

from .metrics import Metrics

WAIT_SECONDS = 0.002  # For clients whose answers went out together, and who ask again.


class Work(NamedTuple):
    """Documents of one request that run together."""

    documents: List[Any]
    wordpieces: int


class Batcher:
    """Run documents in batches, on several workers.

    `serve.batch` closes a batch when its time is up, whether a worker is free or not. So documents wait at a gate until
    one is: all that came meanwhile then go together, and what a client gave up on there, or in the queue, is never run.

    run (Callable[[List[Any]], Awaitable[List[bytes]]]): Answers a batch of documents.
    max_wordpieces (int): Of a batch; one document always fits. 0 runs every request alone.
    slots (int): Batches that may run at once.
    """

    def __init__(
        self,
        run: Callable[[List[Any]], Awaitable[List[bytes]]],
        max_wordpieces: int,
        slots: int,
        metrics: Metrics,
    ) -> None:
        self._answer = run
        self._max_wordpieces = max_wordpieces
        self._slots = slots
        self._metrics = metrics
        self._running = 0
        self._gate = asyncio.Event()
        self._gate.set()
        self._batch = serve.batch(
            max_batch_size=max_wordpieces or 1,
            batch_wait_timeout_s=WAIT_SECONDS if max_wordpieces else 0,
            max_concurrent_batches=slots,
            batch_size_fn=self._measure,
        )(self._run)

    async def run(self, documents: Sequence[Any], lengths: Sequence[int]) -> List[bytes]:
        """Answer the documents of one request.

        lengths (Sequence[int]): Their wordpieces.
        RETURNS (List[bytes]): The answer to each.
        """
        works = list(self._split(documents, lengths))
        if len(works) == 1:
            return await self._wait(works[0])
        return list(chain.from_iterable(await asyncio.gather(*map(self._wait, works))))

    def _split(self, documents: Sequence[Any], lengths: Sequence[int]):
        """YIELDS (Work): Documents that fit into a batch."""
        part: List[Any] = []
        size = 0
        for document, length in zip(documents, lengths):
            if part and self._max_wordpieces and size + length > self._max_wordpieces:
                yield Work(part, size)
                part, size = [], 0
            part.append(document)
            size += length
        yield Work(part, size)

    def _measure(self, works: List[Work]) -> int:
        """RETURNS (int): Size of a batch. Ray refuses what is too large even alone, so nothing is."""
        if not self._max_wordpieces:
            return len(works)
        return sum(min(work.wordpieces, self._max_wordpieces) for work in works)

    async def _wait(self, work: Work) -> List[bytes]:
        await self._gate.wait()
        return await self._batch(work)

    async def _run(self, works: List[Work]) -> List[List[bytes]]:
        self._running += 1
        if self._running == self._slots:
            self._gate.clear()
        try:
            self._metrics.batch_requests.observe(len(works))
            self._metrics.batch_wordpieces.observe(sum(work.wordpieces for work in works))
            answers = iter(await self._answer([document for work in works for document in work.documents]))
        finally:
            self._running -= 1
            self._gate.set()
        return [[next(answers) for _ in work.documents] for work in works]
