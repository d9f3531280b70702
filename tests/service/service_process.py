"""A service in a process of its own, as a user starts it, and how to ask it."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import psutil

from .. import helpers

TIMEOUT = 300  # A hang has to fail; the limit is far from what a slow machine takes.
ROOM = 64  # MiB, for services with little memory


class Service:
    """A service in a process of its own, as a user starts it."""

    def __init__(self, *arguments: Any, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="serve-"))  # Not `tmp_path`: names of sockets must be short.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.serve", *map(str, arguments), "--port", "0"],
            cwd=helpers.ROOT,
            env={**os.environ, "RAY_TMPDIR": str(self.folder), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # A process group of its own.
        )
        self.output: List[str] = []
        for line in self.process.stdout:
            self.output.append(line)
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                return
        raise AssertionError("".join(self.output))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Optional[bytes] = None, headers: Optional[Dict[str, str]] = None
    ) -> Tuple[int, bytes, Dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read(), dict(response.headers)
        finally:
            connection.close()

    def post(self, path: str, value: Any) -> Tuple[int, Any]:
        status, body, _ = self.ask("POST", path, json.dumps(value).encode("utf8"))
        return status, json.loads(body)

    def read_metric(self, name: str) -> float:
        """Read a number of /metrics, summed over all labels."""
        text = self.ask("GET", "/metrics")[1].decode("utf8")
        return sum(float(value) for value in re.findall(rf"^entity_service_{name}(?:{{.*}})? (\S+)$", text, re.M))

    def wait_for_status(self, path: str, status: int) -> Dict[str, Any]:
        """Wait until a path is answered with a status.

        RETURNS (Dict[str, Any]): The answer.
        """
        end = time.monotonic() + TIMEOUT
        while True:
            found, body, _ = self.ask("GET", path)
            if found == status:
                return json.loads(body)
            assert time.monotonic() < end, body

    def wait_for(self, name: str, least: float) -> None:
        """Wait until a number is so large."""
        end = time.monotonic() + TIMEOUT
        while self.read_metric(name) < least:
            assert time.monotonic() < end, f"{name} did not reach {least}"

    def find_processes(self, name: str = "") -> List[psutil.Process]:
        """Find the processes that the service started, with the name in their command."""
        processes = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in processes if name in " ".join(process.cmdline())]

    def stop(self, to_group: bool = False) -> int:
        """Send SIGTERM.

        to_group (bool): Send it to all processes of the service, as service managers do.
        RETURNS (int): The exit code.
        """
        (os.killpg if to_group else os.kill)(self.process.pid, signal.SIGTERM)
        self.output.append(self.process.communicate(timeout=TIMEOUT)[0])
        return self.process.returncode

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *error: Any) -> None:
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder)


class Answer(NamedTuple):
    """What a request in a thread of its own gets."""

    thread: threading.Thread
    result: List[Any]

    def get(self) -> Tuple[int, Any]:
        self.thread.join(TIMEOUT)
        return self.result[0]


def send(service: Service, value: Any) -> Answer:
    """Send a request in a thread of its own."""
    result: List[Any] = []
    thread = threading.Thread(target=lambda: result.append(service.post("/entities", value)), daemon=True)
    thread.start()
    return Answer(thread, result)
