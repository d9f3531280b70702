"""Watch what processes look up, connect to, and write."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

from . import helpers, isolation

# Python imports it when it starts, in every process that inherits the environment.
SITECUSTOMIZE = """
import ipaddress, json, os, sys

RECORD, ALLOWED = {record!r}, {allowed!r}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
busy = False

def is_local(host):
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    except ValueError:
        return False

def find(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        return None if is_local(arguments[0]) else arguments[0]
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        return None if not isinstance(address, tuple) or is_local(address[0]) else address
    if event in ("open", "os.mkdir") and isinstance(arguments[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        writes = event == "os.mkdir" or arguments[2] & WRITES
        return path if writes and not path.startswith(ALLOWED) and not os.path.isdir(path) else None
    return None

def watch(event, arguments):
    global busy
    if busy or event not in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto", "open", "os.mkdir"):
        return
    busy = True
    try:
        found = find(event, arguments)
        if found is not None:
            file_ = os.open(RECORD, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file_, (json.dumps([event, str(found), sys.argv[:2]]) + "\\n").encode())
            os.close(file_)
    finally:
        busy = False

sys.addaudithook(watch)
"""


class Watch:
    """An environment for processes that are watched, with a home folder that is empty.

    folder (Path): For the files that it takes; what is written there is no matter, but in the home folder.
    allowed (Sequence[Path]): Other places where files may be written.
    blocked (Sequence[str]): Packages that are not installed for them.
    """

    def __init__(self, folder: Path, allowed: Sequence[Path] = (), blocked: Sequence[str] = ()) -> None:
        self.record = folder / "record.jsonl"
        self.home = folder.parent / f"{folder.name}-home"
        temporary, site = folder / "tmp", folder / "site"
        for path in (self.home, temporary, site):
            path.mkdir()
        local = tuple(f"{path}/" for path in (folder, *allowed, "/dev", "/proc"))
        code = SITECUSTOMIZE.format(record=str(self.record), allowed=local)
        (site / "sitecustomize.py").write_text(code + isolation.SITECUSTOMIZE.format(blocked=tuple(blocked)))
        self.environment: Dict[str, str] = {
            **os.environ,
            "HOME": str(self.home),
            "TMPDIR": str(temporary),
            "PYTHONPATH": os.pathsep.join(map(str, (site, helpers.ROOT))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MPLCONFIGDIR": str(temporary),  # matplotlib's cache of fonts, else in the home folder
        }
        # Places in the home folder that the tests' own environment may name.
        for name in ("HF_HOME", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
            self.environment.pop(name, None)

    def read(self) -> List[Any]:
        """RETURNS (List[Any]): What was looked up, connected to, and written elsewhere, and files in the home folder."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        return [*map(json.loads, lines), *(str(path) for path in self.home.rglob("*"))]


@contextlib.contextmanager
def watch_ray(blocked: Sequence[str]) -> Iterator[Watch]:
    """Watch processes that start Ray, which has its sockets in the temporary folder, and whose names must be short.

    blocked (Sequence[str]): Packages that are not installed for them.
    """
    with tempfile.TemporaryDirectory(prefix="watched-") as name:
        folder = Path(name) / "files"
        folder.mkdir()
        yield Watch(folder, [Path(tempfile.gettempdir())], blocked)
