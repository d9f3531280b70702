"""The layer that reads the vectors of a compiled transformer where `doc.tensor` is another component's."""

from typing import Callable, List, Tuple

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

KEY = "compiled_transformer"  # Of the vectors in `doc.user_data`
LISTENER = "compiled-transformers.Listener.v1"


def build_listener(width: int) -> Model[List[Doc], List[Floats2d]]:
    """Build the layer.

    width (int): Of the vectors.
    RETURNS (Model[List[Doc], List[Floats2d]]): Docs to token vectors, one `(n_tokens, width)` array a Doc.
    """
    return Model("compiled_transformer_listener", forward, dims={"nO": width})


def forward(
    model: Model[List[Doc], List[Floats2d]], docs: List[Doc], is_train: bool
) -> Tuple[List[Floats2d], Callable]:
    """Read the vectors that the compiled transformer has left in the Docs.

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
