"""The thinc model: Docs to token vectors."""

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy
from spacy.tokens import Doc
from thinc.api import Model, NumpyOps, Ops
from thinc.types import Floats1d, Floats2d, Floats3d, Ints1d, Ints2d

from .encoder import CompiledEncoder
from .observation import ENCODER, POOLING, WORDPIECES
from .segmentation import SegmentedDocs
from .wordpieces import Wordpieces

WINDOWS_AT_ONCE = 1024  # Bounds the wordpieces in memory, however long a Doc is.
NO_TRAINING = (
    "A compiled transformer can't be trained: it has no gradients. Train the pipeline it was made from and compile "
    "that again, or list the component in both `frozen_components` and `annotating_components`."
)


class Places(NamedTuple):
    """The rows, one a token, that the wordpieces of some windows are added to."""

    first: Ints1d  # (n_wordpieces + 1,)
    last: Ints1d  # (n_wordpieces + 1,), the same for most
    weights: Optional[Floats1d]  # (n_wordpieces + 1,), None for all the same


def build_compiled_transformer() -> Model[List[Doc], List[Floats2d]]:
    """Build the model around an encoder that is still to be loaded.

    RETURNS (Model[List[Doc], List[Floats2d]]): Docs to token vectors, one `(n_tokens, width)` array a Doc.
    """
    return Model("compiled_transformer", forward, shims=[CompiledEncoder()], dims={"nO": None})


def forward(
    model: Model[List[Doc], List[Floats2d]], docs: List[Doc], is_train: bool
) -> Tuple[List[Floats2d], Callable]:
    """Encode a batch of Docs.

    A token's vector is the mean over all wordpieces aligned to it, from every window that covers it, as in
    spacy-transformers (`layers/trfs2arrays.py` with `reduce_mean.v1`), weighted if the segmentation says so; a token
    without any gets zeros.
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
        # Padding and special tokens are added to one more row than there are tokens.
        sums = numpy.zeros((segmented.n_tokens + 1, model.get_dim("nO")), dtype="float32")
        counts = numpy.zeros(len(sums), dtype="float32")
    for start in range(0, len(segmented.windows), WINDOWS_AT_ONCE):
        add_windows(sums, counts, encoder, segmented, start, model.attrs)
    with encoder.observer.stage(POOLING):
        return split_by_doc(model.ops, docs, sums, counts), no_backprop


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
    windows, width = segmented.windows, model.get_dim("nO")
    sums, counts, start = numpy.zeros((0, width), dtype="float32"), numpy.zeros(0, dtype="float32"), 0
    for number in range(0, len(windows), WINDOWS_AT_ONCE):
        following = number + WINDOWS_AT_ONCE
        complete = windows[following][0] if following < len(windows) else len(doc)
        # One row more, for special tokens and padding.
        missing = max(complete, max(end for _, end in windows[number:following])) - start + 1 - len(sums)
        sums = numpy.concatenate((sums, numpy.zeros((missing, width), dtype="float32")))
        counts = numpy.concatenate((counts, numpy.zeros(missing, dtype="float32")))
        add_windows(sums, counts, encoder, segmented, number, model.attrs, start)
        n_complete = complete - start
        yield divide(sums[:n_complete], counts[:n_complete])
        sums, counts, start = sums[n_complete:-1].copy(), counts[n_complete:-1].copy(), complete


def add_windows(
    sums: Floats2d,
    counts: Floats1d,
    encoder: CompiledEncoder,
    segmented: SegmentedDocs,
    start: int,
    settings: Dict[str, Any],
    first: int = 0,
) -> None:
    """Encode a group of windows, and add the vectors of their wordpieces to those of their tokens.

    sums (Floats2d): *Shape:* (n_tokens + 1, width). The last row is for padding and special tokens.
    counts (Floats1d): *Shape:* (n_tokens + 1,). Wordpieces that were added, each by its weight.
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
        places = find_places(wordpieces, first, len(sums) - 1)
    observer.count(wordpieces, windows, batches)
    with observer.stage(ENCODER):
        outputs = observer.finish(encoder.predict(batches, settings))
    with observer.stage(POOLING):
        for batch, vectors in zip(batches, outputs):
            add_to_tokens(sums, counts, places, batch.index, vectors)


def find_places(wordpieces: Wordpieces, first: int, nowhere: int) -> Places:
    """Find the rows that wordpieces are added to.

    first (int): The token that the first row is for.
    nowhere (int): The row for special tokens and padding.
    RETURNS (Places): First and last row of each wordpiece, and of padding, which comes last: number -1.
    """
    is_aligned = wordpieces.first >= 0
    places = (numpy.where(is_aligned, rows - first, nowhere) for rows in (wordpieces.first, wordpieces.last))
    first_rows, last_rows = (numpy.append(rows, nowhere).astype("int32") for rows in places)
    weights = None if wordpieces.weights is None else numpy.append(wordpieces.weights, numpy.float32(1))
    return Places(first_rows, last_rows, weights)


def no_backprop(d_vectors: List[Floats2d]) -> List[Doc]:
    raise ValueError(NO_TRAINING)


def add_to_tokens(sums: Floats2d, counts: Floats1d, places: Places, index: Ints2d, vectors: Floats3d) -> None:
    """Add wordpiece vectors to the sums of the tokens that they are aligned to.

    sums (Floats2d): *Shape:* (n_tokens + 1, width). Changed in place.
    counts (Floats1d): *Shape:* (n_tokens + 1,). Number of vectors in each sum, changed in place.
    places (Places): The rows of all wordpieces.
    index (Ints2d): *Shape:* (n_rows, length). The number of each wordpiece, -1 for padding.
    vectors (Floats3d): *Shape:* (n_rows, length, width).
    """
    ops = NumpyOps()
    rows = vectors.reshape(-1, vectors.shape[-1])
    first, last = places.first[index.ravel()], places.last[index.ravel()]
    weights = None
    if places.weights is not None:
        weights = places.weights[index.ravel()]
        rows = rows * weights[:, None]
    ops.scatter_add(sums, first, rows)
    counts += numpy.bincount(first, weights, minlength=len(counts))
    # A wordpiece like "cannot" belongs to two tokens, "can" and "not".
    for step in range(1, int((last - first).max()) + 1):
        shared = numpy.flatnonzero(first + step <= last)
        ops.scatter_add(sums, first[shared] + numpy.int32(step), rows[shared])
        counts += numpy.bincount(
            first[shared] + step, None if weights is None else weights[shared], minlength=len(counts)
        )


def split_by_doc(ops: Ops, docs: List[Doc], sums: Floats2d, counts: Floats1d) -> List[Floats2d]:
    """Divide the sums by the counts.

    RETURNS (List[Floats2d]): Mean vectors, one `(n_tokens, width)` array a Doc, zeros where nothing was added.
    """
    means = divide(sums, counts)
    if len(docs) == 1:
        return [ops.asarray2f(means[:-1])]
    vectors, start = [], 0
    for doc in docs:
        end = start + len(doc)
        # One array a Doc: a view would keep the whole batch alive as long as one of its Docs.
        vectors.append(ops.asarray2f(means[start:end].copy()))
        start = end
    return vectors


def divide(sums: Floats2d, counts: Floats1d) -> Floats2d:
    """Turn sums into means in place, since the vectors of a very long Doc are most of the memory that it takes.

    RETURNS (Floats2d): The same array.
    """
    sums /= numpy.maximum(counts, 1).astype("float32")[:, None]
    return sums
