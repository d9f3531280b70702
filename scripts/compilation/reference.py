"""The trained pipeline: load it, and find out whether its transformer can be compiled."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy_transformers.layers import TransformerListener
from spacy_transformers.pipeline_component import Transformer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..common.console import UserError
from ..common.corpora import choose_evenly
from ..common.pipelines import read_config
from ..compiled_transformer.artefact import TOKENIZER, read_tokenizer
from ..compiled_transformer.component import FACTORY
from ..compiled_transformer.windows import get_windows
from ..compiled_transformer.wordpieces import Wordpieces
from .compilable import Compilable, Listener, Segments, is_listener, read_pooling
from .curated import FACTORY as CURATED
from .curated import CuratedReference, why_not_curated
from .export import get_max_length
from .fast_tokenizers import check_ids, make_fast, refuse
from .huggingface import FACTORY as TOKEN_PIPE
from .huggingface import read_token_pipe, why_no_token_pipe
from .leftovers import join_names
from .own_transformers import find_own_transformers, take_out_transformers
from .shared_transformers import choose_transformer, find_shared_transformers, list_readers
from .token_types import fold_token_types

SPAN_GETTERS = {
    "spacy-transformers.strided_spans.v1": "strided",
    "spacy-transformers.doc_spans.v1": "doc",
    "spacy-transformers.sent_spans.v1": "sent",
}


@dataclass(frozen=True)
class Reference:
    """A trained pipeline of spacy-transformers, see `Compilable`."""

    path: Path
    nlp: Language
    transformer: Transformer
    listeners: Dict[str, List[Listener]]  # by component
    settings: Dict[str, Any]  # of the compiled component: spans, window and stride
    factory = FACTORY

    @cached_property
    def encoder(self) -> PreTrainedModel:
        return fold_token_types(self.transformer.model.transformer, self.transformer.model.tokenizer)

    @cached_property
    def tokenizer(self) -> Optional[PreTrainedTokenizerFast]:
        """The tokenizer, made a fast one."""
        return make_fast(self.transformer.model.tokenizer)

    @property
    def width(self) -> int:
        """Width of a token vector."""
        return self.transformer.model.get_dim("nO")

    @property
    def max_length(self) -> int:
        """Most wordpieces of a window, special tokens included."""
        return get_max_length(self.encoder, self.tokenizer)

    def cut_texts(self, docs: List[Doc]) -> List[str]:
        """Cut Docs into the texts that the encoder sees at once, as the pipeline does, but without overlap.

        docs (List[Doc]): Docs of any length. Where the pipeline reads sentences, those without boundaries are cut by
            length, and so are all of a pipeline that reads whole Docs.
        """
        window = self.settings.get("window", self.max_length // 2)
        texts: List[str] = []
        for doc in docs:
            reads_sentences = self.settings["spans"] == "sent" and doc.has_annotation("SENT_START")
            cuts = get_windows([doc], "sent" if reads_sentences else "strided", window, window)
            texts.extend(doc[start:end].text for start, end in cuts)
        return texts

    def check_pieces(self, docs: List[Doc]) -> None:
        """Check that a tokenizer which was made fast makes the wordpieces of the trained one."""
        check_ids(self.transformer.model.tokenizer, self.tokenizer, self.cut_texts(docs), self.path)

    def cut_windows(self, docs: List[Doc], most: int) -> Wordpieces:
        """Tokenize windows without overlap, spread over all Docs."""
        texts = choose_evenly(self.cut_texts(docs), most)
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_length)["input_ids"]
        lengths, unaligned = numpy.asarray([len(window) for window in ids]), numpy.zeros(0, dtype="int64")
        return Wordpieces(lengths, numpy.concatenate(ids).astype("int64"), unaligned, unaligned)

    def write_segmentation(self, folder: Path) -> Segments:
        """Write the tokenizer, and count the special tokens that it adds."""
        (folder / TOKENIZER).write_text(self.tokenizer.backend_tokenizer.to_str(), encoding="utf8")
        special = read_tokenizer((folder / TOKENIZER).read_bytes()).encode("a").special_tokens_mask
        counts = {"n_prefix": special.index(0), "n_suffix": special[::-1].index(0)}
        # With a slow tokenizer, wordpieces are aligned by their strings, which those of special tokens don't have.
        unaligned = [] if self.transformer.model.tokenizer.is_fast else self.tokenizer.all_special_ids
        return Segments({**counts, "unaligned": unaligned}, [])


def load_reference(path: Path) -> Compilable:
    """Load a trained pipeline and check that its transformer can be compiled.

    path (Path): Folder of the pipeline. It is only read.
    RETURNS (Compilable): The loaded pipeline.
    RAISES (UserError): If it can't be loaded or compiled, with the reason.
    """
    if not (path / "config.cfg").is_file():
        raise UserError(f"There is no trained pipeline in {path}. Train one with `python -m spacy project run train`.")
    factories = [block.get("factory") for block in read_config(path).get("components", {}).values()]
    for factory, missing in ((CURATED, why_not_curated()), (TOKEN_PIPE, why_no_token_pipe())):
        if factory in factories and missing:
            raise UserError(f"The pipeline in {path} has a `{factory}` of {missing}.")
    try:
        nlp = spacy.load(path)
    except Exception as error:  # spaCy passes on whatever a component's own code raises.
        raise UserError(f"Can't load the pipeline in {path}: {error}") from error
    if TOKEN_PIPE in factories:
        return read_token_pipe(path, nlp)
    take_out_transformers(nlp)
    name, readers = find_transformer(nlp, path)
    if nlp.get_pipe_meta(name).factory == CURATED:
        return CuratedReference(path, nlp, nlp.get_pipe(name), readers)
    listeners = find_listeners(nlp, readers, path)
    reference = Reference(path, nlp, nlp.get_pipe(name), listeners, get_span_settings(nlp, name))
    if reference.tokenizer is None:
        raise refuse(path)
    return reference


def find_transformer(nlp: Language, path: Path) -> Tuple[str, List[str]]:
    """Find the transformer component to compile.

    RETURNS (Tuple[str, List[str]]): Its name, and those of the components that listen to it.
    RAISES (UserError): If there is none, or no component that listens to it.
    """
    names, own = find_shared_transformers(nlp), find_own_transformers(nlp)
    if own and not names:
        raise UserError(
            f"The pipeline in {path} has no shared transformer: {join_names(own)} has one of its own inside, which "
            "can't be compiled. Train with a `transformer` component and `spacy-transformers.TransformerListener.v1`."
        )
    if not names:
        raise UserError(
            f"The pipeline in {path} has no transformer among its components ({', '.join(nlp.pipe_names)}). "
            f"Expected a `transformer` of spacy-transformers, or a `{CURATED}` of spacy-curated-transformers."
        )
    name = choose_transformer(nlp, names)
    readers = list_readers(nlp, name, names)
    if not readers:
        why = f" {join_names(own)} has a transformer of its own." if own else ""
        raise UserError(
            f"No component in {path} listens to {name!r}, so a compiled one would change nothing.{why} "
            "Expected a `spacy-transformers.TransformerListener.v1`, or a listener of spacy-curated-transformers, in ner, "
            "tagger, parser or another component."
        )
    return name, readers


def find_listeners(nlp: Language, readers: List[str], path: Path) -> Dict[str, List[Listener]]:
    """Find the layers that read the transformer's output.

    readers (List[str]): Names of the components that listen to it.
    RETURNS (Dict[str, List[Listener]]): By component, the `TransformerListener.v1` layers, made of a listener and a
        pooling.
    RAISES (UserError): If there is one of another form or with a pooling that is not known.
    """
    layers: Dict[str, List[Listener]] = {}
    for name in readers:
        nodes = list(nlp.get_pipe(name).model.walk())
        found = [node for node in nodes if isinstance(node, TransformerListener)]
        inside = [
            node
            for node in nodes
            if node.has_ref("listener") and isinstance(node.get_ref("listener"), TransformerListener)
        ]
        if not len(found) == len(inside) == count_listeners(nlp.config["components"][name]):
            raise UserError(
                f"Component {name!r} in {path} has a transformer listener inside an architecture of its own. "
                "Only `spacy-transformers.TransformerListener.v1` can be compiled."
            )
        for node in inside:
            pooling = read_pooling(node.layers[1].layers[0], name, path)
            layers.setdefault(name, []).append(Listener(node, node.get_ref("listener").upstream_name, pooling))
    return layers


def count_listeners(block: Any) -> int:
    """Count the listeners in a block of a config."""
    if not isinstance(block, dict):
        return 0
    return 1 if is_listener(block) else sum(map(count_listeners, block.values()))


def get_span_settings(nlp: Language, transformer: str) -> Dict[str, Any]:
    """Translate the trained windows to settings of the compiled component."""
    getter = nlp.config["components"][transformer]["model"]["get_spans"]
    name = getter["@span_getters"]
    if name not in SPAN_GETTERS:
        raise UserError(
            f"The transformer cuts Docs with {name!r}, which can't be compiled. Train with one of: {', '.join(SPAN_GETTERS)}."
        )
    settings = {key: getter[key] for key in ("window", "stride") if key in getter}
    return {"spans": SPAN_GETTERS[name], **settings}
