"""HTTP connections: uvicorn's protocol with the limits that it lacks, and errors in the service's own form."""

import asyncio
import json
from http import HTTPStatus
from typing import Any, ClassVar, Dict, Optional

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .settings import MAX_HEAD

IDLE_SECONDS = 75  # For the next request to arrive, up to the end of its headers.
MAX_CONNECTIONS = 1_000


class Protocol(HttpToolsProtocol):
    """A connection. uvicorn has one object for each, all in one process."""

    idle: ClassVar[Dict["Protocol", None]] = {}  # Those that no request runs on, the one that waits longest first.
    is_draining: ClassVar[bool] = False  # Close each connection after its next answer.

    _timer: Optional[asyncio.TimerHandle] = None
    _is_head = True  # What comes next belongs to a request's head.
    _head = 0  # Bytes of it that have arrived.

    def connection_made(self, transport: Any) -> None:
        """Take a connection; if there are too many, close the one that waits longest for a request."""
        super().connection_made(transport)
        self._wait_for_request()
        if len(self.connections) > MAX_CONNECTIONS:
            next(iter(Protocol.idle)).transport.close()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """Forget a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self._is_head:
            self._head += len(data)
        super().data_received(data)
        if self._is_head and self._head > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header.

        RAISES (ValueError): If the headers are too long together, which ends in `send_400_response`.
        """
        super().on_header(name, value)
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self._head = MAX_HEAD + 1
            raise ValueError("headers")

    def on_headers_complete(self) -> None:
        """Start a request."""
        self._is_head, self._head = False, 0
        self._stop_waiting()
        super().on_headers_complete()
        if Protocol.is_draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """End a request's body."""
        self._is_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless there is one already."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait_for_request()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or has too many headers, and close the connection."""
        if self._head > MAX_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers are longer than {MAX_HEAD} bytes.")
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "This is not an HTTP/1.1 request.")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        body = json.dumps({"error": message}).encode("utf8")
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _wait_for_request(self) -> None:
        self._stop_waiting()
        Protocol.idle[self] = None
        self._timer = self.loop.call_later(IDLE_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        Protocol.idle.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
