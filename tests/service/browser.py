"""A browser for the tests of the page."""

import base64
import http.client
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .service_process import TIMEOUT


class Browser:
    """A headless Chromium, driven over its DevTools protocol."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if program is None:
            pytest.skip("needs Chromium: apt-get install chromium")
        websocket = pytest.importorskip("websockets.sync.client", reason="uvicorn[standard] brings websockets")
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        self.process = subprocess.Popen(
            [program, *options, f"--user-data-dir={folder}", "--remote-debugging-port=0", "--window-size=900,700"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._number = 0
        addresses = (re.search(r"ws://[^:]+:(\d+)/", line) for line in self.process.stderr)
        port = next(int(found[1]) for found in addresses if found)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        connection.request("GET", "/json")
        pages = json.loads(connection.getresponse().read())
        url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._connection = websocket.connect(url, max_size=None, open_timeout=TIMEOUT)
        self.socket = self._connection.__enter__()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error: Any) -> None:
        self._connection.__exit__(*error)
        self.process.kill()
        self.process.communicate()

    def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=TIMEOUT))
            if message.get("id") == self._number:
                return message["result"]

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && !!document.getElementById('send')")

    def run(self, code: str) -> Any:
        result = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        end = time.monotonic() + TIMEOUT
        while not self.run(condition):
            assert time.monotonic() < end, condition

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
