"""The transformers that the components of a pipeline share, and which components read each."""

from typing import Any, List

from spacy.language import Language
from spacy_transformers.layers import TransformerListener
from spacy_transformers.pipeline_component import Transformer
from thinc.api import Model

from .curated import FACTORY as CURATED
from .curated_listeners import LISTENER_MARK, REPLACED


def find_shared_transformers(nlp: Language) -> List[str]:
    """List the transformer components, in the order of the pipeline."""
    return [
        name
        for name, pipe in nlp.pipeline
        if isinstance(pipe, Transformer) or nlp.get_pipe_meta(name).factory == CURATED
    ]


def choose_transformer(nlp: Language, transformers: List[str]) -> str:
    """Choose the transformer to compile: the one that most components read, the first of equals.

    transformers (List[str]): From `find_shared_transformers`, at least one.
    """
    return max(transformers, key=lambda name: len(list_readers(nlp, name, transformers)))


def list_readers(nlp: Language, transformer: str, transformers: List[str]) -> List[str]:
    """List the components that read the output of a transformer.

    Whatever its `upstream` says, a listener that predicts reads what the last transformer before it has left in
    `doc._.trf_data` (`spacy_transformers/layers/listener.py`).

    transformer (str): One of those.
    transformers (List[str]): From `find_shared_transformers`.
    """
    readers: List[str] = []
    last = transformers[0]
    for name in nlp.pipe_names:
        if name in transformers:
            last = name
        elif last == transformer and has_listener(nlp.get_pipe(name)):
            readers.append(name)
    return readers


def has_listener(pipe: Any) -> bool:
    """Tell whether a component has a layer of any form that reads a shared transformer's output."""
    if not isinstance(getattr(pipe, "model", None), Model):
        return False
    nodes = list(pipe.model.walk())
    if any(node.name == REPLACED for node in nodes):  # Its listener reads the transformer that it is together with.
        return False
    return any(isinstance(node, TransformerListener) or LISTENER_MARK in node.attrs for node in nodes)
