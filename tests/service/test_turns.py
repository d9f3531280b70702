"""Whose turn it is, and what runs again when a replica fails. The batcher runs in this process, without replicas."""

import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("ray")

from ray import serve
from ray.exceptions import RayActorError

from scripts.service.batcher import WAIT_SECONDS, Batcher
from scripts.service.metrics import Metrics

from .service_process import TIMEOUT

BUDGET = 10


class Replicas:
    """Answers documents with themselves, batch by batch when `step` is called.

    failures (dict): What is raised for a document, once for each of a list's items.
    """

    def __init__(self, **failures):
        self.failures = failures
        self.batches = []
        self.waiting = []
        self.is_open = False

    async def run(self, documents):
        self.batches.append("".join(documents))
        if not self.is_open:
            turn = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await turn
        for document in documents:
            if self.failures.get(document):
                raise self.failures[document].pop(0)
        return [document.encode() for document in documents]

    async def step(self):
        """End the batch that runs longest, and let the next ones start."""
        self.waiting.pop(0).set_result(None)
        await settle()


@pytest.fixture(autouse=True)
def outside_of_ray(monkeypatch):
    """`serve.batch` asks the process that it runs in for one number."""
    config = SimpleNamespace(max_ongoing_requests=1_000_000)
    monkeypatch.setattr(serve, "get_replica_context", lambda: SimpleNamespace(_deployment_config=config))


async def settle():
    """Let everything run that can. `serve.batch` waits for two milliseconds for more to come."""
    await asyncio.sleep(50 * WAIT_SECONDS)


def run_test(test):
    """Run the coroutine of a test. A hang has to fail."""
    return asyncio.run(asyncio.wait_for(test, TIMEOUT))


def make_batcher(replicas, slots=2):
    return Batcher(replicas.run, BUDGET, slots, Metrics(lambda: 0, lambda: 0))


def send(batcher, documents, length):
    return asyncio.ensure_future(batcher.run(list(documents), [length] * len(documents), lambda size: None))


def test_short_requests_go_before_parts_of_long_ones():
    """As long as half of the slots are a long one's. What is left goes when nothing else waits."""

    async def run():
        replicas = Replicas()
        batcher = make_batcher(replicas)
        long = send(batcher, "LMNOP", BUDGET)
        await settle()
        short = send(batcher, "s", 1)
        await settle()
        while replicas.waiting:
            await replicas.step()
        assert await asyncio.gather(long, short) == [[b"L", b"M", b"N", b"O", b"P"], [b"s"]]
        return replicas.batches

    assert run_test(run()) == ["L", "M", "s", "N", "O", "P"]


def test_long_requests_keep_half_of_the_slots():
    async def run():
        replicas = Replicas()
        batcher = make_batcher(replicas)
        asked = [send(batcher, "A", BUDGET)]
        await settle()
        asked += [send(batcher, "LM", BUDGET), *(send(batcher, letter, BUDGET - 1) for letter in "stuvw")]
        await settle()
        while replicas.waiting:
            await replicas.step()
        await asyncio.gather(*asked)
        return replicas.batches

    batches = run_test(run())
    assert batches.index("M") < batches.index("v")


def test_a_work_that_leaves_gives_its_slot_back():
    async def run():
        replicas = Replicas()
        batcher = make_batcher(replicas)
        for _ in range(5):
            gone = send(batcher, "LMN", BUDGET)
            await asyncio.sleep(0)
            gone.cancel()
        await settle()
        replicas.is_open = True
        while replicas.waiting:
            await replicas.step()
        assert await send(batcher, "XY", BUDGET) == [b"X", b"Y"]
        assert await send(batcher, "z", 1) == [b"z"]

    run_test(run())


@pytest.mark.parametrize(
    "failures, answered, runs",
    [
        ([RayActorError()], True, 2),
        ([RayActorError()] * 2, True, 3),
        ([RayActorError()] * 9, False, 3),  # A text that kills.
        ([ValueError()], False, 1),
    ],
)
def test_one_request_that_fails(failures, answered, runs):
    async def run():
        replicas = Replicas(a=list(failures))
        replicas.is_open = True
        (result,) = await asyncio.gather(send(make_batcher(replicas), "a", 1), return_exceptions=True)
        assert result == [b"a"] if answered else isinstance(result, type(failures[0]))
        assert len(replicas.batches) == runs

    run_test(run())


def test_a_text_that_kills_fails_alone():
    async def run():
        replicas = Replicas(k=[RayActorError()] * 9)
        batcher = make_batcher(replicas)
        replicas.is_open = True
        results = await asyncio.gather(*(send(batcher, letter, 1) for letter in "akb"), return_exceptions=True)
        assert [results[0], results[2]] == [[b"a"], [b"b"]]
        assert isinstance(results[1], RayActorError)

    run_test(run())


def test_nothing_runs_again_that_nobody_waits_for():
    """A text that a replica was too slow for has its client's 504 already."""

    async def run():
        replicas = Replicas(a=[RayActorError()] * 9)
        batcher = make_batcher(replicas)
        asked = send(batcher, "a", 1)
        await settle()
        asked.cancel()
        await replicas.step()
        return replicas.batches

    assert run_test(run()) == ["a"]
