"""One peer in a process of its own, which answers requests of `PeerProcess`."""

import time
from pathlib import Path
from typing import Any, Dict, List

from ..benchmarking.pipeline_worker import get_memory, serve_standard_streams
from ..benchmarking.process import PipelineProcess
from .peer_runtimes import PEERS


class PeerProcess(PipelineProcess):
    """A peer that is ready to run. Use it as a context manager; the process ends with the block.

    name (str): Key of PEERS.
    path (Path): Folder of the pipeline.
    """

    worker = "scripts.comparison.peer_process"

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(path, config={"peer": name})


class PeerWorker:
    """Start one peer and run what is asked for. Every method is a request; times are in seconds."""

    def load(self, path: str, gpu: int, config: Dict[str, Any]) -> Dict[str, float]:
        """Start the peer and run a first text."""
        start = time.perf_counter()
        self.run = PEERS[config["peer"]].start(Path(path))
        self.run(["A first text starts the engine."], 1)
        return {"seconds": time.perf_counter() - start}

    def throughput(self, texts: List[str], batch_size: int) -> Dict[str, float]:
        """Run texts in batches."""
        start = time.perf_counter()
        self.run(texts, batch_size)
        return {"seconds": time.perf_counter() - start}

    def peak_memory(self) -> float:
        """Read the most memory that this process has used, in 10^6 bytes."""
        return get_memory("VmHWM")


if __name__ == "__main__":
    serve_standard_streams(PeerWorker())
