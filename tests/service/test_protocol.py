"""What connections may cost: headers, time without a request, and their number. uvicorn runs in this process."""

import asyncio
import contextlib
import json
import socket
import threading

import pytest

pytest.importorskip("ray")
uvicorn = pytest.importorskip("uvicorn")  # ray[serve] brings it.

from scripts.service import protocol
from scripts.service.protocol import Protocol
from scripts.service.settings import MAX_HEAD

from .service_process import TIMEOUT

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n"


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.contextmanager
def run_server():
    """Run a server.

    YIELDS (int): Its port.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Protocol, ws="none", lifespan="off", log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(TIMEOUT)
    assert not Protocol.idle


@pytest.fixture
def port():
    with run_server() as port:
        yield port


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def read_ok(connection):
    """Read an answer of a connection that stays open.

    RETURNS (bytes): Its head and "ok".
    """
    answer = b""
    while not answer.endswith(b"ok"):
        part = connection.recv(1000)
        assert part, answer
        answer += part
    return answer


def read_answer(connection):
    """Read an answer of a connection that is closed after it.

    RETURNS (Tuple[int, str]): Status and error.
    """
    answer = b"".join(iter(lambda: connection.recv(10_000), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    "head",
    [
        REQUEST + b"X: " + b"a" * MAX_HEAD,  # One that does not end.
        REQUEST + b"X: aaaaaaaaaaaaaaaaaaaa\r\n" * (MAX_HEAD // 20) + b"\r\n",
        b"GET /" + b"a" * MAX_HEAD,
    ],
    ids=["one", "many", "path"],
)
def test_long_headers(port, head):
    with connect(port) as connection:
        connection.sendall(head)
        status, error = read_answer(connection)
    assert status == 431
    assert str(MAX_HEAD) in error


def test_not_http(port):
    with connect(port) as connection:
        connection.sendall(b"good morning\r\n\r\n")
        assert read_answer(connection) == (400, "This is not an HTTP/1.1 request.")


def test_long_body_is_no_long_header(port):
    with connect(port) as connection:
        for _ in range(2):  # On one connection.
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300_000)
            assert read_ok(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nX-a: ", REQUEST + b"\r\n"], ids=["none", "part", "one"])
def test_idle_connections_are_closed(monkeypatch, sent):
    """Those without a request, with one that does not end, and after an answer."""
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.2)
    with run_server() as port, connect(port) as connection:
        connection.sendall(sent)
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
    assert answer.endswith(b"ok") == sent.endswith(b"\r\n\r\n")


def test_too_many_connections(monkeypatch):
    """The one that waits longest is closed; the new one is answered."""
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 3)
    with run_server() as port, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(port)) for _ in range(3)]
        for number in (1, 2, 0):  # The order in which they wait from now on, in whichever they were accepted
            connections[number].sendall(REQUEST + b"\r\n")
            read_ok(connections[number])
        connections.append(stack.enter_context(connect(port)))
        assert connections[1].recv(1000) == b""
        for number in (0, 2, 3):
            connections[number].sendall(REQUEST + b"\r\n")
            read_ok(connections[number])


def test_draining_ends_connections_after_an_answer(monkeypatch, port):
    monkeypatch.setattr(Protocol, "is_draining", True)
    with connect(port) as connection:
        connection.sendall(REQUEST + b"\r\n")
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
    assert b"connection: close" in answer and answer.endswith(b"ok")
