"""What the compilation has to know of a trained pipeline, whichever package its transformer is of."""

import importlib.util
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Protocol

from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from thinc.api import Model
from transformers import PreTrainedModel

from ..common.console import UserError
from ..compiled_transformer.pooling import MEAN, POOLINGS
from ..compiled_transformer.wordpieces import Wordpieces

# In the names of their architectures.
LISTENERS = ("TransformerListener", "LastTransformerLayerListener", "ScalarWeightingListener")


class Listener(NamedTuple):
    """A layer that reads the transformer's output, its pooling included."""

    layer: Model
    upstream: str  # name of the transformer component, or "*"
    pooling: str = MEAN  # how a token's vector is made of those of its wordpieces, see `compiled_transformer.pooling`


class Segments(NamedTuple):
    """What a folder with the files of a segmentation needs beside them."""

    manifest: Dict[str, Any]  # entries of the artefact's manifest
    requirements: List[str]  # for pip


class Compilable(Protocol):
    """A trained pipeline whose transformer can be compiled."""

    path: Path
    nlp: Language
    listeners: Dict[str, List[Listener]]  # by component
    factory: str  # of the compiled component
    settings: Dict[str, Any]  # of the compiled component: spans, window and stride, or how spans are made of its labels

    @property
    def transformer(self) -> Pipe:
        """The transformer component."""

    @property
    def encoder(self) -> PreTrainedModel:
        """The encoder in the architecture of transformers; its last hidden state, or its logits, are what is read."""

    @property
    def width(self) -> int:
        """Width of the vectors that a listener gives, or the number of labels."""

    @property
    def max_length(self) -> int:
        """Most wordpieces of a window, special ones included."""

    def check_pieces(self, docs: List[Doc]) -> None:
        """Check that the compiled pipeline will make the pieces that the trained one makes.

        docs (List[Doc]): Real text.
        RAISES (UserError): If it won't.
        """

    def cut_windows(self, docs: List[Doc], most: int) -> Wordpieces:
        """Make windows of text as the pipeline does, to calibrate with.

        most (int): Windows to choose, spread over all.
        """

    def write_segmentation(self, folder: Path) -> Segments:
        """Write what makes wordpieces of Docs, as `compiled_transformer.segmentation` reads it."""


def why_missing(package: str, requirement: str) -> Optional[str]:
    """Say why pipelines that need a package can't be loaded here, with what to do; None if they can.

    package (str): Its name to import.
    requirement (str): What pip installs.
    """
    if importlib.util.find_spec(package) is None:
        return f'{package.replace("_", "-")}, which is not installed: pip install "{requirement}"'
    return None


def list_poolings(reference: Compilable) -> List[str]:
    """List the ways in which the listeners pool wordpieces, each once. Without listeners the output is taken as it is."""
    found = {listener.pooling for listeners in reference.listeners.values() for listener in listeners} or {MEAN}
    return [pooling for pooling in POOLINGS if pooling in found]


def is_listener(block: Dict[str, Any]) -> bool:
    """Tell whether a block of a config describes a layer that reads the transformer's output."""
    return any(name in str(block.get("@architectures")) for name in LISTENERS)


def get_pooling(layer: str) -> str:
    """Name a way of pooling as `compiled_transformer.pooling` does.

    layer (str): Name of thinc's layer, such as "reduce_mean" or "reduce_mean.v1".
    """
    return layer.removeprefix("reduce_").partition(".")[0]


def read_pooling(layer: Model, component: str, path: Path) -> str:
    """Read how a listener makes a token's vector of those of its wordpieces.

    layer (Model): The listener's layer that pools.
    component (str): What the listener is in, for messages.
    path (Path): The pipeline, for messages.
    RETURNS (str): One of `POOLINGS`.
    RAISES (UserError): If it is another way.
    """
    pooling = get_pooling(layer.name)
    if pooling not in POOLINGS:
        raise UserError(
            f"The listener of {component!r} in {path} pools wordpieces with {layer.name!r}, which can't "
            f"be compiled. Train it with one of: {', '.join(f'reduce_{known}.v1' for known in POOLINGS)}."
        )
    return pooling
