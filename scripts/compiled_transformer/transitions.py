"""The transitions of a greedy recognizer: find the entities that they lead to in a few array operations."""

from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy
from spacy.attrs import IS_SPACE, SENT_START
from spacy.pipeline.ner import EntityRecognizer
from spacy.tokens import Doc
from thinc.api import NumpyOps
from thinc.types import Floats1d, Floats2d, Floats4d, Ints1d

LONG_ENTITY = 8  # Tokens, beyond which entities are followed one after the other.
UNSEEN = numpy.finfo("float32").min
INSIDE, BEGIN = 1, 3  # spaCy's ENT_IOB; tokens that were blocked have that of an entity's first one too.

Tokens = Union[slice, Ints1d]


class Entities(List[Tuple[int, int, int]]):
    """The entities of a Doc: first token, end, and the label's number in the StringStore."""

    scores: Floats1d = numpy.zeros(0, dtype="float32")  # The confidence of each, where it was asked for.


class Bounds(NamedTuple):
    """Where the entities of a batch may be.

    is_space (numpy.ndarray): *Shape:* (n_tokens,). Whether a token is white space, which no entity begins with.
    goes_on (numpy.ndarray): *Shape:* (n_tokens,). Whether an entity may go on after a token.
    doc_ends (Ints1d): *Shape:* (n_docs,). Number of tokens of each Doc and all before.
    """

    is_space: "numpy.ndarray"
    goes_on: "numpy.ndarray"
    doc_ends: Ints1d


class Moves:
    """The transitions that a recognizer's scores are for, by their number."""

    def __init__(self, recognizer: EntityRecognizer) -> None:
        system = recognizer.moves
        lower = recognizer.model.get_ref("lower")
        names = [system.get_class_name(number) for number in range(system.n_moves)]
        labels = [recognizer.vocab.strings[name[2:]] if name[2:] else 0 for name in names]
        self.bias = lower.get_param("b")  # (n_moves, n_pieces)
        self.labels = numpy.asarray(labels, dtype="uint64")
        self.is_begin = numpy.asarray([name.startswith("B-") for name in names])
        # The transition "U-" is for tokens that were blocked before.
        self.is_unit = numpy.asarray([name.startswith("U-") and name != "U-" for name in names])
        self.is_outside = numpy.asarray([name == "O" for name in names])
        self.is_unseen = numpy.zeros(len(names), dtype=bool)
        self.is_unseen[list(recognizer.model.attrs["unseen_classes"])] = True
        numbers = {name: number for number, name in enumerate(names)}
        # The numbers of "I-PER" and "L-PER" at that of "B-PER"
        self.inside = numpy.asarray([numbers.get(f"I{name[1:]}", 0) for name in names])
        self.last = numpy.asarray([numbers.get(f"L{name[1:]}", 0) for name in names])
        self._begin = dict(zip(self.labels[self.is_begin].tolist(), numpy.flatnonzero(self.is_begin).tolist()))
        self._unit = dict(zip(self.labels[self.is_unit].tolist(), numpy.flatnonzero(self.is_unit).tolist()))

    def number(self, label: int, is_unit: bool) -> int:
        """Look up the transition at the first token of an entity: "U-" if it is the only one, else "B-"."""
        return (self._unit if is_unit else self._begin)[label]


def find_entities(moves: Moves, features: Floats4d, docs: List[Doc]) -> List[Entities]:
    """Find the entities that spaCy's greedy transitions lead to.

    features (Floats4d): *Shape:* (n_tokens + 1, 3, n_moves, n_pieces). What each token adds to the scores as the next
        token, the first of the open entity, and the one before. The first row is for no token.
    docs (List[Doc]): The Docs of the tokens, without any entities.
    RETURNS (List[Entities]): Of each Doc.
    """
    bounds = find_bounds(docs)
    goes_on = bounds.goes_on
    chosen = score_first(moves, features, bounds).argmax(axis=1)

    starts = numpy.flatnonzero(~moves.is_outside[chosen])
    begins = numpy.flatnonzero(moves.is_begin[chosen[starts]])
    ends = starts + 1
    while len(begins) and ends[begins[0]] - starts[begins[0]] < LONG_ENTITY:
        token = ends[begins]
        ends[begins] += 1
        begins = begins[goes_on[token] & goes_inside(moves, features, chosen[starts[begins]], starts[begins], token)]
    is_long = numpy.zeros(len(starts), dtype=bool)
    is_long[begins] = True
    kept, free = [], 0
    # What starts inside of an earlier entity is none. So each token of a long entity is looked at once here, and not
    # again for each of those that may begin one inside of it.
    for number, (start, end, goes_far) in enumerate(zip(starts.tolist(), ends.tolist(), is_long.tolist())):
        if start >= free:
            free = find_end(moves, features, chosen[start], start, end, goes_on) if goes_far else end
            ends[number] = free
            kept.append(number)
    return split_entities(starts[kept], ends[kept], moves.labels[chosen[starts[kept]]], bounds.doc_ends)


