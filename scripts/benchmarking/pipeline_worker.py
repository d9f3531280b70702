"""One pipeline in a process of its own, which answers requests of `PipelineProcess` and `ProfiledProcess`.

Two pipelines in one process disturb each other's thread pools, and their memory can't be told apart; an engine that
crashes takes only its own process along.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, TextIO

START = time.perf_counter()
SHAPE = ("layers", "width", "intermediate")


class Worker:
    """Load one pipeline and run what is asked for. Every method is a request; times are in seconds."""

    def load(self, path: str, gpu: int, config: Dict[str, Any]) -> Dict[str, float]:
        """Load the pipeline with settings to override, and run it once, as a program that starts would do."""
        import spacy

        from .. import compiled_transformer  # noqa: F401

        if gpu >= 0:
            spacy.require_gpu(gpu)
        self.nlp = spacy.load(path, config=config)
        self.nlp("A first text starts the engine.")
        self.loaded_mb = get_memory("VmRSS")
        return {"seconds": time.perf_counter() - START}

    def annotations(self, corpus: str) -> List[Dict[str, List[Any]]]:
        """Annotate a .spacy corpus on its own tokens.

        RETURNS (List[Dict[str, List[Any]]]): For each Doc its annotations, see `annotations.annotate`.
        """
        from ..common.annotations import annotate
        from ..common.corpora import load_docs

        return annotate(self.nlp, load_docs(Path(corpus), self.nlp.vocab))

    def throughput(self, texts: List[str], batch_size: int) -> Dict[str, float]:
        """Run all texts through `nlp.pipe` once."""
        start = time.perf_counter()
        words = sum(len(doc) for doc in self.nlp.pipe(texts, batch_size=batch_size))
        return {"seconds": time.perf_counter() - start, "words": words}

    def latency(self, texts: List[str]) -> List[float]:
        """Time `nlp(text)` for each text."""
        seconds = []
        for text in texts:
            start = time.perf_counter()
            self.nlp(text)
            seconds.append(time.perf_counter() - start)
        return seconds

    def documents(self, texts: List[str]) -> Dict[str, float]:
        """Run `nlp(text)` for texts of any length."""
        # spaCy refuses more than a million characters, because parsers need much memory; it is what is measured here.
        self.nlp.max_length = max(self.nlp.max_length, *map(len, texts))
        start = time.perf_counter()
        words = sum(len(self.nlp(text)) for text in texts)
        return {"seconds": time.perf_counter() - start, "words": words}

    def stages(self, texts: List[str], batch_size: int) -> Dict[str, Any]:
        """Run all texts through a compiled pipeline, one stage after the other."""
        from .stages import profile

        return profile(self.nlp, texts, batch_size)

    def architecture(self) -> Dict[str, int]:
        """Tell what the number of operations of a compiled encoder follows from.

        RAISES (ValueError): If its manifest doesn't say it.
        """
        described = self._find_compiled().encoder.manifest.get("encoder", {})
        missing = [key for key in SHAPE if key not in described]
        if missing:
            raise ValueError(f"engine.json has no {missing[0]!r} in 'encoder': compile the pipeline again")
        return {key: described[key] for key in SHAPE}

    def peak_rate(self) -> Optional[float]:
        """Measure operations a second of large matrix products, as a compiled encoder does them."""
        from ..compiled_transformer.cpu import get_threads
        from .peak import measure_peak

        component = self._find_compiled()
        settings = component.model.attrs
        return measure_peak(component.encoder.manifest, settings["device"], get_threads(settings))

    def _find_compiled(self) -> Any:
        """Find the first component with a compiled encoder."""
        from ..common.pipelines import COMPILED

        return next(pipe for name, pipe in self.nlp.pipeline if self.nlp.get_pipe_meta(name).factory in COMPILED)

    def loaded_memory(self) -> float:
        """Tell the memory that this process used after its first text, in 10^6 bytes."""
        return self.loaded_mb

    def peak_memory(self) -> float:
        """Tell the most memory that this process has used, in 10^6 bytes."""
        return get_memory("VmHWM")


def get_memory(field: str) -> float:
    """Read a size from Linux's /proc/self/status, in 10^6 bytes; elsewhere, the most memory ever used."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0]) * 1024 / 1e6
    except (OSError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def serve(worker: Any, requests: TextIO, answers: TextIO) -> None:
    """Answer one JSON request a line until the requests end.

    worker (Any): Its methods are the requests.
    """
    for line in requests:
        request = json.loads(line)
        try:
            answer = {"result": getattr(worker, request["method"])(**request["arguments"])}
        except Exception as error:  # Whatever happens in here, the other process has to know.
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def serve_standard_streams(worker: Any) -> None:
    """Answer to the real standard output; what engines print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf8")
    os.dup2(2, 1)
    serve(worker, sys.stdin, answers)


if __name__ == "__main__":
    serve_standard_streams(Worker())
