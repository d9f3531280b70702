"""Start the processes of `PipelineProcess` from one that has imported torch: else each takes seconds to import it."""

import os
import runpy
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Dict, Optional

from .helpers import ROOT

CONTEXT = get_context("forkserver")
# Imported once, in the process that all others are forked from.
CONTEXT.set_forkserver_preload(["pytest", "tests.preloaded"])


class ForkedProcess:
    """What `subprocess.Popen` does for a module, with pipes for its input and output.

    module (str): The module, which runs as a program.
    messages (Any): A file for its standard error.
    """

    def __init__(self, module: str, messages: Any) -> None:
        requests, to_requests = CONTEXT.Pipe(duplex=False)
        from_answers, answers = CONTEXT.Pipe(duplex=False)
        errors = Connection(os.dup(messages.fileno()))
        self._process = CONTEXT.Process(
            target=run_module, args=(module, dict(os.environ), requests, answers, errors), daemon=True
        )
        self._process.start()
        for end in (requests, answers, errors):  # The process has its own.
            end.close()
        self.stdin = open(os.dup(to_requests.fileno()), "w", encoding="utf8")
        self.stdout = open(os.dup(from_answers.fileno()), encoding="utf8")
        to_requests.close()
        from_answers.close()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def poll(self) -> Optional[int]:
        """RETURNS (Optional[int]): The exit code, None while it runs."""
        return self._process.exitcode

    def wait(self) -> int:
        """Wait for its end. RETURNS (int): The exit code."""
        self._process.join()
        return self._process.exitcode

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()

    def communicate(self) -> None:
        """Wait for its end and close the pipes."""
        self._process.join()
        self.stdout.close()
        try:
            self.stdin.close()
        except BrokenPipeError:  # What was written and not read is lost with it.
            pass


def run_module(
    module: str, environment: Dict[str, str], requests: Connection, answers: Connection, errors: Connection
) -> None:
    """Run a module in a forked process as `python -m` does."""
    for number, end in enumerate((requests, answers, errors)):
        os.dup2(end.fileno(), number)
        end.close()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.stdin = open(0, encoding="utf8")
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def use_forkserver(patch: Any) -> None:
    """Let all pipelines that get a process of their own have a forked one, as long as the patch holds.

    patch (Any): A `pytest.MonkeyPatch`.
    """
    from scripts.benchmarking.process import PipelineProcess

    patch.setattr(PipelineProcess, "_start", lambda self: ForkedProcess(self.worker, self._messages))
