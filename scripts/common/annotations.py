"""What a pipeline annotates, as items that two pipelines can be compared by."""

from typing import Any, Callable, Dict, Iterable, Iterator, List, Tuple

from spacy.language import Language
from spacy.tokens import Doc, Token

from .corpora import copy_for_prediction, finds_sentences

Item = Tuple[Any, ...]
CATEGORIES, SENTENCES = "categories", "sentences"
SUM_TOLERANCE = 1e-4
DECISION = 0.5  # A category is assigned from this score on, unless one of all is.


def list_entities(doc: Doc) -> Iterator[Item]:
    for ent in doc.ents:
        yield ent.start, ent.end, ent.label_, ent.kb_id_


def list_spans(doc: Doc) -> Iterator[Item]:
    for key, spans in doc.spans.items():
        for span in spans:
            yield key, span.start, span.end, span.label_


def list_dependencies(doc: Doc) -> Iterator[Item]:
    if doc.has_annotation("DEP"):
        for token in doc:
            yield token.i, token.head.i, token.dep_


def list_sentences(doc: Doc) -> Iterator[Item]:
    for token in doc:
        if token.is_sent_start and token.i:  # The first token always starts one.
            yield (token.i,)


def list_categories(doc: Doc) -> Iterator[Item]:
    """List the label of each category, whether it is assigned, and its score.

    Scores that sum up to 1 are of categories that exclude each other: the best one is assigned.
    """
    best = max(doc.cats, key=doc.cats.get, default=None)
    exclude_each_other = abs(sum(doc.cats.values()) - 1) < SUM_TOLERANCE
    for label, score in doc.cats.items():
        yield label, label == best if exclude_each_other else score >= DECISION, float(score)


def list_tokens(attribute: str, get: Callable[[Token], str]) -> Callable[[Doc], Iterator[Item]]:
    """Make a function that lists a value of each token, if a Doc has the annotation."""

    def list_values(doc: Doc) -> Iterator[Item]:
        if doc.has_annotation(attribute):
            for token in doc:
                yield token.i, get(token)

    return list_values


KINDS: Dict[str, Callable[[Doc], Iterator[Item]]] = {
    "entities": list_entities,
    "spans": list_spans,
    "tags": list_tokens("TAG", lambda token: token.tag_),
    "parts_of_speech": list_tokens("POS", lambda token: token.pos_),
    "morphs": list_tokens("MORPH", lambda token: str(token.morph)),
    "lemmas": list_tokens("LEMMA", lambda token: token.lemma_),
    "dependencies": list_dependencies,
    SENTENCES: list_sentences,
    CATEGORIES: list_categories,
}


def annotate(nlp: Language, docs: Iterable[Doc]) -> List[Dict[str, List[Item]]]:
    """Annotate copies of Docs with a pipeline.

    RETURNS (List[Dict[str, List[Item]]]): Of each Doc, see `collect`. Sentences that it was given are left out.
    """
    found = [collect(doc) for doc in nlp.pipe(copy_for_prediction(doc, nlp) for doc in docs)]
    if not finds_sentences(nlp):
        for of_doc in found:
            of_doc.pop(SENTENCES, None)
    return found


def collect(doc: Doc) -> Dict[str, List[Item]]:
    """List the annotations of a Doc.

    RETURNS (Dict[str, List[Item]]): By kind, its items; kinds without any are left out.
    """
    found = {kind: list(list_items(doc)) for kind, list_items in KINDS.items()}
    return {kind: items for kind, items in found.items() if items}
