"""Engines belong to the process that started them: a fork copies them without the threads that they need."""

import ctypes
import os
import threading
import weakref
from typing import Any, Callable, Dict, Set, Tuple

LOCK = threading.RLock()  # Engines of all encoders are started one after the other.
INHERITED: Set[str] = set()  # Kinds of engines that were running when this process was forked


class Engines:
    """What runs one encoder in this process, started when it is first needed."""

    def __init__(self) -> None:
        self._started: Dict[Tuple, Any] = {}
        self._process = os.getpid()
        ALL.add(self)

    def get(self, kind: str, settings: Tuple, start: Callable[[], Any]) -> Any:
        """Start an engine, once for the same settings.

        kind (str): Name of the engine.
        settings (Tuple): What it is started with.
        start (Callable): Starts it.
        RETURNS (Any): The engine.
        """
        if self._process != os.getpid():
            self.leave_to_parent()  # A program in C may fork without Python's hooks.
        key = (kind, *settings)
        if key not in self._started:
            with LOCK:
                if key not in self._started:
                    self._started[key] = start()
        return self._started[key]

    def __reduce__(self) -> Tuple:
        """Copy nothing: a copy of the encoder, or another process, starts its own."""
        return Engines, ()

    def leave_to_parent(self) -> None:
        """Keep the engines of the parent process for ever, and use none of them.

        Their threads were not forked. To destroy an engine waits for its threads, also at the interpreter's end, where
        Python would let go of everything that it holds a reference to.
        """
        for (kind, *_), engine in self._started.items():
            INHERITED.add(kind)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))
        self._started = {}
        self._process = os.getpid()


ALL: "weakref.WeakSet[Engines]" = weakref.WeakSet()


def release_in_child() -> None:
    """Let a forked process start engines of its own."""
    for engines in list(ALL):
        engines.leave_to_parent()
    # As Python's own modules do it. It need not be taken: a program in C may fork with only this hook.
    LOCK._at_fork_reinit()  # type: ignore[attr-defined]


# A fork waits for an engine that is just being started: the lock, and what the engine itself locks, would stay taken.
if hasattr(os, "register_at_fork"):  # Not on Windows
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=release_in_child)
