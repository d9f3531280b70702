"""Talk to a pipeline that runs in a process of its own, see `pipeline_worker.py`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from ..common.project import ROOT
from ..compiled_transformer.cpu import available_cores


class PipelineError(Exception):
    """The pipeline raised an error, or its process died."""


class PipelineProcess:
    """A loaded pipeline. Use it as a context manager; the process ends with the block.

    path (Path): Folder of the pipeline.
    gpu (int): GPU to use, -1 for the CPU.
    config (Optional[Dict[str, Any]]): Settings to override, as `spacy.load` takes them.
    RAISES (PipelineError): If the pipeline can't be loaded, and from every request that fails.
    """

    worker = "scripts.benchmarking.pipeline_worker"  # The module that answers.

    def __init__(self, path: Path, *, gpu: int = -1, config: Optional[Dict[str, Any]] = None) -> None:
        self.path = path
        self._messages = tempfile.TemporaryFile(mode="w+", encoding="utf8")
        self._process = self._start()
        try:
            self.load_seconds: float = self._ask("load", path=str(path.resolve()), gpu=gpu, config=config or {})[
                "seconds"
            ]
        except BaseException:
            self.close()
            raise

    def _start(self) -> subprocess.Popen:
        """Start the process that answers."""
        return subprocess.Popen(
            [sys.executable, "-m", self.worker],
            cwd=ROOT,
            # torch would start a thread for each core of the host, whatever this container may use.
            env={**os.environ, "OMP_NUM_THREADS": str(available_cores())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
            encoding="utf8",
        )

    def __enter__(self) -> "PipelineProcess":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.communicate()
        self._messages.close()

    def annotations(self, corpus: Path) -> List[Dict[str, List[Any]]]:
        """Annotate a corpus.

        RETURNS (List[Dict[str, List[Any]]]): For each Doc, by kind, its annotations as `annotations.collect` lists them.
        """
        return self._ask("annotations", corpus=str(corpus.resolve()))

    def throughput(self, texts: List[str], batch_size: int) -> Dict[str, float]:
        """Run all texts once.

        RETURNS (Dict[str, float]): "seconds" that `nlp.pipe` took for all texts, and their "words".
        """
        return self._ask("throughput", texts=texts, batch_size=batch_size)

    def latency(self, texts: List[str]) -> List[float]:
        """Time single texts.

        RETURNS (List[float]): Seconds that `nlp(text)` took for each text.
        """
        return self._ask("latency", texts=texts)

    def peak_memory(self) -> float:
        """Ask for the most memory that the process has used, in 10^6 bytes."""
        return self._ask("peak_memory")

    def architecture(self) -> Dict[str, int]:
        """Ask for the "layers", the "width" and the "intermediate" width of a trained pipeline's transformer."""
        return self._ask("architecture")

    def stages(self, texts: List[str], batch_size: int) -> Dict[str, Any]:
        """Time a compiled pipeline by stage, see `stages.profile`."""
        return self._ask("stages", texts=texts, batch_size=batch_size)

    def peak_rate(self) -> Optional[float]:
        """Measure operations a second of large matrix products, see `peak.measure_peak`."""
        return self._ask("peak_rate")

    def documents(self, texts: List[str]) -> Dict[str, float]:
        """Run texts of any length, one at a time.

        RETURNS (Dict[str, float]): "seconds" that `nlp(text)` took for texts of any length, and their "words".
        """
        return self._ask("documents", texts=texts)

    def loaded_memory(self) -> float:
        """Ask for the memory that the process used after its first text, in 10^6 bytes."""
        return self._ask("loaded_memory")

    def _ask(self, method: str, **arguments: Any) -> Any:
        try:
            self._process.stdin.write(json.dumps({"method": method, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PipelineError(f"The process of {self.path} died during {method!r}, {self._last_message()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PipelineError(f"{self.path}: {answer['error']}")
        return answer["result"]

    def _last_message(self) -> str:
        """Say how the process ended: the exit code, which names the signal if it was killed, and its last line."""
        code = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().strip().splitlines()
        return ": ".join([f"exit code {code}", *lines[-1:]])
