"""Make small pipelines of spacy-transformers with any head, with random weights."""

from pathlib import Path
from typing import Any, Callable, Dict, Sequence

import numpy
import spacy
from spacy.kb import InMemoryLookupKB
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import fix_random_seed, load_model_from_config
from spacy.vocab import Vocab
from thinc.api import Adam

from . import encoders, helpers

Block = Dict[str, Any]
WINDOWS = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 32, "stride": 24}
TEXTS = [
    "Ada Lovelace met Charles in London and they could not agree .",
    "Snow covers the mountains of Norway and Sweden every year !",
    "Karl printed his work on rivers in 1843 .",
]
PATTERNS = [{"label": label, "pattern": [{"TEXT": word}]} for label, word in (("CITY", "London"), ("PERSON", "Ada"))]
RULER = {"factory": "entity_ruler"}


@spacy.registry.misc("tests.KnowledgeBase.v1")
def configure_knowledge_base() -> Callable[[Vocab], InMemoryLookupKB]:
    def make(vocab: Vocab) -> InMemoryLookupKB:
        base = InMemoryLookupKB(vocab, entity_vector_length=64)
        for number, entity in enumerate(("Q1", "Q2")):
            base.add_entity(entity, 10, numpy.random.default_rng(number).normal(size=64).tolist())
        for alias in ("Ada", "London"):
            base.add_alias(alias, ["Q1", "Q2"], [0.5, 0.5])
        return base

    return make


def make_transitions(state: str, listener: Block, use_upper: bool = False) -> Block:
    return {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": state,
        "extra_state_tokens": False,
        "hidden_width": 32,
        "maxout_pieces": 2,
        "use_upper": use_upper,
        "nO": None,
        "tok2vec": listener,
    }


def make_tagger(listener: Block) -> Block:
    return {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener}


def make_classifier(listener: Block) -> Block:
    reducers = {f"use_reduce_{name}": name == "last" for name in ("first", "last", "max", "mean")}
    return {"@architectures": "spacy.TextCatReduce.v1", "exclusive_classes": True, **reducers, "tok2vec": listener}


def make_span_categorizer(listener: Block) -> Block:
    return {
        "@architectures": "spacy.SpanCategorizer.v1",
        "tok2vec": listener,
        "reducer": {"@layers": "spacy.mean_max_reducer.v1", "hidden_size": 16},
        "scorer": {"@layers": "spacy.LinearLogistic.v1", "nO": None, "nI": None},
    }


def make_span_finder(listener: Block) -> Block:
    scorer = {"@layers": "spacy.LinearLogistic.v1", "nO": 2}
    return {"@architectures": "spacy.SpanFinder.v1", "tok2vec": listener, "scorer": scorer}


def head(factory: str, make_model: Callable[[Block], Block], **settings: Any) -> Callable[[Block], Dict[str, Block]]:
    """Describe one component that listens to the transformer."""
    return lambda listener: {factory: {"factory": factory, "model": make_model(listener), **settings}}


def make_linker(listener: Block) -> Dict[str, Block]:
    model = {"@architectures": "spacy.EntityLinker.v2", "tok2vec": listener}
    before = {"sentencizer": {"factory": "sentencizer"}, "entity_ruler": RULER}
    return {**before, "entity_linker": {"factory": "entity_linker", "model": model}}


# By name, the components of a pipeline after its transformer
HEADS: Dict[str, Callable[[Block], Dict[str, Block]]] = {
    "ner": head("ner", lambda listener: make_transitions("ner", listener)),
    "ner, use_upper": head("ner", lambda listener: make_transitions("ner", listener, use_upper=True)),
    "beam_ner": head("beam_ner", lambda listener: make_transitions("ner", listener, use_upper=True), beam_width=4),
    "entity_ruler, ner": lambda listener: {"entity_ruler": RULER, **HEADS["ner"](listener)},
    "spancat": head("spancat", make_span_categorizer, threshold=0.5),
    "span_finder": head("span_finder", make_span_finder),
    "textcat": head("textcat", make_classifier),
    "tagger": head("tagger", make_tagger),
    "morphologizer": head("morphologizer", make_tagger),
    "trainable_lemmatizer": head("trainable_lemmatizer", make_tagger, min_tree_freq=1),
    "parser": head("parser", lambda listener: make_transitions("parser", listener), min_action_freq=1),
    "senter": head("senter", make_tagger),
    "entity_linker": make_linker,
}


