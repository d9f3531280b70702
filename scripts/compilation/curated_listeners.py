"""What reads the transformer of a spacy-curated-transformers pipeline."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from spacy.language import Language
from thinc.api import Model

from ..common.console import UserError
from .compilable import Listener

LAST, WEIGHTED, ALL = "last_transformer_layer_listener", "scalar_weighting_listener", "transformer_layers_listener"
REPLACED = "wrapped_transformer_and_listener"  # What `nlp.replace_listeners` puts into a component
Weights = Tuple[float, ...]


class CuratedListeners(NamedTuple):
    """The layers that read a transformer's output."""

    by_component: Dict[str, List[Listener]]
    weights: Optional[Weights]  # of the embeddings and each layer; None if all listeners read the last layer


def find_curated_listeners(nlp: Language, transformer: str, path: Path) -> CuratedListeners:
    """Find the listeners of all components.

    transformer (str): Name of the transformer component.
    path (Path): The pipeline, for messages.
    RAISES (UserError): If there is none, one that can't be compiled, or some that read different sums of layers.
    """
    listeners: Dict[str, List[Listener]] = {}
    weights: Dict[str, Optional[Weights]] = {}
    for name, pipe in nlp.pipeline:
        if name == transformer or not isinstance(getattr(pipe, "model", None), Model):
            continue
        for node in pipe.model.walk():
            if node.name == REPLACED:
                raise UserError(
                    f"Component {name!r} in {path} has a transformer of its own, as `nlp.replace_listeners` makes it. "
                    f"Compile the pipeline as it was before, where {name!r} listens to {transformer!r}."
                )
            if node.name == ALL:
                raise UserError(
                    f"Component {name!r} in {path} reads each layer of the transformer, which can't be compiled. Train it "
                    "with `spacy-curated-transformers.LastTransformerLayerListener.v1` or `ScalarWeightingListener.v1`."
                )
            if node.name in (LAST, WEIGHTED):
                check_pooling(node, name, path)
                listeners.setdefault(name, []).append(Listener(node, node.attrs["_upstream_name"]))
                weights[name] = None if node.name == LAST else get_weights(node)
    if not listeners:
        raise UserError(
            f"No component in {path} listens to {transformer!r}, so a compiled one would change nothing. Expected a "
            "`spacy-curated-transformers.LastTransformerLayerListener.v1` in ner, tagger, parser or another component."
        )
    if len(set(weights.values())) > 1:
        raise UserError(
            f"The components {', '.join(weights)} in {path} read different sums of the transformer's layers, which can't "
            "be compiled. Train all of them with `spacy-curated-transformers.LastTransformerLayerListener.v1`."
        )
    return CuratedListeners(listeners, next(iter(weights.values())))


def check_pooling(listener: Model, component: str, path: Path) -> None:
    """Check that a token's vector is the mean of its pieces.

    RAISES (UserError): If it is not.
    """
    pooling = listener.layers[-1].layers[0].name
    if pooling != "reduce_mean":
        raise UserError(
            f"The listener of {component!r} in {path} pools pieces with {pooling}, which can't be compiled. "
            'Train it with `pooling = {"@layers": "reduce_mean.v1"}`.'
        )


def get_weights(listener: Model) -> Weights:
    """Read what a listener multiplies the embeddings and each layer by."""
    scalars = listener.layers[0].shims[0]._model
    return tuple((scalars.layer_weights.softmax(dim=-1) * scalars.scale).tolist())
