"""The memory that requests take in the front: their bodies and texts, and their answers until they are sent."""

import asyncio
import ctypes
from typing import Any, Awaitable, Callable, Dict, Optional, Set

from .requests import BUSY, Refused

PART = (
    64 * 2**10
)  # Bytes of an answer that are sent at once: a client that reads slowly leaves the rest where it counts.
M_MMAP_THRESHOLD = -3  # Its number in malloc.h.
LARGE_BLOCK = 2**18  # Bytes
ANSWER_SHARE = 4  # One answer may take a fourth.


def give_back_large_blocks() -> None:
    """Let the C library return large blocks to the system when they are freed.

    glibc stops doing so for blocks as large as the largest that was freed: after some bodies, for all of them.
    """
    try:
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
    except (AttributeError, OSError):  # Another C library.
        pass


class Memory:
    """Count bytes.

    limit (int): The most that all requests may hold together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.shares: Set["Share"] = set()

    @property
    def max_answer(self) -> int:
        """Limit the bytes of one answer."""
        return self.limit // ANSWER_SHARE


class Share:
    """What one request holds.

    is_reading (bool): Its body is not complete.
    is_evicted (bool): It had to make room for others.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.held = 0
        self.answer = 0
        self.is_reading = False
        self.is_evicted = False
        self._task: Optional[asyncio.Task] = asyncio.current_task()
        memory.shares.add(self)

    def grow(self, size: int) -> None:
        """Hold so many bytes more. If there are too many, the longest body that is still on its way is given up.

        RAISES (Refused): If that is this one, or there is none.
        """
        self.held += size
        self.memory.held += size
        while self.memory.held > self.memory.limit:
            reading = [share for share in self.memory.shares if share.is_reading]
            longest = max(reading, key=lambda share: share.held, default=self)
            if longest is self:
                self.release()
                raise make_refusal(self.memory)
            longest.evict()

    def grow_answer(self, size: int) -> None:
        """Hold so many bytes more of an answer.

        RAISES (Refused): If it becomes too long.
        """
        self.answer += size
        if self.answer > self.memory.max_answer:
            raise make_answer_refusal(self.memory.max_answer)
        self.grow(size)

    def evict(self) -> None:
        """Give up a request whose body is on its way."""
        self.is_evicted = True
        self.is_reading = False
        self.release()
        self._task.cancel()

    def release(self) -> None:
        """Hold nothing any more."""
        self.memory.held -= self.held
        self.held = 0

    def close(self) -> None:
        """End the request."""
        self.release()
        self.memory.shares.discard(self)


def make_refusal(memory: Memory) -> Refused:
    """Make the error for a request that finds no room."""
    return Refused(
        503, f"Other requests hold the {memory.limit // 2**20} MiB that there are. Try again in a second.", BUSY
    )


def make_answer_refusal(limit: int) -> Refused:
    """Make the error for an answer that is too long."""
    return Refused(413, f"The answer would be longer than {limit // 2**20} MiB. Send less at once.")


class HoldMemory:
    """Give each request its share, around an ASGI app, and send answers in parts.

    seconds (float): For a client to read its answer.
    """

    def __init__(self, app: Callable, memory: Memory, seconds: float) -> None:
        self.app = app
        self.memory = memory
        self.seconds = seconds

    async def __call__(self, scope: Dict[str, Any], receive: Callable, send: Callable[[Any], Awaitable]) -> None:
        async def send_parts(message: Dict[str, Any]) -> None:
            body = message.get("body", b"")
            for start in range(0, len(body) - PART, PART):
                part = {"type": message["type"], "body": body[start : start + PART], "more_body": True}
                await asyncio.wait_for(send(part), self.seconds)
            if len(body) > PART:
                message = {**message, "body": body[(len(body) - 1) // PART * PART :]}
            await send(message)

        scope["share"] = share = Share(self.memory)
        try:
            await self.app(scope, receive, send_parts)
        finally:
            share.close()