def find_bounds(docs: Sequence[Doc], preset: Optional[Sequence[Ints1d]] = None) -> Bounds:
    """Find out where entities may begin and end: not beyond a sentence or a Doc.

    preset (Optional[Sequence[Ints1d]]): The ENT_IOB of each Doc, if some have entities that were set before; no other
        entity goes on into these.
    """
    is_space, is_start = numpy.concatenate([doc.to_array([IS_SPACE, SENT_START]) for doc in docs]).T == 1
    if preset is not None:
        is_start |= numpy.concatenate(preset) == BEGIN
    doc_ends = numpy.cumsum([len(doc) for doc in docs])
    goes_on = numpy.ones(len(is_space), dtype=bool)
    goes_on[:-1] = ~is_start[1:]
    goes_on[doc_ends[doc_ends > 0] - 1] = False
    return Bounds(is_space, goes_on, doc_ends)


def score_first(moves: Moves, features: Floats4d, bounds: Bounds, tokens: Tokens = slice(None)) -> Floats2d:
    """Score the transitions of tokens where no entity is open.

    tokens (Tokens): Which ones, by default all.
    RETURNS (Floats2d): *Shape:* (n_tokens, n_moves). Minus infinity where a transition is not valid.
    """
    nothing = features[0]
    scores, _ = NumpyOps().maxout(features[1:, 0][tokens] + nothing[1] + nothing[2] + moves.bias)
    scores[:, moves.is_unseen] = UNSEEN
    may_be_unit = ~bounds.is_space[tokens]
    may_begin = bounds.goes_on[tokens] & may_be_unit
    valid = moves.is_outside | (may_begin[:, None] & moves.is_begin) | (may_be_unit[:, None] & moves.is_unit)
    return numpy.where(valid, scores, -numpy.inf)


def goes_inside(moves: Moves, features: Floats4d, begin: Ints1d, first: Ints1d, token: Ints1d) -> "numpy.ndarray":
    """Tell whether open entities go on after their next token: "inside" is at least as good as "last".

    begin (Ints1d): *Shape:* (n,). The transition that began each entity.
    first (Ints1d): *Shape:* (n,). Its first token.
    token (Ints1d): *Shape:* (n,). The next one.
    RETURNS (numpy.ndarray): *Shape:* (n,).
    """
    inside, last = moves.inside[begin], moves.last[begin]
    inside_scores, last_scores = (score_next(moves, features, numbers, first, token) for numbers in (inside, last))
    return (inside_scores > last_scores) | ((inside_scores == last_scores) & (inside < last))


def score_next(moves: Moves, features: Floats4d, numbers: Ints1d, first: Ints1d, token: Ints1d) -> Floats1d:
    """Score one transition each for open entities.

    numbers (Ints1d): *Shape:* (n,). The transitions.
    first (Ints1d): *Shape:* (n,). The first token of each entity.
    token (Ints1d): *Shape:* (n,). Its next one.
    RETURNS (Floats1d): *Shape:* (n,).
    """
    scores = (
        features[token + 1, 0, numbers]
        + features[first + 1, 1, numbers]
        + features[token, 2, numbers]
        + moves.bias[numbers]
    ).max(axis=-1)
    return numpy.where(moves.is_unseen[numbers], UNSEEN, scores)


def find_end(moves: Moves, features: Floats4d, begin: int, first: int, token: int, goes_on: "numpy.ndarray") -> int:
    """Follow one entity to its end, over twice as many tokens each time.

    token (int): The next token.
    goes_on (numpy.ndarray): *Shape:* (n_tokens,). Whether an entity may go on after a token.
    RETURNS (int): The end.
    """
    n_tokens = LONG_ENTITY
    while True:
        tokens = numpy.arange(token, min(token + n_tokens, len(goes_on)))
        same = numpy.full(len(tokens), begin), numpy.full(len(tokens), first)
        is_end = ~(goes_on[tokens] & goes_inside(moves, features, *same, tokens))
        if is_end.any():
            return int(tokens[is_end.argmax()]) + 1
        token += len(tokens)
        n_tokens *= 2


def split_entities(starts: Ints1d, ends: Ints1d, labels: Ints1d, doc_ends: Ints1d) -> List[Entities]:
    """Number the tokens of each Doc from 0.

    starts (Ints1d): *Shape:* (n_entities,). First tokens, numbered through all Docs, ascending.
    ends (Ints1d): *Shape:* (n_entities,). Ends, in the same Doc as the start.
    labels (Ints1d): *Shape:* (n_entities,).
    doc_ends (Ints1d): *Shape:* (n_docs,). Number of tokens of each Doc and all before.
    RETURNS (List[Entities]): Of each Doc.
    """
    entities = [Entities() for _ in doc_ends]
    numbers = numpy.searchsorted(doc_ends, starts, side="right")
    doc_starts = [0, *doc_ends.tolist()]
    for number, start, end, label in zip(numbers.tolist(), starts.tolist(), ends.tolist(), labels.tolist()):
        offset = doc_starts[number]
        entities[number].append((start - offset, end - offset, label))
    return entities
