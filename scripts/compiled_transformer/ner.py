"""The component `greedy_ner`: spaCy's EntityRecognizer with a faster way to the same entities."""

from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple

import numpy
from spacy.attrs import IS_SPACE, SENT_START
from spacy.language import Language
from spacy.pipeline.ner import DEFAULT_NER_MODEL, EntityRecognizer
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc, Span
from spacy.training.batchers import minibatch_by_words
from thinc.api import Model, NumpyOps
from thinc.layers.chain import forward as run_chain
from thinc.layers.concatenate import forward as concatenate
from thinc.types import Floats2d, Floats4d, Ints1d

from .observation import TOKEN_VECTORS, Observer

LONG_ENTITY = 8  # Tokens, beyond which entities are followed one after the other.
TOKENS_AT_ONCE = 4096  # Bounds the wide vectors of the heads in memory.
FACTORY = "greedy_ner"
DEFAULT_CONFIG = {
    "moves": None,
    "update_with_oracle_cut_size": 100,
    "model": DEFAULT_NER_MODEL,
    "incorrect_spans_key": None,
    "scorer": {"@scorers": "spacy.ner_scorer.v1"},
}
DEFAULT_SCORE_WEIGHTS = {"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None}
UNSEEN = numpy.finfo("float32").min


class Entities(List[Tuple[int, int, int]]):
    """The entities of a Doc: first token, end, and the label's number in the StringStore."""


class GreedyEntityRecognizer(EntityRecognizer):
    """spaCy's EntityRecognizer, which finds the entities of a batch in a few array operations.

    spaCy's makes one transition a token, and takes Python's lock after most of them. But with `use_upper = false` the
    scores outside of entities depend on one token alone, and inside on that token, the one before, and the first of
    the entity. So all first tokens are found at once, then all second ones, and so on: as many steps as the longest
    entity has tokens. Features and transitions are those of `_state.pxd` and `ner.pyx` in
    `spacy/pipeline/_parser_internals`, and sums are made in the same order, so scores are equal bit by bit.

    Whatever else spaCy's component does (another model, a beam, entities that are already set, a GPU) is left to it.
    """

    observer = Observer()

    def predict(self, docs: Iterable[Doc]) -> List[Any]:
        """Find the entities of a batch.

        RETURNS (List[Any]): `Entities` of each Doc, or spaCy's own states.
        """
        docs = [docs] if isinstance(docs, Doc) else list(docs)
        if not self.is_greedy or any(len(doc) and doc.has_annotation("ENT_IOB") for doc in docs):
            return super().predict(docs)
        if not any(map(len, docs)):
            return [Entities() for _ in docs]
        with self.observer.stage(TOKEN_VECTORS):
            token_vectors = self.get_token_vectors(docs)
        features = self.model.get_ref("lower").predict(token_vectors)
        return find_entities(Moves(self), features, docs)

    def get_token_vectors(self, docs: List[Doc]) -> Floats2d:
        """Run the model's `tok2vec`, the layers before `lower`.

        Where it concatenates the vectors of several layers before it makes them smaller, this goes piece by piece: thinc
        would copy all of them three times, which takes most of the memory of a very long Doc.
        """
        tok2vec = self.model.get_ref("tok2vec")
        joint, *others = tok2vec.layers
        if joint._func is not concatenate or [layer.name for layer in others] != ["list2array", "linear"]:
            return tok2vec.predict(docs)
        by_layer = [predict_layer_by_layer(layer, docs) for layer in joint.layers]
        pieces = [
            [vectors[start : start + TOKENS_AT_ONCE] for vectors in by_doc]
            for by_doc in zip(*by_layer)
            for start in range(0, len(by_doc[0]), TOKENS_AT_ONCE)
        ]
        batches = minibatch_by_words(pieces, TOKENS_AT_ONCE, get_length=lambda piece: len(piece[0]))
        return numpy.concatenate([others[-1].predict(join_columns(batch)) for batch in batches])

    def set_annotations(self, docs: List[Doc], predicted: List[Any]) -> None:
        """Set `doc.ents` from what `predict` returned."""
        if not all(isinstance(entities, Entities) for entities in predicted):
            super().set_annotations(docs, predicted)
            return
        for doc, entities in zip(docs, predicted):
            doc.set_ents([Span(doc, start, end, label=label) for start, end, label in entities], default="outside")

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate whole batches, where spaCy's parser cuts them into four by length."""
        return TrainablePipe.pipe(self, stream, batch_size=batch_size)

    @property
    def is_greedy(self) -> bool:
        """Whether the scores are those that `find_entities` computes."""
        return (
            self.cfg["beam_width"] == 1
            and not self.model.attrs["has_upper"]
            and self.model.get_ref("lower").get_dim("nF") == 3
            and isinstance(self.model.ops, NumpyOps)
        )


def make_greedy_ner(
    nlp: Language,
    name: str,
    model: Model[List[Doc], Any],
    moves: Optional[Any],
    update_with_oracle_cut_size: int,
    incorrect_spans_key: Optional[str],
    scorer: Optional[Callable],
) -> GreedyEntityRecognizer:
    """Construct a recognizer. The settings are those of spaCy's "ner"."""
    return GreedyEntityRecognizer(
        nlp.vocab,
        model,
        name,
        moves,
        update_with_oracle_cut_size=update_with_oracle_cut_size,
        incorrect_spans_key=incorrect_spans_key,
        scorer=scorer,
    )


def predict_layer_by_layer(model: Model, inputs: Any) -> Any:
    """Predict with a model without the arrays that a `chain` keeps for its gradient until its last layer has run.

    RETURNS (Any): What `model.predict` returns.
    """
    if model._func is not run_chain:
        return model.predict(inputs)
    for layer in model.layers:
        inputs = predict_layer_by_layer(layer, inputs)
    return inputs


def join_columns(pieces: List[List[Floats2d]]) -> Floats2d:
    """Put the vectors of several layers side by side.

    pieces (List[List[Floats2d]]): Runs of tokens, each one array a layer, (n_tokens, width of the layer).
    RETURNS (Floats2d): *Shape:* (tokens of all pieces, width of all layers).
    """
    ends = numpy.cumsum([vectors.shape[1] for vectors in pieces[0]])
    joint = numpy.empty((sum(len(piece[0]) for piece in pieces), ends[-1]), dtype="float32")
    for end, column in zip(ends, zip(*pieces)):
        numpy.concatenate(column, out=joint[:, end - column[0].shape[1] : end])
    return joint


class Moves:
    """The transitions that a recognizer's scores are for, by their number."""

    def __init__(self, recognizer: GreedyEntityRecognizer) -> None:
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


def find_entities(moves: Moves, features: Floats4d, docs: List[Doc]) -> List[Entities]:
    """Find the entities that spaCy's greedy transitions lead to.

    features (Floats4d): *Shape:* (n_tokens + 1, 3, n_moves, n_pieces). What each token adds to the scores as the next
        token, the first of the open entity, and the one before. The first row is for no token.
    docs (List[Doc]): The Docs of the tokens, without any entities.
    RETURNS (List[Entities]): Of each Doc.
    """
    is_space, is_start = numpy.concatenate([doc.to_array([IS_SPACE, SENT_START]) for doc in docs]).T == 1
    doc_ends = numpy.cumsum([len(doc) for doc in docs])
    # An entity ends where a sentence or a Doc does.
    goes_on = numpy.ones(len(is_space), dtype=bool)
    goes_on[:-1] = ~is_start[1:]
    goes_on[doc_ends[doc_ends > 0] - 1] = False

    nothing = features[0]
    scores, _ = NumpyOps().maxout(features[1:, 0] + nothing[1] + nothing[2] + moves.bias)
    scores[:, moves.is_unseen] = UNSEEN
    may_begin, may_be_unit = goes_on & ~is_space, ~is_space
    valid = moves.is_outside | (may_begin[:, None] & moves.is_begin) | (may_be_unit[:, None] & moves.is_unit)
    chosen = numpy.where(valid, scores, -numpy.inf).argmax(axis=1)

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
    return split_entities(starts[kept], ends[kept], moves.labels[chosen[starts[kept]]], doc_ends)


def goes_inside(moves: Moves, features: Floats4d, begin: Ints1d, first: Ints1d, token: Ints1d) -> "numpy.ndarray":
    """Tell whether open entities go on after their next token: "inside" is at least as good as "last".

    begin (Ints1d): *Shape:* (n,). The transition that began each entity.
    first (Ints1d): *Shape:* (n,). Its first token.
    token (Ints1d): *Shape:* (n,). The next one.
    RETURNS (numpy.ndarray): *Shape:* (n,).
    """
    inside, last = moves.inside[begin], moves.last[begin]
    inside_scores, last_scores = (
        numpy.where(
            moves.is_unseen[numbers],
            UNSEEN,
            (
                features[token + 1, 0, numbers]
                + features[first + 1, 1, numbers]
                + features[token, 2, numbers]
                + moves.bias[numbers]
            ).max(axis=-1),
        )
        for numbers in (inside, last)
    )
    return (inside_scores > last_scores) | ((inside_scores == last_scores) & (inside < last))


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
