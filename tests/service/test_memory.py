"""What requests hold in the front is counted, and bounded."""

import asyncio

import pytest

pytest.importorskip("ray")

from scripts.service.memory import PART, HoldMemory, Memory, Share
from scripts.service.requests import Refused


def test_longest_unfinished_body_makes_room():
    """Others go on: what is read, and what is complete."""

    async def read(share: Share, size: int, is_complete: asyncio.Event):
        share.is_reading = True
        share.grow(size)
        try:
            await is_complete.wait()
            share.is_reading = False
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        return share.is_evicted

    async def run():
        memory, is_complete = Memory(100), asyncio.Event()
        tasks = [asyncio.create_task(read_share(memory, size, is_complete)) for size in (30, 40, 20)]
        await asyncio.sleep(0)
        late = asyncio.create_task(read_share(memory, 25, is_complete))
        await asyncio.sleep(0)
        assert memory.held == 30 + 20 + 25
        is_complete.set()
        assert await asyncio.gather(*tasks, late) == [False, True, False, False]
        return memory

    async def read_share(memory: Memory, size: int, is_complete: asyncio.Event):
        return await read(Share(memory), size, is_complete)

    asyncio.run(run())


def test_no_room():
    async def run():
        memory = Memory(100)
        complete = Share(memory)
        complete.grow(80)
        reading = Share(memory)
        reading.is_reading = True
        with pytest.raises(Refused, match="Try again") as error:
            reading.grow(30)
        assert error.value.status == 503
        assert memory.held == 80
        reading.close()
        complete.close()
        assert (memory.held, memory.shares) == (0, set())

    asyncio.run(run())


def test_one_answer_may_take_a_fourth():
    async def run():
        share = Share(Memory(100))
        share.grow(50)
        share.grow_answer(25)
        with pytest.raises(Refused) as error:
            share.grow_answer(1)
        assert error.value.status == 413

    asyncio.run(run())


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 3 * PART, 3 * PART + 5])
def test_answers_are_sent_in_parts(size):
    """What a request holds is given back when the last part is sent."""
    body = bytes(index % 251 for index in range(size))
    sent = []

    async def app(scope, receive, send):
        scope["share"].grow(size)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def run():
        memory = Memory(10 * PART)

        async def send(message):
            sent.append(message)
            assert memory.held == size

        await HoldMemory(app, memory, seconds=60)({"type": "http"}, None, send)
        assert memory.held == 0

    asyncio.run(run())
    parts = sent[1:]
    assert b"".join(part["body"] for part in parts) == body
    assert max(len(part["body"]) for part in parts) <= PART
    assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]
