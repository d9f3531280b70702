"""Annotate a document that is too long for one batch: encode overlapping windows as a stream, and find its entities
piece by piece. They are those of the whole document at once:

- The encoder gets the same windows in the same groups, so that every vector is the same to the last bit.
- spaCy's ner reads the tokens from left to right, and where no entity is open it looks at the next token only. So it
  may stop where none is open and start again there, a few tokens earlier if its own layers see a token's neighbours.
"""

from typing import Dict, List, NamedTuple, Tuple

import numpy
from spacy.language import Language
from spacy.ml.models import Tok2VecListener
from spacy.tokens import Doc, Span
from thinc.api import Model

from ..common.corpora import copy_bare
from ..compiled_transformer.component import FACTORY as COMPILED
from ..compiled_transformer.confidence import SPANS_KEY, list_scores, set_scores

MARGIN = 8  # Tokens before the end of a piece, where ner can't begin an entity that would not end.
RECOGNIZERS = ("ner", "greedy_ner")

# thinc's and spaCy's layers, inside ner's own, whose output for a token does not depend on other tokens.
TOKENWISE = {
    "columns",
    "dropout",
    "extract_features",
    "hashembed",
    "ints-getitem",
    "layernorm",
    "linear",
    "list2array",
    "list2ragged",
    "maxout",
    "mish",
    "ragged2list",
    "static_vectors",
    "tok2vec-listener",
}

Entity = Tuple[int, int, int]  # first token, end, label


class Cutting(NamedTuple):
    """How a pipeline takes long documents."""

    transformer: str  # Name of its compiled transformer.
    before: List[str]  # Components before it, which get the whole document.
    context: int  # Tokens on each side that a token's vector in ner depends on.


class CuttingError(ValueError):
    """The long documents of a pipeline can't be cut; the message is the reason."""


def get_cutting(nlp: Language) -> Cutting:
    """Find out whether a pipeline's long documents can be cut so that their entities stay the same.

    RETURNS (Cutting): How they are cut.
    RAISES (CuttingError): If they can't be.
    """
    factories = {name: nlp.get_pipe_meta(name).factory for name in nlp.pipe_names}
    compiled = [name for name, factory in factories.items() if factory == COMPILED]
    if len(compiled) != 1:
        raise CuttingError("the pipeline has no compiled transformer whose windows are known")
    if nlp.get_pipe(compiled[0]).model.attrs.get("remote") is not None:
        raise CuttingError("its vectors come from a service")
    before = list(factories)[: list(factories).index(compiled[0])]
    context = 0
    for name, factory in factories.items():
        if factory not in (("sentencizer",) if name in before else (COMPILED, *RECOGNIZERS, "doc_cleaner")):
            raise CuttingError(f"what its component {name!r} does may depend on the whole document")
        if factory in RECOGNIZERS:
            context = max(context, get_context(name, nlp.get_pipe(name).model.get_ref("tok2vec")))
    return Cutting(compiled[0], before, context)


def get_context(name: str, model: Model) -> int:
    """Find out how many neighbours the vector of a token depends on, beside those that the transformer sees.

    RETURNS (int): Tokens on each side.
    RAISES (CuttingError): If that is not known.
    """
    context = 0
    leaves = [node for node in model.walk() if not node.layers]
    for node in leaves:
        if node.name == "expand_window":
            context += node.attrs["window_size"]
        elif node.name not in TOKENWISE:
            raise CuttingError(f"the layer {node.name!r} of its component {name!r} may see the whole document")
    if not any(isinstance(node, Tok2VecListener) for node in leaves):
        raise CuttingError(f"its component {name!r} does not listen to the compiled transformer")
    return context


def annotate_long(nlp: Language, doc: Doc, cutting: Cutting) -> Doc:
    """Set the entities of a long document.

    nlp (Language): The pipeline.
    doc (Doc): Words and spaces, without entities.
    cutting (Cutting): How it is cut.
    RETURNS (Doc): The Doc with its entities, and their scores where the pipeline sets them, without token vectors.
    """
    for name in cutting.before:
        doc = nlp.get_pipe(name)(doc)
    entities: List[Entity] = []
    scores: Dict[Entity, float] = {}
    start = seam = 0  # Of the vectors that are kept; the end of what is annotated.
    kept = numpy.zeros((0, 0), dtype="float32")
    for vectors in nlp.get_pipe(cutting.transformer).stream(doc):
        kept = numpy.concatenate((kept, vectors)) if len(kept) else vectors
        end = start + len(kept)
        part = copy_bare(doc[start:end])
        part.tensor = kept
        # Tokens before the seam are there for their neighbours' sake.
        part.set_ents([], blocked=[part[: seam - start]], default="missing")
        part = next(nlp.pipe([part], disable=[cutting.transformer, *cutting.before]))
        found = [(entity.start + start, entity.end + start, entity.label) for entity in part.ents]
        seam = end if end == len(doc) else find_seam(found, seam, end - MARGIN - cutting.context)
        entities.extend(entity for entity in found if entity[1] <= seam)
        scores.update(((first + start, last + start, label), score) for first, last, label, score in list_scores(part))
        kept = kept[max(0, seam - cutting.context - start) :]
        start = end - len(kept)
    doc.ents = [Span(doc, first, last, label=label) for first, last, label in entities]
    if SPANS_KEY in part.spans:
        scored = [entity for entity in entities if entity in scores]
        spans = [Span(doc, first, last, label=label) for first, last, label in scored]
        set_scores(doc, spans, numpy.asarray([scores[entity] for entity in scored], dtype="float32"))
    return doc


def find_seam(entities: List[Entity], first: int, last: int) -> int:
    """Find the last token up to `last` before which no entity is open; `first` if there is none."""
    for start, end, _ in reversed(entities):
        if start < last < end:
            return max(first, start)
    return max(first, last)
