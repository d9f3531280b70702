"""Where the time of a compiled pipeline goes: seconds by stage, one after the other, and what the encoder is given."""

import contextlib
import inspect
import threading
import time
from collections import defaultdict
from functools import wraps
from typing import Any, Callable, Dict, Iterator, List, Tuple

import numpy
from spacy import util
from spacy.language import Language
from spacy.tokens import Doc

from .. import compiled_transformer as runtime

MAKE_DOC, WORDPIECES, ENCODER, POOLING = "make_doc", "wordpieces", "encoder", "pooling"
# The functions of the compiled transformer that a stage consists of; what is left of the component has its own name.
FUNCTIONS = {
    WORDPIECES: ("get_tokens", "get_windows", "get_micro_batches", "pad"),
    POOLING: ("add_to_tokens", "split_by_doc"),
}
METHODS = {WORDPIECES: "get_wordpieces", ENCODER: "predict"}  # Of its `CompiledEncoder`


class Stopwatch:
    """Attribute the time of one thread to the stage that is running, the innermost one if they are nested.

    seconds (Dict[str, float]): By stage, in the order in which they first ended.
    """

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = defaultdict(float)
        self._running: List[str] = []
        self._since = 0.0
        self._thread = threading.get_ident()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def wrap(self, function: Callable, name: str) -> Callable:
        """RETURNS (Callable): The same function, as a stage. A generator runs to its end when it is called, because its
        stage would else go on while others run.
        """
        is_generator = inspect.isgeneratorfunction(function)

        @wraps(function)
        def timed(*arguments: Any, **settings: Any) -> Any:
            if threading.get_ident() != self._thread:  # Its stage is what waits for that thread.
                return function(*arguments, **settings)
            with self.stage(name):
                result = function(*arguments, **settings)
                return iter(list(result)) if is_generator else result

        return timed


class Load:
    """Count what the encoder is given."""

    def __init__(self) -> None:
        self._masks: List[numpy.ndarray] = []
        self._seen: List[Tuple[int, float]] = []

    def wrap_get_engine(self, get_engine: Callable) -> Callable:
        def counting(*arguments: Any) -> runtime.Engine:
            engine = get_engine(*arguments)

            def run(ids: numpy.ndarray, mask: numpy.ndarray) -> numpy.ndarray:
                self._masks.append(mask)
                return engine(ids, mask)

            return run

        return counting

    def wrap_get_wordpieces(self, get_wordpieces: Callable) -> Callable:
        def counting(encoder: Any, tokens: Any, windows: List[Tuple[int, int]]) -> runtime.Wordpieces:
            wordpieces = get_wordpieces(encoder, tokens, windows)
            self._seen.append(count_text(wordpieces, windows))
            return wordpieces

        return counting

    def summarize(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): "windows", and "text", "distinct", "real" and "padded" numbers of wordpieces: those
        that belong to tokens, those without what overlapping windows repeat, with special tokens, and with padding.
        "squares" has for "real" and "padded" the sum of the squared lengths of all windows, which attention goes by.
        """
        lengths = numpy.concatenate([mask.sum(axis=1) for mask in self._masks]).astype("int64")
        windows, widths = numpy.asarray([mask.shape for mask in self._masks]).T
        padded = numpy.repeat(widths, windows)
        text, distinct = numpy.sum(self._seen, axis=0)
        return {
            "windows": len(lengths),
            "text": int(text),
            "distinct": float(distinct),
            "real": int(lengths.sum()),
            "padded": int(padded.sum()),
            "squares": {"real": int((lengths**2).sum()), "padded": int((padded**2).sum())},
        }


def count_text(wordpieces: runtime.Wordpieces, windows: List[Tuple[int, int]]) -> Tuple[int, float]:
    """RETURNS (Tuple[int, float]): Wordpieces of tokens in some windows, and how many there are without overlap."""
    starts, ends = numpy.asarray(windows).T
    n_tokens = int(ends.max()) + 1
    covered = numpy.cumsum(numpy.bincount(starts, minlength=n_tokens) - numpy.bincount(ends, minlength=n_tokens))
    owners = wordpieces.first[wordpieces.first >= 0]
    return len(owners), float((1 / covered[owners]).sum())


def profile(nlp: Language, texts: List[str], batch_size: int) -> Dict[str, Any]:
    """Run texts through a compiled pipeline, batch by batch and one component after the other.

    `nlp.pipe` encodes a batch while the heads work on the one before, which would blur the stages.

    nlp (Language): A compiled pipeline.
    texts (List[str]): What to run.
    batch_size (int): Docs of a batch.
    RETURNS (Dict[str, Any]): "seconds" by stage, "words", and the encoder's "load", see `Load.summarize`.
    """
    stopwatch, load = Stopwatch(), Load()
    words = 0
    with watch(nlp, stopwatch, load):
        for batch in util.minibatch(texts, batch_size):
            with stopwatch.stage(MAKE_DOC):
                docs = [nlp.make_doc(text) for text in batch]
            for name, component in nlp.pipeline:
                with stopwatch.stage(name):
                    docs = run_component(component, docs)
            words += sum(map(len, docs))
    return {"seconds": dict(stopwatch.seconds), "words": words, "load": load.summarize()}


def run_component(component: Any, docs: List[Doc]) -> List[Doc]:
    """RETURNS (List[Doc]): The Docs, annotated in this thread."""
    if isinstance(component, runtime.CompiledTransformer):  # Its `pipe` has a thread of its own.
        component.set_annotations(docs, component.predict(docs))
        return docs
    if hasattr(component, "pipe"):
        return list(component.pipe(docs, batch_size=len(docs)))
    return [component(doc) for doc in docs]


@contextlib.contextmanager
def watch(nlp: Language, stopwatch: Stopwatch, load: Load) -> Iterator[None]:
    """Time the parts of the components while the block runs."""
    with contextlib.ExitStack() as stack:
        for stage, names in FUNCTIONS.items():
            for name in names:
                stack.enter_context(replace(runtime, name, stopwatch.wrap(getattr(runtime, name), stage)))
        encoder = runtime.CompiledEncoder
        stack.enter_context(replace(encoder, "get_engine", load.wrap_get_engine(encoder.get_engine)))
        stack.enter_context(replace(encoder, "get_wordpieces", load.wrap_get_wordpieces(encoder.get_wordpieces)))
        for stage, name in METHODS.items():
            stack.enter_context(replace(encoder, name, stopwatch.wrap(getattr(encoder, name), stage)))
        for name, component in nlp.pipeline:
            if isinstance(component, runtime.GreedyEntityRecognizer):  # It has its own way through its tok2vec.
                get_token_vectors = stopwatch.wrap(component.get_token_vectors, f"{name}, tok2vec")
                stack.enter_context(replace(component, "get_token_vectors", get_token_vectors))
            model = getattr(component, "model", None)
            if model is not None and "tok2vec" in model.ref_names and model.get_ref("tok2vec") is not model:
                layer = model.get_ref("tok2vec")
                stack.enter_context(replace(layer, "_func", stopwatch.wrap(layer._func, f"{name}, tok2vec")))
        yield


@contextlib.contextmanager
def replace(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
