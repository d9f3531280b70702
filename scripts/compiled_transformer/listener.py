"""A listener for one of several ways of pooling, whose vectors are side by side in `doc.tensor`."""

from typing import Callable, List, Tuple

from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.tokens import Doc
from thinc.api import Model, chain
from thinc.types import Floats2d


def build_pooled_listener(upstream: str, width: int, pooling: int, n_poolings: int) -> Model[List[Doc], List[Floats2d]]:
    """Build a layer that reads its own part of the token vectors.

    upstream (str): Name of the compiled transformer, or "*".
    width (int): Width of the part.
    pooling (int): Number of the part.
    n_poolings (int): Parts that there are.
    """
    return chain(Tok2VecListener(upstream, n_poolings * width), columns(pooling * width, width))


def columns(start: int, width: int) -> Model[List[Floats2d], List[Floats2d]]:
    """Build a layer that takes some columns of each array.

    start (int): The first one.
    width (int): How many.
    """
    return Model("columns", forward, dims={"nO": width}, attrs={"start": start})


def forward(
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