def make_pipeline(
    encoder: Path, folder: Path, name: str, change: Callable[[Block], Any] = lambda config: None
) -> Language:
    """Save a pipeline with random weights, so large that what is read of a token shows in what is annotated.

    encoder (Path): Folder of the encoder.
    folder (Path): The folder to write.
    name (str): One of HEADS.
    change (Callable): Changes the config before.
    """
    config = encoders.make_config(encoder, **WINDOWS)
    heads = HEADS[name](encoders.LISTENER)
    config["nlp"]["pipeline"] = ["transformer", *heads]
    config["components"] = {"transformer": config["components"]["transformer"], **heads}
    if "entity_linker" in heads:
        loader = {"@misc": "tests.KnowledgeBase.v1"}
        config["initialize"]["components"] = {"entity_linker": {"kb_loader": loader}}
    change(config)
    fix_random_seed(0)
    nlp = load_model_from_config(config, auto_fill=True)
    nlp.initialize(lambda: [make_example(nlp, text) for text in TEXTS], sgd=Adam())
    randomize(nlp, [component for component, block in heads.items() if "model" in block])
    if "entity_ruler" in heads:
        nlp.get_pipe("entity_ruler").add_patterns(PATTERNS)
    nlp.to_disk(folder)
    return nlp


def make_example(nlp: Language, text: str) -> Example:
    words = text.split()
    n = len(words)
    gold = Doc(
        nlp.vocab,
        **helpers.make_annotations(words),
        lemmas=[word.lower().removesuffix("s") for word in words],
    )
    links = {"Ada": "Q1", "London": "Q2"}
    labels = {"Ada": "PERSON", "London": "CITY"}
    gold.ents = [
        Span(gold, i, i + 1, label=labels.get(word, "GPE"), kb_id=links.get(word, ""))
        for i, word in enumerate(words)
        if word in labels or word in ("Norway", "Sweden")
    ]
    gold.spans["sc"] = [Span(gold, 0, 2, label="START"), Span(gold, n - 2, n, label="END")]
    gold.cats = {"long": float(n > 9), "short": float(n <= 9)}
    predicted = Doc(nlp.vocab, words=words)
    predicted.ents = [Span(predicted, ent.start, ent.end, label=ent.label_) for ent in gold.ents]
    return Example(predicted, gold)


def randomize(nlp: Language, names: Sequence[str]) -> None:
    """Give the heads large random weights: those that were not trained find nothing."""
    random = numpy.random.RandomState(1)
    for name in names:
        for node in nlp.get_pipe(name).model.walk():
            for key in node.param_names:
                if node.has_param(key):
                    shape = node.get_param(key).shape
                    # Biases are the same for all tokens.
                    scale = 1.0 if len(shape) > 1 else 0.1
                    node.set_param(key, random.normal(0, scale, shape).astype("float32"))


def put_inside(version: int, pooling: str, config: Dict[str, Any]) -> None:
    """Put the encoder into a pipeline's tagger, as `Tok2VecTransformer`."""
    model = config["components"].pop("transformer")["model"]
    config["nlp"]["pipeline"].remove("transformer")
    config["components"]["tagger"]["model"]["tok2vec"] = {
        "@architectures": f"spacy-transformers.Tok2VecTransformer.v{version}",
        **{key: model[key] for key in ("name", "get_spans", "tokenizer_config")},
        "pooling": {"@layers": f"reduce_{pooling}.v1"},
    }
