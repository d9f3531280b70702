"""How sure a greedy recognizer is of its entities: the probabilities of the transitions that made them."""

from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from spacy.tokens import Doc, Span, SpanGroup
from thinc.types import Floats1d, Floats2d, Floats4d, Ints1d

from .transitions import BEGIN, INSIDE, Entities, Moves, find_bounds, score_first, score_next

SPANS_KEY = "ner"  # In `doc.spans`
SCORES = "scores"  # In a SpanGroup's `attrs`, as spaCy's spancat has it.


class Evidence(NamedTuple):
    """The scores of the transitions that made entities, and of those that were possible instead.

    first (Floats2d): *Shape:* (n_entities, n_moves). At the first token, minus infinity where a transition is not valid.
    chosen (Ints1d): *Shape:* (n_entities,). The transition that was made there.
    margins (Floats1d): *Shape:* (n_others,). At each other token: by how much the transition that was made is better than
        the other one (an open entity goes on, or ends); infinity where that one is not valid.
    owners (Ints1d): *Shape:* (n_others,). The entity of each margin.
    """

    first: Floats2d
    chosen: Ints1d
    margins: Floats1d
    owners: Ints1d

    def get_probabilities(self, temperature: float) -> Floats1d:
        """Multiply the probabilities of each entity's transitions.

        temperature (float): Divides the scores before the softmax.
        RETURNS (Floats1d): *Shape:* (n_entities,).
        """
        first = self.first.astype("float64") / temperature
        logs = first[numpy.arange(len(first)), self.chosen] - numpy.logaddexp.reduce(first, axis=1)
        others = -numpy.logaddexp(0.0, -self.margins.astype("float64") / temperature)
        return numpy.exp(logs + numpy.bincount(self.owners, others, minlength=len(logs)))


def collect_evidence(
    moves: Moves,
    features: Floats4d,
    docs: Sequence[Doc],
    entities: Sequence[Entities],
    preset: Optional[Sequence[Ints1d]] = None,
) -> Evidence:
    """Look up the scores of the transitions that made entities.

    features (Floats4d): See `find_entities`.
    entities (Sequence[Entities]): The entities of each Doc.
    preset (Optional[Sequence[Ints1d]]): See `find_bounds`.
    RETURNS (Evidence): Of the entities of all Docs, in their order.
    """
    bounds = find_bounds(docs, preset)
    offsets = [0, *bounds.doc_ends.tolist()]
    rows = [
        (start + offset, end + offset, moves.number(label, is_unit=end - start == 1))
        for offset, found in zip(offsets, entities)
        for start, end, label in found
    ]
    starts, ends, chosen = numpy.asarray(rows, dtype="int64").reshape(-1, 3).T
    n_others = ends - starts - 1
    owners = numpy.repeat(numpy.arange(len(rows)), n_others)
    firsts, lasts, begin = starts[owners], ends[owners] - 1, chosen[owners]
    nth = numpy.arange(len(owners)) - numpy.repeat(numpy.cumsum(n_others) - n_others, n_others)
    tokens = firsts + 1 + nth
    inside = score_next(moves, features, moves.inside[begin], firsts, tokens)
    last = score_next(moves, features, moves.last[begin], firsts, tokens)
    is_last = tokens == lasts
    margins = numpy.where(is_last, last - inside, inside - last)
    # Where an entity can't go on, it must end.
    margins[is_last & ~bounds.goes_on[tokens]] = numpy.inf
    return Evidence(score_first(moves, features, bounds, starts), chosen, margins, owners)


def find_new(doc: Doc, preset: Ints1d) -> Entities:
    """List the entities of a Doc that had not been set before.

    preset (Ints1d): *Shape:* (n_tokens,). Its ENT_IOB before.
    """
    return Entities((ent.start, ent.end, ent.label) for ent in doc.ents if preset[ent.start] not in (INSIDE, BEGIN))


def set_confidence(entities: Sequence[Entities], evidence: Evidence, temperature: float) -> None:
    """Score the entities of each Doc.

    evidence (Evidence): Of the entities of all Docs, in their order.
    temperature (float): See `Evidence`.
    """
    scores = evidence.get_probabilities(temperature).astype("float32")
    ends = numpy.cumsum([len(found) for found in entities])
    for found, own in zip(entities, numpy.split(scores, ends[:-1])):
        found.scores = own


def set_scores(doc: Doc, spans: Sequence[Span], scores: Floats1d) -> None:
    """Put entities and their scores into `doc.spans`, after those of another recognizer if there are some.

    scores (Floats1d): *Shape:* (n_spans,).
    """
    if SPANS_KEY in doc.spans:
        spans = [*doc.spans[SPANS_KEY], *spans]
        scores = numpy.concatenate((doc.spans[SPANS_KEY].attrs[SCORES], scores))
    doc.spans[SPANS_KEY] = SpanGroup(doc, name=SPANS_KEY, spans=spans, attrs={SCORES: scores})


def list_scores(doc: Doc) -> Iterator[Tuple[int, int, int, float]]:
    """List what `set_scores` put into a Doc.

    YIELDS (Tuple[int, int, int, float]): First token, end and label of an entity, and its score.
    """
    spans = doc.spans.get(SPANS_KEY)
    if spans is not None:
        for span, score in zip(spans, spans.attrs[SCORES]):
            yield span.start, span.end, span.label, float(score)


def read_scores(doc: Doc) -> List[Optional[float]]:
    """Read the confidence of each of `doc.ents`, for people: to four digits.

    RETURNS (List[Optional[float]]): None for an entity that the recognizer did not find.
    """
    scores = {(start, end, label): round(score, 4) for start, end, label, score in list_scores(doc)}
    return [scores.get((ent.start, ent.end, ent.label)) for ent in doc.ents]
