"""The layer that reads the vectors of a compiled transformer where spaCy's own listener can't.

That is where `doc.tensor` is another component's, and where listeners pool in several ways, whose vectors are side by side.
"""

from typing import Callable, List, Tuple

from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.tokens import Doc
from thinc.api import Model, chain
from thinc.types import Floats2d

LISTENER = "compiled-transformers.Listener.v1"
KEY = "compiled_transformer"  # Of the vectors in `doc.user_data`
IN_TENSOR, IN_USER_DATA = PLACES = ("doc.tensor", "doc.user_data")


def build_listener(
    width: int, upstream: str = "*", vectors_in: str = IN_TENSOR, pooling: int = 0, n_poolings: int = 1
) -> Model[List[Doc], List[Floats2d]]:
    """Build a layer that reads token vectors, or its own part of them.

    width (int): Of the vectors that the layer gives.
    upstream (str): Name of the compiled transformer, or "*".
    vectors_in (str): Where the Docs have them, one of PLACES.
    pooling (int): Number of the part.
    n_poolings (int): Parts that there are.
    RETURNS (Model[List[Doc], List[Floats2d]]): Docs to token vectors, one `(n_tokens, width)` array a Doc.
    """
    joint = n_poolings * width
    reader = Tok2VecListener(upstream, joint) if vectors_in == IN_TENSOR else read_user_data(joint)
    return reader if n_poolings == 1 else chain(reader, columns(pooling * width, width))


def read_user_data(width: int) -> Model[List[Doc], List[Floats2d]]:
    """Build a layer that reads what the compiled transformer has left in `doc.user_data`."""
    return Model("compiled_transformer_listener", get_vectors, dims={"nO": width})


def get_vectors(
    model: Model[List[Doc], List[Floats2d]], docs: List[Doc], is_train: bool
) -> Tuple[List[Floats2d], Callable]:
    """Read the vectors.

    RAISES (ValueError): If a Doc has none, or other tokens than it had then.
    """
    vectors = [doc.user_data.get(KEY) for doc in docs]
    for doc, array in zip(docs, vectors):
        if array is None or len(array) != len(doc):
            raise ValueError(
                f"A Doc of {len(doc)} tokens has {'no' if array is None else len(array)} vectors of the compiled transformer. "
                "Run the transformer before the components that listen to it, and what merges or splits tokens after them."
            )
    return vectors, lambda d_vectors: []


def columns(start: int, width: int) -> Model[List[Floats2d], List[Floats2d]]:
    """Build a layer that takes some columns of each array.

    start (int): The first one.
    width (int): How many.
    """
    return Model("columns", take_columns, dims={"nO": width}, attrs={"start": start})


def take_columns(
    model: Model[List[Floats2d], List[Floats2d]], arrays: List[Floats2d], is_train: bool
) -> Tuple[List[Floats2d], Callable]:
    start = model.attrs["start"]
    end = start + model.get_dim("nO")

    def backprop(d_columns: List[Floats2d]) -> List[Floats2d]:
        d_arrays = [model.ops.alloc2f(*array.shape) for array in arrays]
        for d_array, d_column in zip(d_arrays, d_columns):
            d_array[:, start:end] = d_column
        return d_arrays

    return [array[:, start:end] for array in arrays], backprop
