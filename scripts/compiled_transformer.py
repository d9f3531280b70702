"""The compiled transformer: a tok2vec component that runs an exported encoder without torch.

This is the only file that ships inside the packaged pipeline (`spacy package --code`), so it imports
third-party packages only: spaCy, thinc, numpy, tokenizers, and one engine (onnxruntime or openvino) when
an artefact needs it.

The way of a batch: Docs -> windows of tokens -> wordpieces -> micro-batches of windows of similar length
-> engine -> mean over all wordpieces aligned to a token -> one (n_tokens, width) array a Doc in `doc.tensor`,
where spaCy's own `Tok2VecListener` layers find it.

`GreedyEntityRecognizer` is spaCy's `EntityRecognizer` with a faster way to the same entities.
"""

import hashlib
import http.client
import json
import math
import os
import threading
import time
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple
from urllib.parse import urlsplit

import numpy
import srsly
from spacy import util
from spacy.attrs import IDX, IS_SPACE, LENGTH, SENT_START
from spacy.language import Language
from spacy.pipeline.ner import DEFAULT_NER_MODEL, EntityRecognizer
from spacy.pipeline.tok2vec import Tok2Vec
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc, Span
from spacy.training.batchers import minibatch_by_words
from spacy.util import registry
from spacy.vocab import Vocab
from thinc.api import Model, NumpyOps
from thinc.layers.chain import forward as run_chain
from thinc.layers.concatenate import forward as concatenate
from thinc.shims import Shim
from thinc.types import Floats2d, Floats3d, Floats4d, Ints1d, Ints2d
from tokenizers import Tokenizer

Engine = Callable[[Ints2d, Ints2d], Floats3d]

MANIFEST = "engine.json"
TOKENIZER = "tokenizer.json"
PORTABLE = "portable-"  # Prefix of the files of a second artefact that runs on any CPU.
SPANS = ("strided", "doc", "sent")
DEVICES = ("cpu", "cuda")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
LENGTH_STEP = 16  # Wordpieces; see `get_micro_batches`.
WINDOWS_AT_ONCE = 1024  # Bounds the wordpieces in memory, however long a Doc is.
TOKENS_AT_ONCE = 4096  # Bounds the wide vectors of the heads in memory.
NO_TRAINING = (
    "A compiled transformer can't be trained: it has no gradients. Train the pipeline it was made from and compile "
    "that again, or list the component in both `frozen_components` and `annotating_components`."
)

DEFAULT_CONFIG = {
    "model": {"@architectures": "compiled-transformers.CompiledTransformer.v1"},
    "spans": "strided",
    "window": 128,
    "stride": 96,
    "batch_wordpieces": 2048,
    "threads": None,
    "warm_up_lengths": [],
    "device": "cpu",
    "remote": None,
}


# Component


@Language.factory("compiled_transformer", assigns=["doc.tensor"], default_config=DEFAULT_CONFIG)
def make_compiled_transformer(
    nlp: Language,
    name: str,
    model: Model[List[Doc], List[Floats2d]],
    spans: str,
    window: int,
    stride: int,
    batch_wordpieces: int,
    threads: Optional[int],
    warm_up_lengths: List[int],
    device: str,
    remote: Optional[str],
) -> "CompiledTransformer":
    """Construct a compiled transformer; the encoder itself comes from disk or bytes.

    model (Model[List[Doc], List[Floats2d]]): The compiled-transformers.CompiledTransformer.v1 architecture.
    spans (str): What the encoder sees at once: "strided" windows of tokens, a whole "doc" or a "sent".
    window (int): Tokens in a strided window.
    stride (int): Tokens from the start of one strided window to the next; less than `window` overlaps.
    batch_wordpieces (int): Budget of a micro-batch, padding included. It bounds the memory, whatever
        the length of the Docs.
    threads (Optional[int]): Threads of the engine. None takes all cores this process may use. With 1, `nlp.pipe` uses no
        other thread either.
    warm_up_lengths (List[int]): Lengths of a window, in wordpieces, that the engine is ready for once the pipeline is
        loaded, multiples of 16. With OpenVINO a text of one window has an engine of its own for each, which is faster,
        and takes time and memory to start.
    device (str): "cpu" or "cuda".
    remote (Optional[str]): URL of a service that encodes in this one's stead (`scripts.serve --encoder-only`), such as
        "http://127.0.0.1:8000". Then no engine runs here, and only the manifest is read.
    """
    settings = {
        "spans": spans,
        "window": window,
        "stride": stride,
        "batch_wordpieces": batch_wordpieces,
        "threads": threads,
        "warm_up_lengths": warm_up_lengths,
        "device": device,
        "remote": remote,
    }
    check_settings(settings)
    model.attrs.update(settings)
    return CompiledTransformer(nlp.vocab, model, name)


def check_settings(settings: Dict[str, Any]) -> None:
    """RAISES (ValueError): With the setting, its value and what is allowed."""
    for name, allowed in (("spans", SPANS), ("device", DEVICES)):
        if settings[name] not in allowed:
            raise ValueError(
                f"Setting {name!r} of the compiled transformer is {settings[name]!r}. "
                f"Choose one of: {', '.join(allowed)}."
            )
    for name in ("window", "stride", "batch_wordpieces", "threads"):
        value = settings[name]
        if (value is not None or name != "threads") and (not isinstance(value, int) or value < 1):
            raise ValueError(
                f"Setting {name!r} of the compiled transformer is {value!r}. Set a whole number from 1 up."
            )
    for length in settings["warm_up_lengths"]:
        if length < 1 or length % LENGTH_STEP:
            raise ValueError(
                f"Setting 'warm_up_lengths' of the compiled transformer has {length!r}. "
                f"Set multiples of {LENGTH_STEP}, to which windows are padded."
            )
    if settings["remote"] is not None and not is_url(settings["remote"]):
        raise ValueError(
            f"Setting 'remote' of the compiled transformer is {settings['remote']!r}. "
            "Set the URL of an encoder service, such as http://127.0.0.1:8000, or None."
        )
    if settings["stride"] > settings["window"]:
        raise ValueError(
            f"Setting 'stride' ({settings['stride']}) of the compiled transformer is larger than "
            f"'window' ({settings['window']}), which would skip tokens. Set at most the window."
        )


