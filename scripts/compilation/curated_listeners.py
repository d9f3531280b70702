"""What reads the transformer of a spacy-curated-transformers pipeline."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from spacy.language import Language
from thinc.api import Model

from ..common.console import UserError
from .compilable import Listener, read_pooling

LAST, WEIGHTED = "last_transformer_layer_listener", "scalar_weighting_listener"
LISTENER_MARK = "_TRANSFORMER_LISTENER"  # An attribute of each, `spacy_curated_transformers/models/listeners.py`
REPLACED = "wrapped_transformer_and_listener"  # What `nlp.replace_listeners` puts into a component
Weights = Tuple[float, ...]


class CuratedListeners(NamedTuple):
    """The layers that read a transformer's output."""

    by_component: Dict[str, List[Listener]]
    weights: Optional[Weights]  # of the embeddings and each layer; None if all listeners read the last layer


def find_curated_listeners(nlp: Language, readers: List[str], path: Path) -> CuratedListeners:
    """Find the listeners to a transformer.

    readers (List[str]): Names of the components that listen to it.
    path (Path): The pipeline, for messages.
    RAISES (UserError): If there is one that can't be compiled, or some that read different sums of layers.
    """
    listeners: Dict[str, List[Listener]] = {}
    weights: Dict[str, Optional[Weights]] = {}
    for name in readers:
        for node in nlp.get_pipe(name).model.walk():
            if LISTENER_MARK not in node.attrs:
                continue
            if node.name not in (LAST, WEIGHTED):
                raise UserError(
                    f"Component {name!r} in {path} reads the transformer by a {node.name!r}, which can't be compiled. Train "
                    "it with `spacy-curated-transformers.LastTransformerLayerListener.v1` or `ScalarWeightingListener.v1`."
                )
            pooling = read_pooling(node.layers[-1].layers[0], name, path)
            listeners.setdefault(name, []).append(Listener(node, node.attrs["_upstream_name"], pooling))
            weights[name] = None if node.name == LAST else get_weights(node)
    if len(set(weights.values())) > 1:
        raise UserError(
            f"The components {', '.join(weights)} in {path} read different sums of the transformer's layers, which can't "
            "be compiled. Train all of them with `spacy-curated-transformers.LastTransformerLayerListener.v1`."
        )
    return CuratedListeners(listeners, next(iter(weights.values())))


def get_weights(listener: Model) -> Weights:
    """Read what a listener multiplies the embeddings and each layer by."""
    scalars = listener.layers[0].shims[0]._model
    return tuple((scalars.layer_weights.softmax(dim=-1) * scalars.scale).tolist())
