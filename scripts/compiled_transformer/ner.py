"""The component `greedy_ner`: spaCy's EntityRecognizer with a faster way to the same entities."""

from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Optional, Tuple

import numpy
from spacy.attrs import ENT_IOB
from spacy.language import Language
from spacy.pipeline.ner import DEFAULT_NER_MODEL, EntityRecognizer
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc, Span
from spacy.training.batchers import minibatch_by_words
from thinc.api import Model, NumpyOps
from thinc.layers.chain import forward as run_chain
from thinc.layers.concatenate import forward as concatenate
from thinc.types import Floats2d, Floats4d, Ints1d

from .confidence import Evidence, collect_evidence, find_new, set_confidence, set_scores
from .observation import TOKEN_VECTORS, Observer
from .token_shapes import FoldedFeatures, find_layers
from .transitions import Entities, Moves, find_entities

TOKENS_AT_ONCE = 4096  # Bounds the wide vectors of the heads in memory.
FACTORY = "greedy_ner"
DEFAULT_CONFIG = {
    "moves": None,
    "update_with_oracle_cut_size": 100,
    "model": DEFAULT_NER_MODEL,
    "incorrect_spans_key": None,
    "scores": False,
    "scorer": {"@scorers": "spacy.ner_scorer.v1"},
}
TEMPERATURE = "temperature"  # In the component's `cfg`, which is saved with its weights.
NO_SCORES = (
    "The component {name!r} can't say how sure it is of its entities: that takes a model with `use_upper = false`, and no "
    "beam, on the CPU. Load the pipeline without its setting `scores`."
)
DEFAULT_SCORE_WEIGHTS = {"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None}


class Prepared(NamedTuple):
    """What a recognizer derives from its weights."""

    key: Tuple  # Other weights have another.
    moves: Moves
    folded: Optional[FoldedFeatures]  # None where the model has other layers than those of the project's config


class GreedyEntityRecognizer(EntityRecognizer):
    """spaCy's EntityRecognizer, which finds the entities of a batch in a few array operations.

    spaCy's makes one transition a token, and takes Python's lock after most of them. But with `use_upper = false` the
    scores outside of entities depend on one token alone, and inside on that token, the one before, and the first of
    the entity. So all first tokens are found at once, then all second ones, and so on: as many steps as the longest
    entity has tokens. Features and transitions are those of `_state.pxd` and `ner.pyx` in
    `spacy/pipeline/_parser_internals`, and sums are made in the same order, so scores are equal bit by bit, but
    for the rounding of `token_shapes.py`.

    Whatever else spaCy's component does (another model, a beam, entities that are already set, a GPU) is left to it.

    With the setting `scores` it says how sure it is of each entity, see `confidence.py`.
    """

    observer = Observer()
    scores = False
    _prepared: Optional[Prepared] = None

    def predict(self, docs: Iterable[Doc]) -> List[Any]:
        """Find the entities of a batch.

        RETURNS (List[Any]): `Entities` of each Doc, or spaCy's own states.
        RAISES (ValueError): If their scores are asked for, and the model has none.
        """
        docs = [docs] if isinstance(docs, Doc) else list(docs)
        if self.scores and not self.is_greedy:
            raise ValueError(NO_SCORES.format(name=self.name))
        if not self.is_greedy or any(len(doc) and doc.has_annotation("ENT_IOB") for doc in docs):
            return super().predict(docs)
        if not any(map(len, docs)):
            return [Entities() for _ in docs]
        prepared = self.prepare()
        moves, features = prepared.moves, self.get_features(docs, prepared)
        entities = find_entities(moves, features, docs)
        if self.scores:
            set_confidence(entities, collect_evidence(moves, features, docs, entities), self.temperature)
        return entities

    def prepare(self) -> Prepared:
        """Derive from the weights what every batch needs, again when they change: each step of a training changes the biases."""
        lower = self.model.get_ref("lower")
        key = lower.get_param("b").tobytes(), self.moves.n_moves, frozenset(self.model.attrs["unseen_classes"])
        if self._prepared is None or self._prepared.key != key:
            layers = find_layers(self.model.get_ref("tok2vec"))
            self._prepared = Prepared(key, Moves(self), None if layers is None else FoldedFeatures(layers, lower))
        return self._prepared

    def get_features(self, docs: List[Doc], prepared: Prepared) -> Floats4d:
        """Compute what each token adds to the scores of transitions, see `find_entities`."""
        with self.observer.stage(TOKEN_VECTORS):
            if prepared.folded is not None:
                return prepared.folded(docs)
            token_vectors = self.get_token_vectors(docs)
        return self.model.get_ref("lower").predict(token_vectors)

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
            preset = [doc.to_array(ENT_IOB) for doc in docs] if self.scores else None
            super().set_annotations(docs, predicted)
            if preset is not None:
                self.score_found(docs, preset)
            return
        for doc, entities in zip(docs, predicted):
            spans = make_spans(doc, entities)
            doc.set_ents(spans, default="outside")
            if self.scores:
                set_scores(doc, spans, entities.scores)

    def score_found(self, docs: List[Doc], preset: List[Ints1d]) -> None:
        """Set the scores of entities that were found beside others which had been set before.

        preset (List[Ints1d]): The ENT_IOB of each Doc before.
        """
        entities = [find_new(doc, before) for doc, before in zip(docs, preset)]
        set_confidence(entities, self.collect_evidence(docs, entities, preset), self.temperature)
        for doc, found in zip(docs, entities):
            set_scores(doc, make_spans(doc, found), found.scores)

    def collect_evidence(
        self, docs: List[Doc], entities: List[Entities], preset: Optional[List[Ints1d]] = None
    ) -> Evidence:
        """Look up the scores of the transitions that made entities, see `confidence.py`."""
        prepared = self.prepare()
        return collect_evidence(prepared.moves, self.get_features(docs, prepared), docs, entities, preset)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate whole batches, where spaCy's parser cuts them into four by length."""
        return TrainablePipe.pipe(self, stream, batch_size=batch_size)

    @property
    def temperature(self) -> float:
        """What the scores of transitions are divided by, so that confidence is calibrated."""
        return self.cfg.get(TEMPERATURE, 1.0)

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
    scores: bool,
    scorer: Optional[Callable],
) -> GreedyEntityRecognizer:
    """Construct a recognizer. The settings are those of spaCy's "ner", and one more.

    scores (bool): Put the entities into `doc.spans["ner"]` too, with the confidence of each in its `attrs["scores"]`.
    """
    recognizer = GreedyEntityRecognizer(
        nlp.vocab,
        model,
        name,
        moves,
        update_with_oracle_cut_size=update_with_oracle_cut_size,
        incorrect_spans_key=incorrect_spans_key,
        scorer=scorer,
    )
    recognizer.scores = scores
    return recognizer


def make_spans(doc: Doc, entities: Entities) -> List[Span]:
    """Make spans of a Doc's entities."""
    return [Span(doc, start, end, label=label) for start, end, label in entities]


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
