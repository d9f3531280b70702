"""Gather what many clients ask for at the same time into batches of so many wordpieces."""

import asyncio
from collections import deque
from itertools import chain
from typing import Any, Awaitable, Callable, Deque, Iterator, List, Sequence, Union

from ray import serve
from ray.exceptions import RayActorError

from .metrics import Metrics

WAIT_SECONDS = 0.002  # For clients whose answers went out together, and who ask again.


class Work:
    """Documents of one request that run together.

    size (int): What they take of a batch's budget.
    turn (asyncio.Future): Done when they may join a batch.
    is_wanted (bool): Their client waits for the answer.
    """

    def __init__(self, documents: List[Any], wordpieces: int, size: int) -> None:
        self.documents = documents
        self.wordpieces = wordpieces
        self.size = size
        self.turn = asyncio.get_running_loop().create_future()
        self.is_gathered = False
        self.is_wanted = True


class Batcher:
    """Run documents in batches, on several replicas.

    `serve.batch` closes a batch when its time is up, whether a replica is free or not, and what does not fit goes to the
    end of its queue: behind many short texts a long one would wait for ever. So it gets only what may run now, first
    come, first served. All that comes meanwhile then goes together, and what a client gave up on is never run.

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
        self._is_batching = max_wordpieces > 0
        self._budget = max_wordpieces or 1
        self._slots = slots
        self._metrics = metrics
        self._waiting: Deque[Work] = deque()
        self._gathered = 0  # Of the budget, by what is on its way into a batch.
        self._running = 0
        self._batch = serve.batch(
            max_batch_size=self._budget,
            batch_wait_timeout_s=WAIT_SECONDS if self._is_batching else 0,
            max_concurrent_batches=slots,
            batch_size_fn=lambda works: sum(work.size for work in works),
        )(self._run)

    async def run(self, documents: Sequence[Any], lengths: Sequence[int], hold: Callable[[int], None]) -> List[bytes]:
        """Answer the documents of one request.

        lengths (Sequence[int]): Their wordpieces.
        hold (Callable[[int], None]): Gets the bytes of each answer as it comes, and raises if they become too many.
        RETURNS (List[bytes]): The answer to each.
        """
        waiting = [asyncio.ensure_future(self._wait(work, hold)) for work in self._split(documents, lengths)]
        try:
            return list(chain.from_iterable(await asyncio.gather(*waiting)))
        finally:
            for answer in waiting:
                answer.cancel()  # Where one failed, nobody waits for the others.
            waiting.clear()  # An exception of theirs would hold this frame, and this frame them and the texts.

    def _split(self, documents: Sequence[Any], lengths: Sequence[int]) -> Iterator[Work]:
        """Split the documents of a request into parts that fit into a batch."""
        if not self._is_batching:
            yield Work(list(documents), sum(lengths), 1)
            return
        part: List[Any] = []
        wordpieces = 0
        for document, length in zip(documents, lengths):
            if part and wordpieces + length > self._budget:
                yield self._fit(part, wordpieces)
                part, wordpieces = [], 0
            part.append(document)
            wordpieces += length
        yield self._fit(part, wordpieces)

    def _fit(self, part: List[Any], wordpieces: int) -> Work:
        """Make work of documents that fit into a batch, or of one that takes a batch of its own."""
        return Work(part, wordpieces, min(wordpieces, self._budget))

    async def _wait(self, work: Work, hold: Callable[[int], None]) -> List[bytes]:
        self._waiting.append(work)
        self._let_in()
        try:
            await work.turn
            answers = await self._batch(work)
        finally:
            work.is_wanted = False
            self._leave(work)
        if isinstance(answers, Exception):
            raise answers
        hold(sum(map(len, answers)))
        return answers

    def _let_in(self) -> None:
        """Let join the next batch what fits into it, if a replica has room for one."""
        while self._waiting and self._running < self._slots:
            work = self._waiting[0]
            if not work.turn.cancelled():
                if self._gathered + work.size > self._budget:
                    return
                self._gathered += work.size
                work.is_gathered = True
                work.turn.set_result(None)
            self._waiting.popleft()

    def _leave(self, work: Work) -> None:
        """Make room: the work runs now, or its client gave up."""
        if work.is_gathered:
            work.is_gathered = False
            self._gathered -= work.size
        self._let_in()

    async def _run(self, works: List[Work]) -> List[Union[List[bytes], Exception]]:
        """Answer a batch.

        RETURNS (List[Union[List[bytes], Exception]]): The answers to each work, or why there are none.
        """
        self._running += 1
        for work in works:
            self._leave(work)
        self._metrics.batch_requests.observe(len(works))
        self._metrics.batch_wordpieces.observe(sum(work.wordpieces for work in works))
        try:
            return await self._try(works)
        finally:
            self._running -= 1
            self._let_in()

    async def _try(self, works: List[Work]) -> List[Union[List[bytes], Exception]]:
        try:
            return await self._ask(works)
        except Exception as error:
            # A text that the pipeline fails on must not take those of other clients with it. If the replica died,
            # another one answers, but only once: a text that kills would kill them all. What a client has given up on
            # may be what took too long.
            may_succeed = len(works) > 1 or isinstance(error, RayActorError)
            return [await self._retry(work) if may_succeed and work.is_wanted else error for work in works]

    async def _retry(self, work: Work) -> Union[List[bytes], Exception]:
        try:
            return (await self._ask([work]))[0]
        except Exception as error:
            return error

    async def _ask(self, works: List[Work]) -> List[List[bytes]]:
        answers = iter(await self._answer([document for work in works for document in work.documents]))
        return [[next(answers) for _ in work.documents] for work in works]
