"""Many clients at once: batches, the queue, and texts that fill a batch alone."""

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import List

import pytest

from .service_process import TIMEOUT, send

pytest.importorskip("ray")

pytestmark = pytest.mark.slow


def test_concurrent_clients_lose_nothing(service, texts, expected_entities):
    """32 clients, requests of one text and of several, in batches together."""
    before = service.read_metric("batch_requests_count"), service.read_metric("batch_requests_sum")

    def ask(number: int) -> None:
        size = 1 + number % 3
        part = [(number + step) % len(texts) for step in range(size)]
        status, answer = service.post("/entities", {"texts": [texts[index] for index in part]})
        assert status == 200, answer
        assert [result["entities"] for result in answer["results"]] == [expected_entities[index] for index in part]

    with ThreadPoolExecutor(32) as executor:
        list(executor.map(ask, range(160)))
    batches = service.read_metric("batch_requests_count") - before[0]
    assert service.read_metric("batch_requests_sum") - before[1] == 160
    assert batches < 160  # Some ran together.


def test_full_queue_and_clients_that_go_away(small_service, long_request, texts):
    """Two requests fill the queue: the third is told to come back. The second goes away, and is never run."""
    texts_before, gone_before = (small_service.read_metric(name) for name in ("texts_total", "gone_clients_total"))
    first = send(small_service, long_request)
    small_service.wait_for("requests_in_progress", 1)
    second = http.client.HTTPConnection("127.0.0.1", small_service.port, timeout=TIMEOUT)
    second.request("POST", "/entities", json.dumps({"text": texts[0]}))
    small_service.wait_for("requests_in_progress", 2)
    status, body, headers = small_service.ask("POST", "/entities", json.dumps({"text": texts[1]}).encode())
    assert status == 503, body
    assert headers["retry-after"] == "1"
    assert json.loads(body)["error"].endswith(".")
    second.close()
    small_service.wait_for("gone_clients_total", gone_before + 1)
    status, answer = first.get()
    assert status == 200
    assert len(answer["results"]) == len(long_request["texts"])
    assert small_service.read_metric("texts_total") == texts_before + len(long_request["texts"])
    assert small_service.read_metric("requests_in_progress") == 0
    assert small_service.post("/entities", {"text": texts[1]})[0] == 200


def make_long(texts: List[str], characters: int) -> str:
    """Make one text of many."""
    return " ".join(40 * texts)[:characters]


def test_long_text_is_not_overtaken_for_ever(service, texts):
    """It fills a batch alone, and there are always short ones that would fit better."""
    is_answered = threading.Event()

    def ask(number: int) -> None:
        while not is_answered.is_set():
            assert service.post("/entities", {"text": texts[number]})[0] == 200

    with ThreadPoolExecutor(16) as executor:
        try:
            short = [executor.submit(ask, number) for number in range(16)]
            service.wait_for("requests_in_progress", 8)
            assert service.post("/entities", {"text": make_long(texts, 20_000)})[0] == 200
        finally:
            is_answered.set()
    assert not any(future.exception() for future in short)


def test_long_text_before_a_short_one(small_service, texts):
    """More than a batch holds: it goes alone, and what comes after it, in its request or another, is answered."""
    asked = [make_long(texts, 20_000), texts[0]]
    status, answer = small_service.post("/entities", {"texts": asked})
    assert status == 200
    assert answer["results"][1] == small_service.post("/entities", {"text": texts[0]})[1]


def test_short_text_overtakes_a_long_one(small_service, texts):
    """A long text has a replica of its own: the only worker answers the others meanwhile."""
    long_text = make_long(texts, 100_000)
    first = send(small_service, {"text": long_text})
    small_service.wait_for("requests_in_progress", 1)
    assert small_service.post("/entities", {"text": texts[0]})[0] == 200
    assert first.thread.is_alive()
    status, answer = first.get()
    assert status == 200
    assert answer["entities"]


def test_long_texts_leave_half_of_the_queue(small_service, texts):
    """The queue takes two requests, one of them with a long text."""
    long_text = make_long(texts, 100_000)
    before = small_service.read_metric("batch_requests_count")
    first = send(small_service, {"text": long_text})
    small_service.wait_for("batch_requests_count", before + 1)
    status, answer = small_service.post("/entities", {"text": long_text})
    assert status == 503
    assert "long texts" in answer["error"]
    assert first.get()[0] == 200
