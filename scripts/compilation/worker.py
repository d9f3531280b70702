"""One pipeline in a process of its own, which answers requests of `PipelineProcess`.

Two pipelines in one process disturb each other's thread pools, and their memory can't be told apart; an engine that
crashes takes only its own process along.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, TextIO

START = time.perf_counter()


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
        return {"seconds": time.perf_counter() - START}

    def entities(self, corpus: str) -> List[List[Any]]:
        """Annotate a .spacy corpus on its own tokens.

        RETURNS (List[List[Any]]): For each Doc its entities as [start, end, label], in tokens.
        """
        from spacy.tokens import DocBin

        from .validation import copy_without_entities

        docs = DocBin().from_disk(corpus).get_docs(self.nlp.vocab)
        bare = (copy_without_entities(doc, self.nlp) for doc in docs)
        return [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in self.nlp.pipe(bare)]

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

    def peak_memory(self) -> float:
        """RETURNS (float): Most memory this process has used, in 10^6 bytes."""
        try:
            status = Path("/proc/self/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
        except (OSError, IndexError):
            import resource

            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer one JSON request a line until the requests end."""
    worker = Worker()
    for line in requests:
        request = json.loads(line)
        try:
            answer = {"result": getattr(worker, request["method"])(**request["arguments"])}
        except Exception as error:  # Whatever happens in here, the other process has to know.
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    # The answers get the real standard output; what engines print goes to standard error.
    answers_ = os.fdopen(os.dup(1), "w", encoding="utf8")
    os.dup2(2, 1)
    serve(sys.stdin, answers_)
