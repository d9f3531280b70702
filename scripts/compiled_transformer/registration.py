"""Register components once, however many copies of this package a process holds: each pipeline's wheel brings one."""

import threading
from typing import Any, Callable, Dict

import catalogue
from spacy.language import Language
from spacy.util import registry

from . import component, ner, token_classification
from .listener import LISTENER, build_listener
from .model import build_compiled_transformer

ARCHITECTURE = "compiled-transformers.CompiledTransformer.v1"
# All copies share one lock: two threads may import two of them at once.
LOCK = catalogue.REGISTRY.setdefault(("compiled-transformers", "registration"), threading.RLock())


def register() -> None:
    """Register the components, each with the architecture that belongs to it, unless another copy has."""
    register_component(
        component.FACTORY,
        component.make_compiled_transformer,
        {ARCHITECTURE: build_compiled_transformer, LISTENER: build_listener},
        assigns=["doc.tensor"],
        default_config=component.DEFAULT_CONFIG,
    )
    register_component(
        ner.FACTORY,
        ner.make_greedy_ner,
        {},
        assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
        default_config=ner.DEFAULT_CONFIG,
        default_score_weights=ner.DEFAULT_SCORE_WEIGHTS,
    )
    register_component(
        token_classification.FACTORY,
        token_classification.make_compiled_token_classifier,
        {},
        assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
        default_config=token_classification.DEFAULT_CONFIG,
    )


def register_component(name: str, make: Callable, architectures: Dict[str, Callable], **meta: Any) -> None:
    """Register a component's factory and architectures, or leave those of another copy in their place.

    spaCy refuses a second factory of the same name (E004). Factory and architectures go together, so that no pipeline is
    made from two copies: a wheel has an entry point for its factories, whose import comes here, but none for its
    architectures, since that would be preferred to the architecture that is registered.

    name (str): The factory's name.
    make (Callable): The factory.
    architectures (Dict[str, Callable]): By name, those of the component's default config.
    meta (Any): What else `Language.factory` takes.
    """
    with LOCK:
        if not Language.has_factory(name):
            for architecture, build in architectures.items():
                registry.architectures(architecture, func=build)
            Language.factory(name, func=make, **meta)
