"""Serve models of local folders as the Hugging Face hub does, for tests of what a user downloads.

The addresses and headers are those that `huggingface_hub.file_download` asks for.
"""

import hashlib
import re
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Dict, Iterator

COMMIT = "0" * 40
ADDRESS = re.compile(r"/(api/models/)?(?P<model>[^/]+/[^/]+)/((resolve/[^/]+/(?P<file>.+))|.*)")


@contextmanager
def serve_hub(models: Dict[str, Path]) -> Iterator[Dict[str, str]]:
    """Serve models until the block ends.

    models (Dict[str, Path]): Folders by the names that the models have on the hub.
    YIELDS (Dict[str, str]): What a process has in its environment to use this hub instead of the real one.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(HubRequest, models))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_OFFLINE": "0"}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class HubRequest(BaseHTTPRequestHandler):
    """Answer one request for a file of a model. What else the hub tells of a model is not there."""

    def __init__(self, models: Dict[str, Path], *arguments) -> None:
        self.models = models
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        found = ADDRESS.fullmatch(self.path.partition("?")[0])
        folder = self.models.get(found["model"]) if found else None
        if folder is None:
            self.send(404, {"X-Error-Code": "RepoNotFound"}, b"", with_body)
        elif found["file"] is None or not (folder / found["file"]).is_file():
            self.send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"", with_body)
        else:
            content = (folder / found["file"]).read_bytes()
            etag = hashlib.sha256(content).hexdigest()
            self.send(200, {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'}, content, with_body)

    def send(self, status: int, headers: Dict[str, str], content: bytes, with_body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *arguments) -> None:
        """Print nothing."""
