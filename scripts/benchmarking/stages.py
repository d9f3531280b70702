"""Where the time of a compiled pipeline goes: seconds by stage, one after the other, and what the encoder is given."""

import contextlib
import time
from collections import defaultdict
from functools import wraps
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Tuple

import numpy
from spacy import util
from spacy.language import Language
from spacy.tokens import Doc
from thinc.types import Floats3d, Ints1d

from ..common.pipelines import COMPILED
from ..compiled_transformer.batches import Batch
from ..compiled_transformer.ner import FACTORY as GREEDY_NER
from ..compiled_transformer.observation import TOKEN_VECTORS, Observer
from ..compiled_transformer.windows import Window
from ..compiled_transformer.wordpieces import Wordpieces

MAKE_DOC = "make_doc"


class Stopwatch:
    """Attribute the time of one thread to the stage that is running, the innermost one if they are nested.

    seconds (Dict[str, float]): By stage, in the order in which they first ended.
    """

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = defaultdict(float)
        self._running: List[str] = []
        self._since = 0.0

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Attribute the time of a block to a stage."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def wrap(self, function: Callable, name: str) -> Callable:
        """Make a stage of a function."""

        @wraps(function)
        def timed(*arguments: Any, **settings: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **settings)

        return timed

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


class StageObserver(Observer):
    """Tell the stages of a compiled transformer to a stopwatch, and count what its encoder is given.

    stopwatch (Stopwatch): Gets the stages.
    """

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch
        self._lengths: List[Ints1d] = []
        self._shapes: List[Tuple[int, int]] = []
        self._seen: List[Tuple[int, float]] = []

    def stage(self, name: str) -> ContextManager:
        return self._stopwatch.stage(name)

    def count(self, wordpieces: Wordpieces, windows: List[Window], batches: List[Batch]) -> None:
        self._seen.append(count_text(wordpieces, windows))
        self._lengths.append(wordpieces.lengths)
        self._shapes.extend(batch.index.shape for batch in batches)

    def finish(self, outputs: Iterator[Floats3d]) -> Iterator[Floats3d]:
        return iter(list(outputs))

    def summarize(self) -> Dict[str, Any]:
        """Add up what the encoder was given.

        RETURNS (Dict[str, Any]): "windows", and "text", "distinct", "real" and "padded" numbers of wordpieces: those
            that belong to tokens, those without what overlapping windows repeat, with special tokens, and with padding.
            "squares" has for "real" and "padded" the sum of the squared lengths of all windows, and of all rows, which
            attention goes by.
        """
        lengths = numpy.concatenate(self._lengths).astype("int64")
        rows, widths = numpy.asarray(self._shapes).T
        padded = numpy.repeat(widths, rows)
        text, distinct = numpy.sum(self._seen, axis=0)
        return {
            "windows": len(lengths),
            "text": int(text),
            "distinct": float(distinct),
            "real": int(lengths.sum()),
            "padded": int(padded.sum()),
            "squares": {"real": int((lengths**2).sum()), "padded": int((padded**2).sum())},
        }


class NamedObserver(Observer):
    """Tell the stages of a component to a stopwatch, by the component's name.

    stopwatch (Stopwatch): Gets the stages.
    component (str): The component's name.
    """

    def __init__(self, stopwatch: Stopwatch, component: str) -> None:
        self._stopwatch = stopwatch
        self._component = component

    def stage(self, name: str) -> ContextManager:
        return self._stopwatch.stage(f"{self._component}, {name}")


def count_text(wordpieces: Wordpieces, windows: List[Window]) -> Tuple[int, float]:
    """Count the wordpieces of tokens in some windows.

    RETURNS (Tuple[int, float]): Wordpieces of tokens in some windows, and how many there are without overlap.
    """
    is_text = wordpieces.first >= 0
    if wordpieces.weights is not None:  # All copies of a wordpiece together weigh 1.
        return int(is_text.sum()), float(wordpieces.weights[is_text].sum())
    starts, ends = numpy.asarray(windows).T
    n_tokens = int(ends.max()) + 1
    covered = numpy.cumsum(numpy.bincount(starts, minlength=n_tokens) - numpy.bincount(ends, minlength=n_tokens))
    owners = wordpieces.first[is_text]
    return len(owners), float((1 / covered[owners]).sum())


def profile(nlp: Language, texts: List[str], batch_size: int) -> Dict[str, Any]:
    """Run texts through a compiled pipeline, batch by batch and one component after the other.

    `nlp.pipe` encodes a batch while the heads work on the one before, which would blur the stages.

    nlp (Language): A compiled pipeline.
    texts (List[str]): What to run.
    batch_size (int): Docs of a batch.
    RETURNS (Dict[str, Any]): "seconds" by stage, "words", and the encoder's "load", see `StageObserver.summarize`.
    """
    stopwatch = Stopwatch()
    observer = StageObserver(stopwatch)
    words = 0
    with watch(nlp, stopwatch, observer):
        for batch in util.minibatch(texts, batch_size):
            with stopwatch.stage(MAKE_DOC):
                docs = [nlp.make_doc(text) for text in batch]
            for name, component in nlp.pipeline:
                with stopwatch.stage(name):
                    docs = run_component(component, docs, nlp.get_pipe_meta(name).factory)
            words += sum(map(len, docs))
    return {"seconds": dict(stopwatch.seconds), "words": words, "load": observer.summarize()}


def run_component(component: Any, docs: List[Doc], factory: str) -> List[Doc]:
    """Annotate Docs in this thread."""
    if factory in COMPILED:  # Its `pipe` has a thread of its own.
        component.set_annotations(docs, component.predict(docs))
        return docs
    if hasattr(component, "pipe"):
        return list(component.pipe(docs, batch_size=len(docs)))
    return [component(doc) for doc in docs]


@contextlib.contextmanager
def watch(nlp: Language, stopwatch: Stopwatch, observer: StageObserver) -> Iterator[None]:
    """Time the parts of the components while the block runs."""
    with contextlib.ExitStack() as stack:
        for name, component in nlp.pipeline:
            factory, model = nlp.get_pipe_meta(name).factory, getattr(component, "model", None)
            if factory in COMPILED:
                stack.enter_context(replace(component.encoder, "observer", observer))
            elif factory == GREEDY_NER:
                stack.enter_context(replace(component, "observer", NamedObserver(stopwatch, name)))
            elif model is not None and "tok2vec" in model.ref_names and model.get_ref("tok2vec") is not model:
                layer = model.get_ref("tok2vec")
                timed = stopwatch.wrap(layer._func, f"{name}, {TOKEN_VECTORS}")
                stack.enter_context(replace(layer, "_func", timed))
        yield


@contextlib.contextmanager
def replace(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an object another attribute while the block runs."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
