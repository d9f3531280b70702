"""Gather what many clients ask for at the same time into batches of so many wordpieces."""

import asyncio
from collections import deque
from itertools import chain, count
from typing import Any, Awaitable, Callable, Deque, Iterator, List, Optional, Sequence, Set, Union

from ray import serve
from ray.exceptions import RayActorError

from .metrics import Metrics

RETRIES = 2  # Where replicas died. One may have died of another client's text.
WAIT_SECONDS = 0.002  # For clients whose answers went out together, and who ask again.


class Work:
    """Documents of one request that run together.

    size (int): What they take of a batch's budget.
    turn (asyncio.Future): Done when they may join a batch.
    is_wanted (bool): Their client waits for the answer.
    is_long (bool): The request takes more than a batch.
    number (int): Says which one came first.
    """

    def __init__(self, documents: List[Any], wordpieces: int, size: int, is_long: bool, number: int) -> None:
        self.documents = documents
        self.wordpieces = wordpieces
        self.size = size
        self.turn = asyncio.get_running_loop().create_future()
        self.is_gathered = False
        self.is_wanted = True
        self.is_running = False
        self.is_long = is_long
        self.number = number


class Batcher:
    """Run documents in batches, on several replicas.

    `serve.batch` closes a batch when its time is up, whether a replica is free or not, and what does not fit goes to the
    end of its queue: behind many short texts a long one would wait for ever. So it gets only what may run now, first
    come, first served. All that comes meanwhile then goes together, and what a client gave up on is never run. Requests
    that take more than a batch leave half of the slots to the others, as long as others wait.

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
        self._short: Deque[Work] = deque()
        self._long: Deque[Work] = deque()
        self._long_running: Set[Work] = set()
        self._numbers = count()
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
        """Split the documents of a request into parts that fit into a batch, or that take one alone."""
        is_long = sum(lengths) > self._budget if self._is_batching else False
        part: List[Any] = []
        wordpieces = 0
        for document, length in zip(documents, lengths):
            if self._is_batching and part and wordpieces + length > self._budget:
                yield self._make_work(part, wordpieces, is_long)
                part, wordpieces = [], 0
            part.append(document)
            wordpieces += length
        yield self._make_work(part, wordpieces, is_long)

    def _make_work(self, part: List[Any], wordpieces: int, is_long: bool) -> Work:
        size = min(wordpieces, self._budget) if self._is_batching else 1
        return Work(part, wordpieces, size, is_long, next(self._numbers))

    async def _wait(self, work: Work, hold: Callable[[int], None]) -> List[bytes]:
        (self._long if work.is_long else self._short).append(work)
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
        while self._running < self._slots and (waiting := self._choose()):
            work = waiting[0]
            if not work.turn.cancelled():
                if self._gathered + work.size > self._budget:
                    return
                self._gathered += work.size
                work.is_gathered = True
                if work.is_long:
                    self._long_running.add(work)
                work.turn.set_result(None)
            waiting.popleft()

    def _choose(self) -> Optional[Deque[Work]]:
        """Choose the queue whose turn it is.

        RETURNS (Optional[Deque[Work]]): None if nothing waits.
        """
        if self._short and self._long and len(self._long_running) < max(1, self._slots // 2):
            return min(self._short, self._long, key=lambda waiting: waiting[0].number)
        return self._short or self._long or None

    def _leave(self, work: Work) -> None:
        """Make room: the work runs now, or its client gave up."""
        if work.is_gathered:
            work.is_gathered = False
            self._gathered -= work.size
            if not work.is_running:
                self._long_running.discard(work)
        self._let_in()

    async def _run(self, works: List[Work]) -> List[Union[List[bytes], Exception]]:
        """Answer a batch.

        RETURNS (List[Union[List[bytes], Exception]]): The answers to each work, or why there are none.
        """
        self._running += 1
        for work in works:
            work.is_running = True
            self._leave(work)
        self._metrics.batch_requests.observe(len(works))
        self._metrics.batch_wordpieces.observe(sum(work.wordpieces for work in works))
        try:
            return await self._try(works)
        finally:
            self._running -= 1
            self._long_running.difference_update(works)
            self._let_in()

    async def _try(self, works: List[Work]) -> List[Union[List[bytes], Exception]]:
        try:
            return await self._ask(works)
        except Exception as error:
            # A text that the pipeline fails on must not take those of other clients with it. What a client has given
            # up on may be what took too long.
            may_succeed = len(works) > 1 or isinstance(error, RayActorError)
            again = [work for work in works if may_succeed and work.is_wanted]
            answers = dict(zip(again, await asyncio.gather(*(self._retry(work, error) for work in again))))
            return [answers.get(work, error) for work in works]

    async def _retry(self, work: Work, error: Exception) -> Union[List[bytes], Exception]:
        """Run a work alone. If the replica dies, another one answers, but a text that kills must not kill them all."""
        for _ in range(RETRIES):
            try:
                return (await self._ask([work]))[0]
            except RayActorError as died:
                error = died
            except Exception as failed:
                return failed
        return error

    async def _ask(self, works: List[Work]) -> List[List[bytes]]:
        answers = iter(await self._answer([document for work in works for document in work.documents]))
        return [[next(answers) for _ in work.documents] for work in works]
