"""What the shapes of tokens add to a recognizer's scores, remembered for each shape with its neighbours.

The layers that see the shapes look at a token and its neighbours only, and there are few shapes. What follows up to the
scores is linear: the share of the shapes can be kept, and that of the transformer's vectors is one product.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from spacy.attrs import SHAPE
from spacy.tokens import Doc
from thinc.api import Model, NumpyOps
from thinc.layers.concatenate import forward as concatenate
from thinc.types import Floats1d, Floats2d, Floats4d, Ints1d

MOST_REMEMBERED = 20_000  # Shapes with their neighbours, some 400 bytes each
TOKENS_AT_ONCE = 4096
NO_TOKEN = 0  # In place of a shape before the first and after the last token of a Doc; no token is empty.

Shapes = Tuple[int, int, int]  # Of the token before, of a token, and of the next one


class Layers(NamedTuple):
    """The layers before `lower` in the project's own recognizers."""

    vectors: Model  # Docs to the vectors of their tokens
    embed: Model  # keys of shapes to vectors
    window: Model  # vectors of three tokens side by side to one
    linear: Model  # both kinds of vectors side by side to a smaller one


def find_layers(tok2vec: Model) -> Optional[Layers]:
    """Find the layers of a recognizer that sees token shapes beside other vectors.

    RETURNS (Optional[Layers]): None for a model that is built otherwise.
    """
    joint, *others = tok2vec.layers or [tok2vec]
    if joint._func is not concatenate or [layer.name for layer in others] != ["list2array", "linear"]:
        return None
    if len(joint.layers) != 2 or len(joint.layers[1].layers) != 2:
        return None
    embed, encode = joint.layers[1].layers
    extract, *embed_layers = embed.layers or [embed]
    if extract.name != "extract_features" or list(extract.attrs["columns"]) not in (["SHAPE"], [SHAPE]):
        return None
    if encode.attrs.get("pad") != 1 or not encode.layers[0].name.startswith("residual(expand_window>>"):
        return None
    return Layers(joint.layers[0], embed, encode.layers[0].layers[0].layers[1], others[-1])


class FoldedFeatures:
    """Compute what `lower` gives, the layers before it included.

    The values are those of the layers one after the other but for rounding, some 1e-6 of the largest.

    layers (Layers): The layers before it.
    lower (Model): The recognizer's.
    """

    def __init__(self, layers: Layers, lower: Model) -> None:
        self._layers = layers
        weights = lower.get_param("W")  # (nF, nO, nP, nI)
        self._shape = weights.shape[:3]
        self._nothing = lower.get_param("pad").reshape(-1)
        joint = weights.reshape(-1, weights.shape[-1])
        n_columns = layers.linear.get_dim("nI") - layers.window.get_dim("nO")
        linear = layers.linear.get_param("W")
        self._of_vectors = numpy.ascontiguousarray(joint @ linear[:, :n_columns])
        self._of_shapes = joint @ linear[:, n_columns:]
        self._constant = joint @ layers.linear.get_param("b")
        self._forget()

    def _forget(self) -> None:
        self._embedded: Dict[int, Floats1d] = {NO_TOKEN: numpy.zeros(self._of_shapes.shape[1], dtype="float32")}
        self._known: Dict[Shapes, Floats1d] = {}

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_known": {}}

    def __call__(self, docs: Sequence[Doc]) -> Floats4d:
        """Compute the features of a batch.

        RETURNS (Floats4d): *Shape:* (n_tokens + 1, nF, nO, nP). The first row is for no token.
        """
        ends = 1 + numpy.cumsum([len(doc) for doc in docs])
        features = numpy.empty((ends[-1], len(self._nothing)), dtype="float32")
        features[0] = self._nothing
        for end, vectors in zip(ends.tolist(), self._layers.vectors.predict(docs)):
            if len(vectors):
                NumpyOps().gemm(vectors, self._of_vectors, trans2=True, out=features[end - len(vectors) : end])
        shapes = read_shapes(docs)
        for start in range(0, len(shapes[1]), TOKENS_AT_ONCE):
            columns = (column[start : start + TOKENS_AT_ONCE].tolist() for column in shapes)
            piece = list(zip(*columns))
            features[1 + start : 1 + start + len(piece)] += self._look_up(piece)
        return features.reshape(-1, *self._shape)

    def _look_up(self, shapes: List[Shapes]) -> Floats2d:
        """Find what shapes add to the features, and compute it where they are new.

        RETURNS (Floats2d): *Shape:* (n_tokens, nF * nO * nP).
        """
        numbers: Dict[Shapes, int] = {}
        index = [numbers.setdefault(of_token, len(numbers)) for of_token in shapes]
        known = self._known
        missing = [of_token for of_token in numbers if of_token not in known]
        if missing:
            if len(known) + len(missing) > MOST_REMEMBERED:
                self._forget()
                # Other threads still read the old ones.
                known = {of_token: known[of_token] for of_token in numbers if of_token in known}
                self._known = known
            known.update(zip(missing, self._compute(missing)))
        return numpy.stack([known[of_token] for of_token in numbers])[index]

    def _compute(self, shapes: List[Shapes]) -> Floats2d:
        """Run the layers on tokens with their neighbours."""
        embedded = self._embedded
        new = list({shape for of_token in shapes for shape in of_token} - embedded.keys())
        if new:
            values = [numpy.asarray(new, dtype="uint64").reshape(-1, 1)]
            for layer in self._layers.embed.layers[1:]:
                values = layer.predict(values)
            embedded.update(zip(new, values[0]))
        tokens = numpy.stack([numpy.concatenate([embedded[shape] for shape in of_token]) for of_token in shapes])
        width = self._of_shapes.shape[1]
        vectors = tokens[:, width:-width] + self._layers.window.predict(tokens)
        return NumpyOps().gemm(vectors, self._of_shapes, trans2=True) + self._constant


def read_shapes(docs: Sequence[Doc]) -> Tuple[Ints1d, Ints1d, Ints1d]:
    """Read the shapes of all tokens.

    RETURNS (Tuple[Ints1d, Ints1d, Ints1d]): *Shape:* (n_tokens,) each. Those before, of, and after each token.
    """
    nothing = numpy.asarray([NO_TOKEN], dtype="uint64")
    lengths = [len(doc) for doc in docs]
    joined = numpy.concatenate([part for doc in docs for part in (nothing, doc.to_array([SHAPE]).ravel())] + [nothing])
    places = numpy.arange(sum(lengths)) + numpy.repeat(numpy.arange(len(docs)), lengths) + 1
    return joined[places - 1], joined[places], joined[places + 1]
