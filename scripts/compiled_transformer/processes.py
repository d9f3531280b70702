"""Engines belong to the process that started them: a fork copies them without the threads that they need."""

import ctypes
import os
import threading
import time
import weakref
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Set, Tuple

LOCK = threading.RLock()  # Engines of all encoders are started one after the other.
ENDING_SECONDS = 1.0  # Most that a fork waits for threads that end; one takes less than a millisecond by itself.
INHERITED: Set[str] = set()  # Kinds of engines that were running when this process was forked


class ForkGate:
    """Make a fork wait for the calls of engines that run: what they lock inside would stay locked in the child for ever.

    It waits for threads that just end, too. A thread that Python has joined still frees what the engine's libraries keep for
    it, as MKL in torch, and locks what the others use.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._in_call: Set[Optional[int]] = set()  # Numbers that the system has given threads
        self._callers: Deque[Optional[int]] = deque(maxlen=1000)  # Of the last calls
        self._closed = False

    def guard(self, engine: Callable) -> Callable:
        """Wrap an engine, so that a fork waits for its calls."""

        def run(*arguments: Any) -> Any:
            # Python lists a thread that it did not start from then on. What it doesn't list has ended, see `close`.
            thread = threading.current_thread().native_id
            with self._changed:
                self._changed.wait_for(lambda: not self._closed)
                self._in_call.add(thread)
                self._callers.append(thread)
            try:
                return engine(*arguments)
            finally:
                with self._changed:
                    self._in_call.discard(thread)
                    self._changed.notify_all()

        return run

    def close(self) -> None:
        """Wait for the calls of other threads and for the end of those that Python has left, and let no call start."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._in_call - {threading.current_thread().native_id})
        # No longer than that: the system may have given a number to another thread.
        latest = time.monotonic() + ENDING_SECONDS
        while self._has_ending_callers() and time.monotonic() < latest:
            time.sleep(0.0005)

    def _has_ending_callers(self) -> bool:
        callers = set(self._callers) - {thread.native_id for thread in threading.enumerate()}
        return any(os.path.exists(f"/proc/self/task/{thread}") for thread in callers)

    def open(self) -> None:
        """Let calls start."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()

    def open_in_child(self) -> None:
        """Forget the calls and the lock of the parent's threads, which were not forked."""
        self.__init__()  # type: ignore[misc]


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
GATE = ForkGate()


def before_fork() -> None:
    """Wait for an engine that is just being started, and for those that compute."""
    LOCK.acquire()
    GATE.close()


def after_in_parent() -> None:
    """Let all go on."""
    GATE.open()
    LOCK.release()


def after_in_child() -> None:
    """Let a forked process start engines of its own."""
    for engines in list(ALL):
        engines.leave_to_parent()
    GATE.open_in_child()
    # As Python's own modules do it. It need not be taken: a program in C may fork with only this hook.
    LOCK._at_fork_reinit()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):  # Not on Windows
    os.register_at_fork(before=before_fork, after_in_parent=after_in_parent, after_in_child=after_in_child)
