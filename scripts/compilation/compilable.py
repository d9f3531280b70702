"""What the compilation has to know of a trained pipeline, whichever package its transformer is of."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Protocol

from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from thinc.api import Model
from transformers import PreTrainedModel

from ..compiled_transformer.wordpieces import Wordpieces


class Listener(NamedTuple):
    """A layer that reads the transformer's output, its pooling included."""

    layer: Model
    upstream: str  # name of the transformer component, or "*"


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
        """Width of a token vector, or the number of labels."""

    @property
    def max_length(self) -> int:
        """Most wordpieces of a window, special ones included."""

    def cut_windows(self, docs: List[Doc], most: int) -> Wordpieces:
        """Make windows of text as the pipeline does, to calibrate with.

        most (int): Windows to choose, spread over all.
        """

    def write_segmentation(self, folder: Path) -> Segments:
        """Write what makes wordpieces of Docs, as `compiled_transformer.segmentation` reads it."""
