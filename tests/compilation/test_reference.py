"""Pipelines that can't be compiled are refused with the reason."""

from typing import Callable, Dict, List, Tuple

import pytest
import spacy
from spacy.tokens import DocBin
from spacy_transformers.architectures import transformer_listener_tok2vec_v1
from spacy_transformers.layers import TransformerListener, trfs2arrays
from thinc.api import Model, chain, concatenate, reduce_max, reduce_mean

from scripts.common.console import UserError
from scripts.compilation.reference import load_reference

from .. import encoders


@spacy.registry.span_getters("tests.FirstTokens.v1")
def configure_first_tokens(n: int) -> Callable:
    return lambda docs: [[doc[:n]] for doc in docs]


@spacy.registry.architectures("tests.OwnListener.v1")
def build_own_listener() -> Model:
    return chain(TransformerListener("transformer"), trfs2arrays(reduce_mean(), 1.0))


@spacy.registry.architectures("tests.TwoListeners.v1")
def build_two_listeners() -> Model:
    return concatenate(*(transformer_listener_tok2vec_v1(pooling) for pooling in (reduce_max(), reduce_mean())))


@spacy.registry.layers("tests.OwnPooling.v1")
def build_own_pooling() -> Model:
    return Model("own_pooling", reduce_mean()._func)


def use_own_span_getter(config):
    config["components"]["transformer"]["model"]["get_spans"] = {"@span_getters": "tests.FirstTokens.v1", "n": 5}


def use_another_pooling(config):
    layers = config["components"]["ner"]["model"]["tok2vec"]["*"]
    layers["transformer"]["pooling"] = {"@layers": "tests.OwnPooling.v1"}


def use_two_poolings_in_one_component(config):
    config["components"]["ner"]["model"]["tok2vec"] = {"@architectures": "tests.TwoListeners.v1"}


def use_own_listener(config):
    config["components"]["ner"]["model"]["tok2vec"] = {"@architectures": "tests.OwnListener.v1"}


def use_no_transformer(config):
    config["nlp"]["pipeline"].remove("transformer")
    del config["components"]["transformer"]
    config["components"]["ner"] = {"factory": "ner"}


def use_no_listener(config):
    config["nlp"]["pipeline"].remove("ner")
    del config["components"]["ner"]


REFUSED: List[Tuple[Callable[[Dict], None], List[str]]] = [
    (use_own_span_getter, ["tests.FirstTokens.v1", "strided_spans.v1"]),
    (use_another_pooling, ["'ner'", "'own_pooling'", "reduce_mean.v1"]),
    (use_two_poolings_in_one_component, ["'ner'", "architecture of its own", "TransformerListener.v1"]),
    (use_own_listener, ["'ner'", "architecture of its own", "TransformerListener.v1"]),
    (use_no_transformer, ["no transformer", "(sentencizer, ner)"]),
    (use_no_listener, ["No component", "listens to 'transformer'"]),
]


@pytest.mark.parametrize("change, message", REFUSED, ids=[change.__name__ for change, _ in REFUSED])
def test_what_can_t_be_compiled_is_refused(tiny_encoder, tmp_path, change, message):
    config = encoders.make_config(tiny_encoder)
    change(config)
    encoders.initialize(config).to_disk(tmp_path / "reference")
    with pytest.raises(UserError) as error:
        load_reference(tmp_path / "reference")
    for part in (*message, str(tmp_path / "reference")) if change is not use_own_span_getter else message:
        assert part in str(error.value)


def test_missing_and_damaged_pipelines_are_named(tmp_path, reference_path):
    with pytest.raises(UserError, match=f"no trained pipeline in {tmp_path}"):
        load_reference(tmp_path)
    (tmp_path / "config.cfg").write_text("[nlp]\nlang = 'nowhere'\n")
    with pytest.raises(UserError, match=f"Can't load the pipeline in {tmp_path}"):
        load_reference(tmp_path)
    with pytest.raises(UserError, match="no trained pipeline"):
        load_reference(reference_path / "config.cfg")


def test_a_corpus_is_no_pipeline(tmp_path):
    DocBin().to_disk(tmp_path / "train.spacy")
    with pytest.raises(UserError, match="no trained pipeline"):
        load_reference(tmp_path / "train.spacy")