class CompiledTransformer(Tok2Vec):
    """Set `doc.tensor` to token vectors from a compiled encoder, for Tok2VecListener layers downstream."""

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "transformer",
    ) -> None:
        super().__init__(vocab, model, name)

    @property
    def encoder(self) -> "CompiledEncoder":
        """RETURNS (CompiledEncoder): The artefact: tokenizer, engine and manifest."""
        return self.model.shims[0]

    @property
    def is_trainable(self) -> bool:
        return False

    @property
    def has_one_thread(self) -> bool:
        """RETURNS (bool): Whether encoding and everything else share one core, where a second thread is in the way."""
        settings = self.model.attrs
        is_local = settings["device"] == "cpu" and settings["remote"] is None
        return is_local and get_threads(settings) == 1

    def initialize(self, get_examples, *, nlp=None, labels=None) -> None:
        """Nothing to do: the weights were trained before they were compiled."""

    def update(self, examples, *, drop=0.0, sgd=None, losses=None):
        """RAISES (ValueError): Always; a compiled encoder has no gradients."""
        raise ValueError(NO_TRAINING)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Encode the next batch while the components downstream work on this one, unless all have one thread together.

        stream (Iterable[Doc]): The Docs.
        batch_size (int): Docs of a batch.
        YIELDS (Doc): The Docs in order.
        """
        if self.has_one_thread:
            yield from super().pipe(stream, batch_size=batch_size)
            return
        with ThreadPoolExecutor(1) as executor:
            running: Deque[Tuple[List[Doc], Future]] = deque()
            for batch in util.minibatch(stream, size=batch_size):
                running.append((batch, executor.submit(self.predict, batch)))
                if len(running) > 1:
                    yield from self._finish(*running.popleft())
            while running:
                yield from self._finish(*running.popleft())

    def _finish(self, docs: List[Doc], vectors: Future) -> List[Doc]:
        """RETURNS (List[Doc]): The annotated Docs; none if encoding failed and the error handler went on."""
        try:
            self.set_annotations(docs, vectors.result())
            return docs
        except Exception as error:
            self.get_error_handler()(self.name, self, docs, error)
            return []

    def to_disk(self, path, *, exclude: Iterable[str] = tuple()) -> None:
        """Write the encoder's files to a folder.

        path (str / Path): The component's folder.
        exclude (Iterable[str]): Names of files to leave out.
        """
        folder = util.ensure_path(path)
        files = self.encoder.read_files()
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            if name not in exclude:
                (folder / name).write_bytes(data)

    def from_disk(self, path, *, exclude: Iterable[str] = tuple()) -> "CompiledTransformer":
        """Use the encoder in a folder.

        path (str / Path): The component's folder.
        RETURNS (CompiledTransformer): The component.
        """
        self.encoder.from_disk(util.ensure_path(path), manifest_only=self.model.attrs["remote"] is not None)
        return self._use_encoder()

    def _use_encoder(self) -> "CompiledTransformer":
        """RETURNS (CompiledTransformer): The component, ready to run the encoder that was loaded."""
        self.model.set_dim("nO", self.encoder.manifest["width"], force=True)
        if self.model.attrs["remote"] is None:
            self.encoder.warm_up(self.model.attrs)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = tuple()) -> bytes:
        """RETURNS (bytes): The encoder's files as msgpack."""
        files = self.encoder.read_files()
        return srsly.msgpack_dumps({name: data for name, data in files.items() if name not in exclude})

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = tuple()) -> "CompiledTransformer":
        """RETURNS (CompiledTransformer): The component, with the encoder from `to_bytes`."""
        self.encoder.from_bytes(bytes_data, manifest_only=self.model.attrs["remote"] is not None)
        return self._use_encoder()


# Entities

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

    def predict(self, docs: Iterable[Doc]) -> List[Any]:
        """RETURNS (List[Any]): `Entities` of each Doc, or spaCy's own states."""
        docs = [docs] if isinstance(docs, Doc) else list(docs)
        if not self.is_greedy or any(len(doc) and doc.has_annotation("ENT_IOB") for doc in docs):
            return super().predict(docs)
        if not any(map(len, docs)):
            return [Entities() for _ in docs]
        features = self.model.get_ref("lower").predict(self.get_token_vectors(docs))
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
        """RETURNS (bool): Whether the scores are those that `find_entities` computes."""
        return (
            self.cfg["beam_width"] == 1
            and not self.model.attrs["has_upper"]
            and self.model.get_ref("lower").get_dim("nF") == 3
            and isinstance(self.model.ops, NumpyOps)
        )


