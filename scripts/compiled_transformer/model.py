"""The thinc model: Docs to token vectors."""

from typing import Any, Callable, Dict, Iterator, List, Tuple

import numpy
from spacy.tokens import Doc
from thinc.api import Model, Ops
from thinc.types import Floats2d

from .encoder import CompiledEncoder
from .observation import ENCODER, POOLING, WORDPIECES
from .pooling import MEAN, TokenVectors
from .segmentation import SegmentedDocs

WINDOWS_AT_ONCE = 1024  # Bounds the wordpieces in memory, however long a Doc is.
NO_TRAINING = (
    "A compiled transformer can't be trained: it has no gradients. Train the pipeline it was made from and compile "
    "that again, or list the component in both `frozen_components` and `annotating_components`."
)


def build_compiled_transformer() -> Model[List[Doc], List[Floats2d]]:
    """Build the model around an encoder that is still to be loaded.

    RETURNS (Model[List[Doc], List[Floats2d]]): Docs to token vectors, one `(n_tokens, width)` array a Doc.
    """
    return Model("compiled_transformer", forward, shims=[CompiledEncoder()], dims={"nO": None})


def forward(
    model: Model[List[Doc], List[Floats2d]], docs: List[Doc], is_train: bool
) -> Tuple[List[Floats2d], Callable]:
    """Encode a batch of Docs.

    Where listeners pool wordpieces in several ways, the vectors of all of them are side by side.
    """
    if is_train:
        raise ValueError(NO_TRAINING)
    encoder: CompiledEncoder = model.shims[0]
    encoder.check_loaded()
    if model.attrs["remote"] is not None:
        vectors = encoder.get_remote(model.attrs).encode(docs, model.attrs["batch_wordpieces"])
        return [model.ops.asarray2f(array) for array in vectors], no_backprop
    with encoder.observer.stage(WORDPIECES):
        segmented = encoder.segmentation(docs, model.attrs)
        pooled = start_pooling(model, segmented.n_tokens)
    for start in range(0, len(segmented.windows), WINDOWS_AT_ONCE):
        add_windows(pooled, encoder, segmented, start, model.attrs)
    with encoder.observer.stage(POOLING):
        return split_by_doc(model.ops, docs, join([vectors.finish() for vectors in pooled])), no_backprop


def start_pooling(model: Model[List[Doc], List[Floats2d]], n_tokens: int) -> List[TokenVectors]:
    """Make room for the vectors of tokens, by the ways of pooling that the artefact was made for."""
    poolings = model.shims[0].manifest.get("poolings", [MEAN])
    return [TokenVectors(pooling, n_tokens, model.get_dim("nO") // len(poolings)) for pooling in poolings]


def stream_vectors(model: Model[List[Doc], List[Floats2d]], doc: Doc) -> Iterator[Floats2d]:
    """Encode one Doc, group of windows by group of windows, and keep only the rows that later windows add to.

    YIELDS (Floats2d): *Shape:* (n_tokens, width). Vectors of consecutive tokens.
    RAISES (ValueError): If the vectors come from a service.
    """
    if model.attrs["remote"] is not None:
        raise ValueError(
            "Vectors that come from a service can't be streamed. Load the pipeline without the setting 'remote'."
        )
    if not len(doc):
        return
    encoder: CompiledEncoder = model.shims[0]
    segmented = encoder.segmentation([doc], model.attrs)
    windows, start, end = segmented.windows, 0, 0
    pooled = start_pooling(model, 0)
    for number in range(0, len(windows), WINDOWS_AT_ONCE):
        following = number + WINDOWS_AT_ONCE
        complete = windows[following][0] if following < len(windows) else len(doc)
        reached = max(complete, end, max(end for _, end in windows[number:following]))
        for vectors in pooled:
            vectors.extend(reached - end)
        add_windows(pooled, encoder, segmented, number, model.attrs, start)
        yield join([vectors.take(complete - start) for vectors in pooled])
        start, end = complete, reached


def join(arrays: List[Floats2d]) -> Floats2d:
    """Put vectors side by side."""
    return arrays[0] if len(arrays) == 1 else numpy.concatenate(arrays, axis=1)


def add_windows(
    pooled: List[TokenVectors],
    encoder: CompiledEncoder,
    segmented: SegmentedDocs,
    start: int,
    settings: Dict[str, Any],
    first: int = 0,
) -> None:
    """Encode a group of windows, and add the vectors of their wordpieces to those of their tokens.

    pooled (List[TokenVectors]): The tokens' vectors, by each way of pooling.
    segmented (SegmentedDocs): All windows of the batch.
    start (int): Number of the group's first window.
    settings (Dict[str, Any]): The component's.
    first (int): The token that the first row is for.
    """
    observer = encoder.observer
    windows = segmented.windows[start : start + WINDOWS_AT_ONCE]
    with observer.stage(WORDPIECES):
        wordpieces = segmented.get_wordpieces(start, start + WINDOWS_AT_ONCE)
        batches = encoder.make_batches(wordpieces, settings)
        places = [vectors.find_places(wordpieces, first) for vectors in pooled]
    observer.count(wordpieces, windows, batches)
    with observer.stage(ENCODER):
        outputs = observer.finish(encoder.predict(batches, settings))
    with observer.stage(POOLING):
        for batch, encoded in zip(batches, outputs):
            for vectors, rows in zip(pooled, places):
                vectors.add(rows, batch.index, encoded)


def no_backprop(d_vectors: List[Floats2d]) -> List[Doc]:
    raise ValueError(NO_TRAINING)


def split_by_doc(ops: Ops, docs: List[Doc], vectors: Floats2d) -> List[Floats2d]:
    """Give each Doc its tokens' vectors.

    vectors (Floats2d): *Shape:* (n_tokens + 1, width). Those of all Docs, and a last row of none.
    RETURNS (List[Floats2d]): One `(n_tokens, width)` array a Doc.
    """
    if len(docs) == 1:
        return [ops.asarray2f(vectors[:-1])]
    arrays, start = [], 0
    for doc in docs:
        end = start + len(doc)
        # One array a Doc: a view would keep the whole batch alive as long as one of its Docs.
        arrays.append(ops.asarray2f(vectors[start:end].copy()))
        start = end
    return arrays
