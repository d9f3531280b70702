"""What one request may cost: the time of a replica, and the memory of the front."""

import json
import re
import socket
import time

import psutil
import pytest
import spacy

pytest.importorskip("ray")

from scripts import compiled_transformer  # noqa: F401
from scripts.common.texts import MAX_RUN

from .service_process import ROOM, TIMEOUT, Service, send

pytestmark = pytest.mark.slow
MIB = 2**20
UNFINISHED = b"POST /entities HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"


def get_memory(service):
    """Measure the front.

    RETURNS (int): Its memory in MiB.
    """
    (front,) = service.find_processes("entities:Front")
    return front.memory_info().rss // MIB


def test_longest_run_without_white_space(service):
    """Dollar signs take spaCy's tokenizer the longest; with a fourth of them it took 17 seconds."""
    status, answer = service.post("/entities", {"text": "$" * MAX_RUN})
    assert status == 200, answer
    status, answer = service.post("/entities", {"texts": ["a", "$" * (MAX_RUN + 1)]})
    assert status == 413
    assert answer["error"].startswith(f"Text 2 has {MAX_RUN + 1} characters without white space between them")
    assert service.post("/entities", {"text": "$ " * (MAX_RUN // 2)})[0] == 200


def test_what_overruns_is_ended(compiled_path, texts, tmp_path):
    """A replica, which hangs in a regular expression, where no Python code of its process runs any more, and bodies that are
    slow or never end, which don't keep the service from stopping."""
    nlp = spacy.load(compiled_path)
    nlp.tokenizer.token_match = re.compile(r"(?:a+)+b").match
    nlp.to_disk(tmp_path / "pipeline")
    with Service(tmp_path / "pipeline", "--timeout", 5) as service:
        (replica,) = service.find_processes("entities:Replica")
        hanging = send(service, {"text": "a" * 60})
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as gone:
            gone.sendall(UNFINISHED)
        service.wait_for("gone_clients_total", 1)
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as slow:
            slow.sendall(UNFINISHED)
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
            assert hanging.get()[0] == 504
            psutil.wait_procs([replica], TIMEOUT)
            end = time.monotonic() + TIMEOUT
            while service.post("/entities", {"text": texts[0]})[0] != 200:
                assert time.monotonic() < end
            assert service.find_processes("entities:Replica") != [replica]
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as slow:
            slow.sendall(UNFINISHED)
            assert service.stop() == 0


def test_unfinished_bodies(encoder_service, texts):
    """They take the room that there is, and no more. Who has most makes room for others. All is given back."""
    encoder_service.post("/vectors", {"text": texts[0]})
    before = get_memory(encoder_service)
    connections = []
    try:
        for _ in range(10):
            connection = socket.create_connection(("127.0.0.1", encoder_service.port), timeout=TIMEOUT)
            connections.append(connection)
            connection.sendall(b"POST /vectors HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (31 * MIB))
            try:
                connection.sendall(b" " * (20 * MIB))
            except ConnectionError:
                pass  # It was refused meanwhile.
        encoder_service.wait_for("held_bytes", 20 * MIB)
        assert encoder_service.read_metric("held_bytes") <= ROOM * MIB
        assert get_memory(encoder_service) - before < 1.5 * ROOM
        assert encoder_service.post("/vectors", {"text": texts[0]})[0] == 200
    finally:
        for connection in connections:
            connection.close()
    end = time.monotonic() + TIMEOUT
    while encoder_service.read_metric("held_bytes") or get_memory(encoder_service) - before > ROOM / 2:
        assert time.monotonic() < end
    metrics = encoder_service.ask("GET", "/metrics")[1].decode("utf8")
    assert 'requests_total{path="/vectors",status="503"}' in metrics


def test_vectors_in_json_are_bounded(encoder_service):
    """A small request for a large answer, as one text and as many."""
    for body in ({"text": "a " * 40_000}, {"texts": ["a " * 2_000] * 20}):
        status, answer = encoder_service.post("/vectors", body)
        assert (status, answer["error"]) == (
            413,
            f"The answer would be longer than {ROOM // 4} MiB. Send less at once.",
        )
    status, body, _ = encoder_service.ask("POST", "/vectors", json.dumps({"text": "a " * 2_000}).encode())
    assert status == 200
    assert len(json.loads(body)["results"][0]["vectors"]) == 2_000
    assert encoder_service.read_metric("held_bytes") == 0