@Language.factory(
    "greedy_ner",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config={
        "moves": None,
        "update_with_oracle_cut_size": 100,
        "model": DEFAULT_NER_MODEL,
        "incorrect_spans_key": None,
        "scorer": {"@scorers": "spacy.ner_scorer.v1"},
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
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
    while len(begins):
        ends[begins] += 1
        first, token = starts[begins], ends[begins] - 1
        # An entity is as long as the transition "inside" is valid and at least as good as "last".
        inside, last = moves.inside[chosen[first]], moves.last[chosen[first]]
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
        is_inside = (inside_scores > last_scores) | ((inside_scores == last_scores) & (inside < last))
        begins = begins[goes_on[token] & is_inside]
    return split_entities(starts, ends, moves.labels[chosen[starts]], doc_ends)


def split_entities(starts: Ints1d, ends: Ints1d, labels: Ints1d, doc_ends: Ints1d) -> List[Entities]:
    """Leave out what starts inside of an earlier entity, and number the tokens of each Doc from 0.

    starts (Ints1d): *Shape:* (n_entities,). First tokens, numbered through all Docs, ascending.
    ends (Ints1d): *Shape:* (n_entities,). Ends, in the same Doc as the start.
    labels (Ints1d): *Shape:* (n_entities,).
    doc_ends (Ints1d): *Shape:* (n_docs,). Number of tokens of each Doc and all before.
    RETURNS (List[Entities]): Of each Doc.
    """
    entities = [Entities() for _ in doc_ends]
    numbers = numpy.searchsorted(doc_ends, starts, side="right")
    doc_starts = [0, *doc_ends.tolist()]
    free = 0
    for number, start, end, label in zip(numbers.tolist(), starts.tolist(), ends.tolist(), labels.tolist()):
        if start >= free:
            offset = doc_starts[number]
            entities[number].append((start - offset, end - offset, label))
            free = end
    return entities


# Model


@registry.architectures("compiled-transformers.CompiledTransformer.v1")
def build_compiled_transformer() -> Model[List[Doc], List[Floats2d]]:
    """Build the model around an encoder that is still to be loaded.

    RETURNS (Model[List[Doc], List[Floats2d]]): Docs to token vectors, one `(n_tokens, width)` array a Doc.
    """
    return Model("compiled_transformer", forward, shims=[CompiledEncoder()], dims={"nO": None})


def forward(
    model: Model[List[Doc], List[Floats2d]], docs: List[Doc], is_train: bool
) -> Tuple[List[Floats2d], Callable]:
    """Encode a batch of Docs.

    A token's vector is the mean over all wordpieces aligned to it, from every window that covers it, as in
    spacy-transformers (`layers/trfs2arrays.py` with `reduce_mean.v1`); a token without any gets zeros.
    """
    if is_train:
        raise ValueError(NO_TRAINING)
    encoder: CompiledEncoder = model.shims[0]
    encoder.check_loaded()
    if model.attrs["remote"] is not None:
        vectors = encoder.get_remote(model.attrs).encode(docs, model.attrs["batch_wordpieces"])
        return [model.ops.asarray2f(array) for array in vectors], no_backprop
    tokens = get_tokens(docs)
    windows = get_windows(docs, model.attrs["spans"], model.attrs["window"], model.attrs["stride"])
    # Padding and special tokens are added to one more row than there are tokens.
    sums = numpy.zeros((len(tokens.starts) + 1, model.get_dim("nO")), dtype="float32")
    counts = numpy.zeros(len(sums), dtype="int64")
    for group in util.minibatch(windows, WINDOWS_AT_ONCE):
        add_windows(sums, counts, encoder, tokens, group, model.attrs)
    return split_by_doc(model.ops, docs, sums, counts), no_backprop


def add_windows(
    sums: Floats2d,
    counts: Ints1d,
    encoder: "CompiledEncoder",
    tokens: "Tokens",
    windows: List[Tuple[int, int]],
    settings: Dict[str, Any],
    first: int = 0,
) -> None:
    """Encode windows, and add the vectors of their wordpieces to those of their tokens.

    sums (Floats2d): *Shape:* (n_tokens + 1, width). The last row is for padding and special tokens.
    counts (Ints1d): *Shape:* (n_tokens + 1,). Wordpieces that were added.
    tokens (Tokens): All tokens of the batch.
    windows (List[Tuple[int, int]]): First token and end of each.
    settings (Dict[str, Any]): The component's.
    first (int): The token that the first row is for.
    """
    wordpieces = encoder.get_wordpieces(tokens, windows)
    # Special tokens have -1, and stay below 0.
    wordpieces = wordpieces._replace(first=wordpieces.first - first, last=wordpieces.last - first)
    budget = get_budget(wordpieces, settings)
    batches = get_micro_batches(wordpieces.lengths, budget, recurs=budget == settings["batch_wordpieces"])
    padded = [pad(wordpieces, batch, length, encoder.manifest, len(sums) - 1) for batch, length in batches]
    for micro_batch, vectors in zip(padded, encoder.predict(padded, settings)):
        add_to_tokens(sums, counts, micro_batch, vectors)


def no_backprop(d_vectors: List[Floats2d]) -> List[Doc]:
    raise ValueError(NO_TRAINING)


# Docs to windows


class Tokens(NamedTuple):
    """The tokens of a batch, numbered through all its Docs, and where they are in the joined text."""

    text: str
    starts: Ints1d  # (n_tokens,), characters, ascending
    ends: Ints1d  # (n_tokens,), characters


def get_tokens(docs: List[Doc]) -> Tokens:
    """RETURNS (Tokens): The tokens of all Docs and their joined text."""
    texts, spans, offset = [], [], 0
    for doc in docs:
        if len(doc):
            texts.append(doc.text)
            spans.append(doc.to_array([IDX, LENGTH]).astype("int64"))
            spans[-1][:, 0] += offset
            offset += len(texts[-1]) + 1
    starts, lengths = numpy.concatenate(spans).T
    return Tokens(" ".join(texts), numpy.ascontiguousarray(starts), starts + lengths)


def get_windows(docs: List[Doc], spans: str, window: int, stride: int) -> List[Tuple[int, int]]:
    """Cut Docs into what the encoder sees at once, as spacy-transformers' span getters do (`span_getters.py`).

    RETURNS (List[Tuple[int, int]]): First token and end of each window, numbered through the batch.
    """
    windows = []
    offset = 0
    for doc in docs:
        if spans == "sent":
            cuts = [(sent.start, sent.end) for sent in doc.sents]
        elif spans == "doc":
            cuts = [(0, len(doc))] if len(doc) else []
        else:
            cuts = get_strided_windows(len(doc), window, stride)
        windows.extend((start + offset, end + offset) for start, end in cuts)
        offset += len(doc)
    return windows


def get_strided_windows(n_tokens: int, window: int, stride: int) -> Iterator[Tuple[int, int]]:
    """YIELDS (Tuple[int, int]): Start and end of windows that overlap by `window - stride` tokens."""
    start = 0
    while start < n_tokens:
        yield start, min(start + window, n_tokens)
        if start + window >= n_tokens:
            break
        start += stride


# Windows to wordpieces


class Wordpieces(NamedTuple):
    """The wordpieces of several windows, one after the other.

    A wordpiece is aligned to all tokens from `first` to `last`, mostly one; special tokens have -1 for both.
    """

    lengths: Ints1d  # (n_windows,)
    ids: Ints1d  # (n_wordpieces,)
    first: Ints1d  # (n_wordpieces,)
    last: Ints1d  # (n_wordpieces,)


def align(tokens: Tokens, starts: Ints1d, ends: Ints1d) -> Tuple[Ints1d, Ints1d]:
    """Find the tokens that a wordpiece touches, as spacy-transformers' `align.pyx` does.

    A character belongs to the last token that starts at or before it, so the space after a token is the token's.

    starts (Ints1d): *Shape:* (n_wordpieces,). First character of each wordpiece in `tokens.text`.
    ends (Ints1d): *Shape:* (n_wordpieces,). End of each wordpiece; the start again if it covers no text.
    RETURNS (Tuple[Ints1d, Ints1d]): First and last token of each wordpiece, -1 for one that covers no text.
    """
    first = numpy.searchsorted(tokens.starts, starts, side="right") - 1
    last = numpy.searchsorted(tokens.starts, ends - 1, side="right") - 1
    is_empty = ends <= starts
    first[is_empty] = -1
    last[is_empty] = -1
    return first, last


def split_long_windows(wordpieces: Wordpieces, max_length: int, n_prefix: int, n_suffix: int) -> Wordpieces:
    """Split windows with more wordpieces than the encoder has positions, where the reference truncates them.

    max_length (int): Positions of the encoder.
    n_prefix (int): Special tokens before the text, repeated before every part.
    n_suffix (int): Special tokens after the text, repeated after every part.
    """
    if wordpieces.lengths.max(initial=0) <= max_length:
        return wordpieces
    room = max_length - n_prefix - n_suffix
    lengths: List[int] = []
    rows: List[Ints1d] = []
    end = 0
    for length in wordpieces.lengths:
        start, end = end, end + length
        prefix = numpy.arange(start, start + n_prefix)
        suffix = numpy.arange(end - n_suffix, end)
        for part in range(start + n_prefix, max(end - n_suffix, start + n_prefix + 1), room):
            text = numpy.arange(part, min(part + room, end - n_suffix))
            rows.extend((prefix, text, suffix))
            lengths.append(len(prefix) + len(text) + len(suffix))
    index = numpy.concatenate(rows)
    return Wordpieces(
        numpy.asarray(lengths), wordpieces.ids[index], wordpieces.first[index], wordpieces.last[index]
    )


# Wordpieces to token vectors


class Padded(NamedTuple):
    """Windows of one micro-batch, padded to the longest."""

    ids: Ints2d  # (n_windows, length)
    mask: Ints2d  # (n_windows, length), 1 for wordpieces and 0 for padding
    first: Ints2d  # (n_windows, length)
    last: Ints2d  # (n_windows, length)


def get_budget(wordpieces: Wordpieces, settings: Dict[str, Any]) -> int:
    """Divide few wordpieces among the threads: one thread each does more together than all threads on one micro-batch.

    settings (Dict[str, Any]): The component's.
    RETURNS (int): Most wordpieces of a micro-batch.
    """
    threads = get_threads(settings) if settings["device"] == "cpu" else 1
    return min(settings["batch_wordpieces"], math.ceil(int(wordpieces.lengths.sum()) / threads))


def get_micro_batches(lengths: Ints1d, budget: int, recurs: bool) -> Iterator[Tuple[Ints1d, int]]:
    """Group windows of similar length, so that there is little padding.

    Engines prepare anew for every shape that they see, so lengths are rounded up: finely in full micro-batches, whose
    shapes come again in much text, coarsely in what remains and in little text.

    lengths (Ints1d): *Shape:* (n_windows,). Wordpieces of each window.
    budget (int): Most wordpieces of a micro-batch, padding included; one window always fits.
    recurs (bool): Whether other micro-batches have the same budget.
    YIELDS (Tuple[Ints1d, int]): Indices of the windows of a micro-batch, the longest first, and the length to pad to.
    """
    order = numpy.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        length = round_up(longest, get_fine_step(longest))
        if not recurs or budget // length > len(order) - start:
            length = round_up(longest, LENGTH_STEP)
        n_windows = max(1, budget // length)
        yield order[start : start + n_windows], length
        start += n_windows


def round_up(length: int, step: int) -> int:
    """RETURNS (int): The next multiple of the step."""
    return -(-length // step) * step


def get_fine_step(length: int) -> int:
    """RETURNS (int): A sixteenth to an eighth of the length, within limits, so that there are few steps."""
    return min(max(4, 2 ** (length.bit_length() - 4)), LENGTH_STEP)


def pad(wordpieces: Wordpieces, batch: Ints1d, length: int, manifest: Dict[str, Any], nowhere: int) -> Padded:
    """Gather the windows of a micro-batch in rectangular arrays.

    batch (Ints1d): *Shape:* (n_windows,). Indices of windows.
    length (int): Wordpieces to pad to, as far as the encoder has positions.
    manifest (Dict[str, Any]): Says the encoder's "max_length" in positions and the "pad_id" of the padding wordpiece.
    nowhere (int): The row that special tokens and padding are aligned to.
    """
    lengths = wordpieces.lengths[batch]
    starts = (numpy.cumsum(wordpieces.lengths) - wordpieces.lengths)[batch]
    columns = numpy.arange(min(length, manifest["max_length"]))
    mask = columns < lengths[:, None]
    index = numpy.where(mask, starts[:, None] + columns, 0)
    first = wordpieces.first[index]
    aligned = mask & (first >= 0)
    return Padded(
        ids=numpy.where(mask, wordpieces.ids[index], manifest["pad_id"]),
        mask=mask.astype("int64"),
        first=numpy.where(aligned, first, nowhere).astype("int32"),
        last=numpy.where(aligned, wordpieces.last[index], nowhere).astype("int32"),
    )


def add_to_tokens(sums: Floats2d, counts: Ints1d, padded: Padded, vectors: Floats3d) -> None:
    """Add wordpiece vectors to the sums of the tokens that they are aligned to.

    sums (Floats2d): *Shape:* (n_tokens + 1, width). Changed in place.
    counts (Ints1d): *Shape:* (n_tokens + 1,). Number of vectors in each sum, changed in place.
    vectors (Floats3d): *Shape:* (n_windows, length, width).
    """
    ops = NumpyOps()
    rows = vectors.reshape(-1, vectors.shape[-1])
    first, last = padded.first.ravel(), padded.last.ravel()
    ops.scatter_add(sums, first, rows)
    counts += numpy.bincount(first, minlength=len(counts))
    # A wordpiece like "cannot" belongs to two tokens, "can" and "not".
    for step in range(1, int((last - first).max()) + 1):
        shared = numpy.flatnonzero(first + step <= last)
        ops.scatter_add(sums, first[shared] + numpy.int32(step), rows[shared])
        counts += numpy.bincount(first[shared] + step, minlength=len(counts))


def split_by_doc(ops, docs: List[Doc], sums: Floats2d, counts: Ints1d) -> List[Floats2d]:
    """RETURNS (List[Floats2d]): Mean vectors, one `(n_tokens, width)` array a Doc, zeros where nothing was added.

    The sums become the means, since the vectors of a very long Doc are most of the memory that it takes.
    """
    sums /= numpy.maximum(counts, 1).astype("float32")[:, None]
    if len(docs) == 1:
        return [ops.asarray2f(sums[:-1])]
    vectors, start = [], 0
    for doc in docs:
        end = start + len(doc)
        # One array a Doc: a view would keep the whole batch alive as long as one of its Docs.
        vectors.append(ops.asarray2f(sums[start:end].copy()))
        start = end
    return vectors


# Encoder: the artefact


class CompiledEncoder(Shim):
    """Own the files of an exported encoder and the engine that runs it.

    The files are `engine.json` (the manifest: what the artefact is), `tokenizer.json` and the engine's own. They stay
    in memory: engines are started when they are first used, again in every process, and when the pipeline is saved.
    """

    _lock = threading.Lock()  # Of all encoders: engines are started one after the other.

    def __init__(self) -> None:
        super().__init__(None)
        self.manifest: Dict[str, Any] = {}
        self._files: Dict[str, bytes] = {}
        self._artefact: Optional[Tuple] = None  # What `choose_artefact` chose for this CPU
        self._engines: Dict[Tuple, Any] = {}  # Engine by process and what `get_engine` takes; RemoteEncoder by process, URL

    def from_disk(self, folder: Path, manifest_only: bool = False) -> "CompiledEncoder":
        """Use the files in a folder.

        manifest_only (bool): Leave the encoder and tokenizer where they are, or missing: a service has them.
        RAISES (ValueError): If a file is missing or is not the one that `engine.json` describes.
        """
        if not (folder / MANIFEST).is_file():
            raise ValueError(f"There is no {MANIFEST} in {folder}: not a compiled transformer. Run optimize again.")
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf8"))
        if manifest_only:
            return self._use_remote(manifest)
        files = {name: read_file(folder, name) for name in manifest["files"]}
        return self._use(manifest, files, str(folder))

    def from_bytes(self, data: bytes, manifest_only: bool = False) -> "CompiledEncoder":
        """Use the files from `CompiledTransformer.to_bytes`."""
        files = srsly.msgpack_loads(data)
        manifest = json.loads(files.pop(MANIFEST))
        if manifest_only:
            return self._use_remote(manifest)
        return self._use(manifest, files, "the bytes")

    def _use(self, manifest: Dict[str, Any], files: Dict[str, bytes], where: str) -> "CompiledEncoder":
        for name, digest in manifest["files"].items():
            if name not in files:
                raise ValueError(f"{name} is missing in {where}. Copy the whole pipeline again.")
            if get_digest(files[name]) != digest:
                raise ValueError(
                    f"{name} in {where} is not the file that {MANIFEST} describes (its SHA-256 differs): damaged, or "
                    "changed by somebody. Copy the pipeline from where it was built, or build it again."
                )
        self.manifest = manifest
        self._files = files
        self.tokenizer = read_tokenizer(files[TOKENIZER])
        self._artefact = None
        self._engines = {}
        return self

    def _use_remote(self, manifest: Dict[str, Any]) -> "CompiledEncoder":
        self.manifest = manifest
        self._files = {}
        self._engines = {}
        return self

    def read_files(self) -> Dict[str, bytes]:
        """RETURNS (Dict[str, bytes]): Content of all files by name, the manifest too."""
        self.check_loaded()
        manifest = json.dumps(self.manifest, indent=2, ensure_ascii=False).encode("utf8")
        return {MANIFEST: manifest, **self._files}

    def get_wordpieces(self, tokens: Tokens, windows: List[Tuple[int, int]]) -> Wordpieces:
        """Tokenize windows and align their wordpieces to tokens."""
        self.check_loaded()
        first_tokens, ends = numpy.asarray(windows).T
        starts = tokens.starts[first_tokens]
        texts = [tokens.text[start:end] for start, end in zip(starts.tolist(), tokens.ends[ends - 1].tolist())]
        # Not `encode_batch`: its threads don't survive a fork, and compete with the engine's.
        encodings = [self.tokenizer.encode(text) for text in texts]
        lengths = numpy.asarray([len(encoding) for encoding in encodings])
        n_wordpieces = int(lengths.sum())
        ids = numpy.fromiter(
            chain.from_iterable(encoding.ids for encoding in encodings), dtype="int64", count=n_wordpieces
        )
        offsets = numpy.fromiter(
            chain.from_iterable(chain.from_iterable(encoding.offsets for encoding in encodings)),
            dtype="int64",
            count=2 * n_wordpieces,
        ).reshape(-1, 2)
        offsets += numpy.repeat(starts, lengths)[:, None]
        first, last = align(tokens, offsets[:, 0], offsets[:, 1])
        return split_long_windows(
            Wordpieces(lengths, ids, first, last),
            self.manifest["max_length"],
            self.manifest["n_prefix"],
            self.manifest["n_suffix"],
        )

    def predict(self, batches: List[Padded], settings: Dict[str, Any]) -> Iterator[Floats3d]:
        """Run the engine, on several micro-batches at once if there are several: one thread each does more together
        than all threads on one, which have to wait for each other after every operation.

        settings (Dict[str, Any]): The component's.
        YIELDS (Floats3d): *Shape:* (n_windows, length, width). The last hidden state of each micro-batch, float32.
        """
        device, threads = settings["device"], get_threads(settings)
        streams = min(threads, len(batches)) if device == "cpu" else 1
        if streams == 1:
            for batch in batches:
                n_windows, length = batch.ids.shape
                is_warm = n_windows == 1 and length in settings["warm_up_lengths"]
                engine = self.get_engine(device, threads, 1, length if is_warm else None)
                yield engine(batch.ids, batch.mask)
            return
        engine = self.get_engine(device, threads, threads)
        with ThreadPoolExecutor(streams) as executor:
            running: Deque[Future] = deque()
            for batch in batches:
                running.append(executor.submit(engine, batch.ids, batch.mask))
                # No more than the next ones: their outputs wait in memory.
                if len(running) > streams:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()

    def warm_up(self, settings: Dict[str, Any]) -> None:
        """Start the engines for texts of one window.

        settings (Dict[str, Any]): The component's.
        """
        for length in settings["warm_up_lengths"]:
            if length <= self.manifest["max_length"]:
                engine = self.get_engine(settings["device"], get_threads(settings), 1, length)
                engine(*make_inputs(length))

    def get_engine(self, device: str, threads: int, streams: int, length: Optional[int] = None) -> Engine:
        """Start the engine, once in each process: its threads don't survive a fork.

        device (str): "cpu" or "cuda".
        threads (int): Threads of the engine.
        streams (int): Calls that run at once and share the threads.
        length (Optional[int]): Take only one window of this length at a time. None takes any number and length.
        RETURNS (Engine): The engine, which any Python thread may call.
        RAISES (ValueError): If the engine is unknown, or has no such device.
        RAISES (ImportError): If the engine is not installed.
        """
        manifest, files = self.get_artefact()
        if manifest["engine"] != "openvino":
            length = None  # Others gain little by it, and sessions of onnxruntime disturb each other: their threads spin.
        key = (os.getpid(), device, threads, streams, length)
        if key not in self._engines:
            with self._lock:
                if key not in self._engines:
                    self._engines[key] = start_engine(manifest, files, device, threads, streams, length)
        return self._engines[key]

    def get_artefact(self) -> Tuple[Dict[str, Any], Dict[str, bytes]]:
        """RETURNS (Tuple): Manifest and files of what this CPU runs, from `choose_artefact`."""
        self.check_loaded()
        if self._artefact is None:
            with self._lock:
                if self._artefact is None:
                    self._artefact = choose_artefact(self.manifest, self._files)
        return self._artefact

    def get_remote(self, settings: Dict[str, Any]) -> "RemoteEncoder":
        """Open connections to a service, once in each process: two processes must not share any.

        settings (Dict[str, Any]): The component's.
        """
        key = (os.getpid(), settings["remote"])
        with self._lock:
            if key not in self._engines:
                encoder_id = get_encoder_id(self.manifest, settings)
                self._engines[key] = RemoteEncoder(settings["remote"], encoder_id, self.manifest["width"])
        return self._engines[key]

    def check_loaded(self) -> None:
        """RAISES (ValueError): If there is no artefact yet."""
        if not self.manifest:
            raise ValueError("The compiled transformer has no encoder yet. Load a pipeline that has: spacy.load(PATH).")

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_artefact": None, "_engines": {}}

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): All files as msgpack."""
        return srsly.msgpack_dumps(self.read_files())

    def to_device(self, device_type: str, device_id: int) -> None:
        """Nothing to do: the component's `device` setting says where the engine runs."""


def read_file(folder: Path, name: str) -> bytes:
    """RAISES (ValueError): If the file is missing, or its name leads out of the folder."""
    if Path(name).name != name:
        raise ValueError(f"{MANIFEST} in {folder} names a file outside its folder: {name!r}. Don't use this pipeline.")
    if not (folder / name).is_file():
        raise ValueError(f"{name} is missing in {folder}. Copy the whole pipeline again.")
    return (folder / name).read_bytes()


def get_digest(data: bytes) -> str:
    """RETURNS (str): SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read_tokenizer(data: bytes) -> Tokenizer:
    """Read a fast tokenizer, without the truncation and padding that may be saved in it."""
    tokenizer = Tokenizer.from_buffer(data)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


# Engines


def get_threads(settings: Dict[str, Any]) -> int:
    """RETURNS (int): Threads of the engine: those that the component's settings say, or as many as there are cores."""
    return settings["threads"] or available_cores()


def make_inputs(length: int) -> Tuple[Ints2d, Ints2d]:
    """RETURNS (Tuple[Ints2d, Ints2d]): Ids and mask of one window, to run an engine for the first time."""
    return numpy.zeros((1, length), dtype="int64"), numpy.ones((1, length), dtype="int64")


def available_cores() -> int:
    """RETURNS (int): Cores this process may use: its affinity, within the quota of its control group (Linux)."""
    cores = count_affine_cores()
    return min(cores, read_quota(CPU_QUOTA) or cores)


def count_affine_cores() -> int:
    """RETURNS (int): Cores that this process may run on, at times."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=None)  # Reading takes longer than padding a sentence.
def read_quota(path: Path) -> Optional[int]:
    """Read how much of the machine a control group may use, https://docs.kernel.org/admin-guide/cgroup-v2.html.

    path (Path): Its cpu.max: microseconds of CPU time, or "max", in a period of so many microseconds.
    RETURNS (Optional[int]): Cores, rounded up; None without a quota.
    """
    try:
        quota, period = path.read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return None


def read_cpu_features() -> Optional[Set[str]]:
    """RETURNS (Optional[Set[str]]): The CPU's flags, as Linux names them; None where they can't be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return set(next(line for line in lines if line.startswith("flags")).split())
    except (OSError, StopIteration):
        return None


def choose_artefact(
    manifest: Dict[str, Any], files: Dict[str, bytes]
) -> Tuple[Dict[str, Any], Dict[str, bytes]]:
    """Fall back to the portable artefact, or warn, if this CPU lacks what the fast one needs.

    RETURNS (Tuple): Manifest and files of the artefact to run.
    """
    features = read_cpu_features()
    if features is None:
        return manifest, files
    missing = [" or ".join(needed) for needed in manifest["cpu_features"] if not features & set(needed)]
    if not missing:
        return manifest, files
    portable = manifest.get("portable")
    what = (
        f"This pipeline's transformer was compiled to {manifest['precision']} for a CPU with {' and '.join(missing)}, "
        "which this one lacks."
    )
    if portable is None:
        warnings.warn(
            f"{what} It may be slow here, or less exact. Compile it again on a machine like this one (`python -m spacy "
            "project run optimize`), or there with `--portable`."
        )
        return manifest, files
    warnings.warn(f"{what} Its portable encoder ({portable['engine']}, {portable['precision']}) is used instead.")
    return portable, {
        name[len(PORTABLE) :]: data for name, data in files.items() if name.startswith(PORTABLE)
    }


def start_engine(
    manifest: Dict[str, Any],
    files: Dict[str, bytes],
    device: str,
    threads: int,
    streams: int,
    length: Optional[int] = None,
) -> Engine:
    """Start the engine that an artefact is made for.

    RETURNS (Engine): Wordpiece ids and mask, both (n_windows, length), to the last hidden state, float32
        (n_windows, length, width).
    """
    name = manifest["engine"]
    if name not in ENGINES:
        raise ValueError(f"This pipeline runs on {name!r}. This version knows: {', '.join(ENGINES)}.")
    try:
        return ENGINES[name](manifest, files, device, threads, streams, length)
    except ImportError as error:
        raise ImportError(
            f"This pipeline's transformer runs on {name}, which can't be imported ({error}). "
            f"Install it: pip install {' '.join(manifest['requirements'])}"
        ) from error


def start_onnxruntime(
    manifest, files, device: str, threads: int, streams: int, length: Optional[int] = None
) -> Engine:
    """Run encoder.onnx with onnxruntime, https://onnxruntime.ai."""
    import onnxruntime

    on_gpu = manifest["options"].get("providers", ["CUDAExecutionProvider"])
    providers = on_gpu if device == "cuda" else ["CPUExecutionProvider"]
    missing = set(providers) - set(onnxruntime.get_available_providers())
    if missing:
        raise ValueError(
            f"Setting 'device' is {device!r}, but this onnxruntime has no {' and no '.join(sorted(missing))}. "
            "Set 'device' to 'cpu', or install onnxruntime-gpu."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads // streams
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(files["encoder.onnx"], options, providers=providers)

    def run(ids: Ints2d, mask: Ints2d) -> Floats3d:
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    return run


def start_openvino(
    manifest, files, device: str, threads: int, streams: int, length: Optional[int] = None
) -> Engine:
    """Run encoder.xml and encoder.bin with OpenVINO, https://docs.openvino.ai."""
    import openvino

    if device != "cpu":
        raise ValueError(f"Setting 'device' is {device!r}, but this pipeline was built for OpenVINO on the CPU. Set 'cpu'.")
    core = openvino.Core()
    encoder = core.read_model(model=files["encoder.xml"], weights=files["encoder.bin"])
    if length is not None:
        encoder.reshape({name: [1, length] for name in ("input_ids", "attention_mask")})
    model = core.compile_model(
        encoder,
        "CPU",
        {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            # Two processes that have a part of the cores each would both pin their threads to the first ones.
            "ENABLE_CPU_PINNING": threads >= count_affine_cores(),
            **manifest["options"],
        },
    )
    run = run_openvino(model)
    # Its Python layer sets itself up in the first call, and hangs if two threads make it at once: each waits for what the
    # other holds, Python's lock and that of a C++ static.
    run(*make_inputs(length or 1))
    return run


def run_openvino(model: Any) -> Engine:
    """RETURNS (Engine): Runs an `openvino.CompiledModel`, from any Python thread."""
    # A request holds the buffers of one call at a time.
    idle: Deque = deque()

    def run(ids: Ints2d, mask: Ints2d) -> Floats3d:
        try:
            request = idle.pop()
        except IndexError:
            request = model.create_infer_request()
        vectors = request.infer({"input_ids": ids, "attention_mask": mask}, share_inputs=True)[0]
        idle.append(request)
        return vectors

    return run


def start_torch(manifest, files, device: str, threads: int, streams: int, length: Optional[int] = None) -> Engine:
    """Run model.safetensors with torch and transformers, in the precision that the manifest asks for."""
    import torch
    from safetensors.torch import load
    from transformers import AutoConfig, AutoModel

    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("Setting 'device' is 'cuda', but torch finds no GPU. Set 'device' to 'cpu'.")
    config = json.loads(files["config.json"])
    encoder = AutoModel.from_config(AutoConfig.for_model(**config))
    encoder.load_state_dict(load(files["model.safetensors"]))
    encoder = encoder.to(device=device, dtype=getattr(torch, manifest["options"]["dtype"])).eval()
    if manifest["options"].get("compile"):
        encoder = torch.compile(encoder, dynamic=True)

    def run(ids: Ints2d, mask: Ints2d) -> Floats3d:
        # The number belongs to the thread, not to the engine: another engine may have set it.
        if device == "cpu" and torch.get_num_threads() != threads // streams:
            torch.set_num_threads(threads // streams)
        with torch.inference_mode():
            inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            output = encoder(**{name: tensor.to(device) for name, tensor in inputs.items()})
            return output.last_hidden_state.float().cpu().numpy()

    return run


ENGINES = {"onnxruntime": start_onnxruntime, "openvino": start_openvino, "torch": start_torch}


# Remote encoder

REMOTE_TIMEOUT = 60  # Seconds without a byte from the service.
RETRY_WAITS = (0, 0, 0.2, 0.5, 1, 2, 4)  # Seconds before each try; the second replaces a connection that was idle.
MAX_RETRY_WAIT = 10  # Seconds, whatever the service asks for.
REMOTE_DOCS = 128  # Docs of a request, at most.
OCTETS = "application/octet-stream"


def is_url(value: Any) -> bool:
    """RETURNS (bool): Whether it is the URL of a server."""
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except (ValueError, AttributeError, TypeError):
        return False


def get_encoder_id(manifest: Dict[str, Any], settings: Dict[str, Any]) -> str:
    """RETURNS (str): The same only for encoders that give the same token vectors: the same files, the same windows."""
    parts = [sorted(manifest["files"].items()), settings["spans"], settings["window"], settings["stride"]]
    return get_digest(json.dumps(parts).encode("utf8"))


class RemoteEncoder:
    """Ask a service for token vectors: `python -m scripts.serve PIPELINE --encoder-only`.

    A request is msgpack with the "encoder" that is expected and "docs": each has its "text", its "tokens" (a row of
    offset and length in characters each, int32, little-endian) and "sents" (whether each token starts a sentence, int8)
    where the windows are sentences. The answer is the vectors of all tokens, float32, little-endian.

    url (str): Where the service is.
    encoder_id (str): What `get_encoder_id` says of the encoder that this pipeline was made with.
    width (int): Of the vectors.
    """

    def __init__(self, url: str, encoder_id: str, width: int) -> None:
        self.url = url.rstrip("/")
        self.encoder_id = encoder_id
        self.width = width
        self._parts = urlsplit(f"{self.url}/vectors")
        self._idle: Deque[http.client.HTTPConnection] = deque()  # A connection holds one request at a time.

    def encode(self, docs: List[Doc], budget: int) -> List[Floats2d]:
        """Get the vectors of Docs, in requests of bounded size.

        budget (int): Tokens of a request; one Doc always fits.
        RETURNS (List[Floats2d]): One `(n_tokens, width)` array a Doc.
        RAISES (ConnectionError): If the service is away, or too busy for too long.
        RAISES (ValueError): If it refuses: another encoder, a Doc that is too long.
        """
        vectors: List[Floats2d] = []
        for batch in util.minibatch(docs, size=REMOTE_DOCS):
            for part in split_by_tokens(batch, budget):
                vectors.extend(self._encode(part))
        return vectors

    def _encode(self, docs: List[Doc]) -> List[Floats2d]:
        request = {"encoder": self.encoder_id, "docs": [pack_doc(doc) for doc in docs]}
        answer = numpy.frombuffer(self._post(srsly.msgpack_dumps(request)), dtype="<f4").reshape(-1, self.width)
        ends = numpy.cumsum([len(doc) for doc in docs])
        if len(answer) != ends[-1]:
            raise ValueError(
                f"The encoder service at {self.url} sent {len(answer)} vectors for {ends[-1]} tokens. "
                "Run the same version of the project here and there."
            )
        return [array.copy() for array in numpy.split(answer, ends[:-1])]

    def _post(self, body: bytes) -> bytes:
        problem = ""
        for wait in RETRY_WAITS:
            time.sleep(wait)
            try:
                status, answer, retry_after = self._try(body)
            except TimeoutError as error:
                raise ConnectionError(self._describe(f"did not answer within {REMOTE_TIMEOUT} seconds")) from error
            except (OSError, http.client.HTTPException) as error:
                problem = f"does not answer ({error or type(error).__name__})"
                continue
            if status == 200:
                return answer
            if status != 503:
                raise ValueError(f"The encoder service at {self.url} refused: {read_error(answer, status)}")
            problem = f"is too busy ({read_error(answer, status).rstrip('.')})"
            time.sleep(min(retry_after, MAX_RETRY_WAIT))
        raise ConnectionError(self._describe(problem))

    def _try(self, body: bytes) -> Tuple[int, bytes, float]:
        """RETURNS (Tuple[int, bytes, float]): Status, body, and the seconds that the service asks to wait."""
        try:
            connection = self._idle.pop()
        except IndexError:
            kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
            connection = kind(self._parts.hostname, self._parts.port, timeout=REMOTE_TIMEOUT)
        try:
            connection.request("POST", self._parts.path, body, {"Content-Type": OCTETS})
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            self._idle.clear()  # The service closed them too.
            raise
        self._idle.append(connection)
        retry_after = response.headers.get("Retry-After", "")
        return response.status, answer, float(retry_after) if retry_after.isdigit() else 0.0

    def _describe(self, reason: str) -> str:
        return (
            f"The encoder service at {self.url} {reason}. Start it with `python -m scripts.serve PIPELINE "
            "--encoder-only`, or load the pipeline without the setting 'remote'."
        )


def split_by_tokens(docs: List[Doc], budget: int) -> Iterator[List[Doc]]:
    """YIELDS (List[Doc]): Docs of up to `budget` tokens together, or one that has more."""
    part: List[Doc] = []
    size = 0
    for doc in docs:
        if part and size + len(doc) > budget:
            yield part
            part, size = [], 0
        part.append(doc)
        size += len(doc)
    if part:
        yield part


def pack_doc(doc: Doc) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): What a service has to know of a Doc."""
    packed = {"text": doc.text, "tokens": doc.to_array([IDX, LENGTH]).astype("<i4").tobytes()}
    if doc.has_annotation("SENT_START"):
        packed["sents"] = (doc.to_array(SENT_START) == 1).astype("int8").tobytes()
    return packed


def read_error(answer: bytes, status: int) -> str:
    """RETURNS (str): The service's own sentence, if there is one."""
    try:
        return json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {status}."
