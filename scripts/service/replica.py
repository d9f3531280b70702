"""A replica: one loaded pipeline in a process of its own, which runs one batch at a time."""

import asyncio
import faulthandler
import json
import os
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, List, NamedTuple, Union

import numpy
import spacy
from spacy.tokens import Doc

from ..common.pipelines import switch_scores
from ..common.texts import speed_up
from ..compiled_transformer.confidence import read_scores
from .memory import Memory
from .served_pipeline import ServedPipeline
from .settings import Limits

# Docs that go from one component to the next together: the heads work on them while the next ones are encoded.
DOCS_AT_ONCE = 16

JSON_BYTES = 22  # Of a number: sign, digits, comma and space.
FLOAT_BYTES = 4


class ScoredText(NamedTuple):
    """A text, with the wish to know how sure the pipeline is of its entities."""

    text: str


# A text, or a Doc as `compiled_transformer.remote.pack_doc` packs it.
Document = Union[str, ScoredText, "dict[str, Any]"]


class ReplicaError(Exception):
    """A batch failed. Says where, but nothing of the texts: it goes to the logs."""


class AnswerTooLong(Exception):
    """An answer would take too much memory."""


class Replica:
    """Load a pipeline and answer batches. Ray Serve runs it as a deployment.

    pipeline (ServedPipeline): The pipeline.
    threads (int): Threads of the engine.
    gpu (bool): Run the encoder on the GPU that Ray gave to this replica.
    encoder_only (bool): Load nothing after the transformer.
    limits (Limits): What a request may be.
    niceness (int): How much of the CPU to leave to others, as `os.nice` takes it.
    """

    def __init__(
        self,
        pipeline: ServedPipeline,
        threads: int,
        gpu: bool,
        encoder_only: bool,
        limits: Limits,
        niceness: int = 0,
    ) -> None:
        # All that takes time runs in its thread, and so do the engine's threads, which inherit how nice it is.
        self._executor = ThreadPoolExecutor(1, initializer=os.nice, initargs=(niceness,))
        settings = {"threads": threads, **({"device": "cuda"} if gpu else {})}
        self.nlp = self._executor.submit(
            spacy.load,
            pipeline.name,
            config={f"components.{pipeline.transformer}.{key}": value for key, value in settings.items()},
            exclude=pipeline.others if encoder_only else [],
        ).result()
        self.nlp.max_length = max(self.nlp.max_length, limits.characters)
        speed_up(self.nlp)
        self.transformer = self.nlp.get_pipe(pipeline.transformer)
        self._seconds = limits.seconds
        self._width = pipeline.width
        self._max_answer = Memory(limits.memory).max_answer
        self._run = self._encode if encoder_only else self._annotate
        self._executor.submit(self._run, ["A first text starts the engine."]).result()

    async def run(self, documents: List[Document]) -> List[bytes]:
        """Answer a batch, after the one that is running.

        RETURNS (List[bytes]): The answer to each document.
        RAISES (ReplicaError): If the pipeline fails. If it takes too long, the process ends.
        """
        if not documents:  # The front asks whether it is there.
            return []
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._guard, documents)

    def _guard(self, documents: List[Document]) -> List[bytes]:
        # Nothing else ends code that never comes back to Python's interpreter. Ray Serve starts another replica.
        faulthandler.dump_traceback_later(self._seconds, exit=True)
        try:
            return self._run(documents)
        except AnswerTooLong:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise ReplicaError(f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}") from None
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _annotate(self, documents: List[Union[str, ScoredText]]) -> List[bytes]:
        """Find the entities of texts.

        RETURNS (List[bytes]): Those of each text, as a JSON list.
        """
        are_scored = [isinstance(document, ScoredText) for document in documents]
        texts = [document.text if is_scored else document for document, is_scored in zip(documents, are_scored)]
        switch_scores(self.nlp, any(are_scored))
        with (
            self.nlp.memory_zone()
        ):  # Else the vocabulary would grow with every new word, as long as the replica lives.
            docs = self.nlp.pipe(texts, batch_size=DOCS_AT_ONCE)
            return [pack_entities(doc, is_scored) for doc, is_scored in zip(docs, are_scored)]

    def _encode(self, documents: List[Document]) -> List[bytes]:
        """Encode texts or packed Docs.

        RETURNS (List[bytes]): For a text its tokens and vectors in JSON; for a packed Doc its vectors in float32.
        """
        with self.nlp.memory_zone():
            docs = [self._prepare(document) for document in documents]
            self._check_answer(documents, docs)
            vectors = [array.astype("<f4") for array in self.transformer.predict(docs)]
            return [
                pack_vectors(doc, array) if isinstance(document, str) else array.tobytes()
                for document, doc, array in zip(documents, docs, vectors)
            ]

    def _check_answer(self, documents: List[Document], docs: List[Doc]) -> None:
        sizes = [JSON_BYTES if isinstance(document, str) else FLOAT_BYTES for document in documents]
        n_bytes = sum(size * self._width * len(doc) for size, doc in zip(sizes, docs))
        if n_bytes > self._max_answer:
            raise AnswerTooLong

    def _prepare(self, document: Document) -> Doc:
        if not isinstance(document, str):
            return unpack_doc(self.nlp.vocab, document)
        doc = self.nlp.make_doc(document)
        for _, component in self.nlp.pipeline[:-1]:  # The transformer is the last one.
            doc = component(doc)
        return doc


def pack_entities(doc: Doc, is_scored: bool) -> bytes:
    entities = [
        {"start": ent.start_char, "end": ent.end_char, "label": ent.label_, "text": ent.text} for ent in doc.ents
    ]
    if is_scored:
        for entity, score in zip(entities, read_scores(doc)):
            entity["score"] = score
    return json.dumps(entities, ensure_ascii=False).encode("utf8")


def pack_vectors(doc: Doc, vectors: numpy.ndarray) -> bytes:
    return json.dumps(
        {"tokens": [token.text for token in doc], "vectors": vectors.tolist()}, ensure_ascii=False
    ).encode("utf8")


def unpack_doc(vocab, packed: "dict[str, Any]") -> Doc:
    """Make a Doc of what `compiled_transformer.remote.pack_doc` made of one."""
    text = packed["text"]
    starts, lengths = numpy.frombuffer(packed["tokens"], dtype="<i4").reshape(-1, 2).T
    ends = starts + lengths
    words = [text[start:end] for start, end in zip(starts.tolist(), ends.tolist())]
    spaces = (numpy.append(starts[1:], len(text))[: len(ends)] > ends).tolist()
    sents = packed.get("sents")
    sent_starts = None if sents is None else [bool(start) for start in sents]
    return Doc(vocab, words=words, spaces=spaces, sent_starts=sent_starts)
