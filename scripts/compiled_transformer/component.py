"""The component `compiled_transformer`, and its settings."""

from concurrent.futures import Future
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence

import srsly
from spacy import util
from spacy.language import Language
from spacy.pipeline.tok2vec import Tok2Vec
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model
from thinc.types import Floats2d

from .ahead import encode_ahead
from .batches import LENGTH_STEP
from .cpu import get_threads
from .encoder import CompiledEncoder
from .listener import IN_TENSOR, KEY, PLACES
from .model import NO_TRAINING, stream_vectors
from .remote import is_url

FACTORY = "compiled_transformer"
SPANS = ("strided", "doc", "sent")
DEVICES = ("cpu", "cuda")
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
    "vectors_in": IN_TENSOR,
}


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
    vectors_in: str,
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
    remote (Optional[str]): URL of a service that encodes instead of this process (`scripts.serve --encoder-only`), such
        as "http://127.0.0.1:8000". Then no engine runs here, and only the manifest is read.
    vectors_in (str): Where the Docs have the vectors, and listeners look for them: "doc.tensor", or "doc.user_data" in a
        pipeline with another component that writes `doc.tensor`. It is chosen when the pipeline is compiled.
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
        "vectors_in": vectors_in,
    }
    check_settings(settings)
    model.attrs.update(settings)
    return CompiledTransformer(nlp.vocab, model, name)


def check_settings(settings: Dict[str, Any]) -> None:
    """Check the settings of the component.

    RAISES (ValueError): With the setting, its value and what is allowed.
    """
    for name, allowed in (("spans", SPANS), ("device", DEVICES), ("vectors_in", PLACES)):
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
    """Set `doc.tensor` to token vectors from a compiled encoder, for Tok2VecListener layers downstream.

    Where that is another component's, they are in `doc.user_data`, for the layers of `listener`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "transformer",
    ) -> None:
        super().__init__(vocab, model, name)

    @property
    def encoder(self) -> CompiledEncoder:
        """The artefact: tokenizer, engine and manifest."""
        return self.model.shims[0]

    @property
    def is_trainable(self) -> bool:
        return False

    @property
    def has_one_thread(self) -> bool:
        """Whether encoding and everything else share one core, where a second thread is in the way."""
        settings = self.model.attrs
        is_local = settings["device"] == "cpu" and settings["remote"] is None
        return is_local and get_threads(settings) == 1

    def stream(self, doc: Doc) -> Iterator[Floats2d]:
        """Encode one Doc of any length, and give its vectors out as soon as they are complete.

        The windows, and the groups in which they are encoded, are those of `predict`, so the vectors are the same bit by bit.

        doc (Doc): The Doc. It is not changed.
        YIELDS (Floats2d): *Shape:* (n_tokens, width). Vectors of consecutive tokens.
        RAISES (ValueError): If the vectors come from a service, see the setting `remote`.
        """
        return stream_vectors(self.model, doc)

    def initialize(self, get_examples, *, nlp=None, labels=None) -> None:
        """Nothing to do: the weights were trained before they were compiled."""

    def update(self, examples, *, drop=0.0, sgd=None, losses=None):
        """Refuse to train.

        RAISES (ValueError): Always; a compiled encoder has no gradients.
        """
        raise ValueError(NO_TRAINING)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Encode the next batch while the components downstream work on this one, unless all have one thread together.

        With a batch size of 1 nothing is read before the Doc before it was given out: it may depend on what comes of that.

        stream (Iterable[Doc]): The Docs.
        batch_size (int): Docs of a batch.
        YIELDS (Doc): The Docs in order.
        """
        if batch_size == 1 or self.has_one_thread:
            yield from super().pipe(stream, batch_size=batch_size)
            return
        for docs, vectors in encode_ahead(stream, batch_size, self.predict):
            yield from self._finish(docs, vectors)

    def set_annotations(self, docs: Sequence[Doc], tokvecses: Sequence[Floats2d]) -> None:
        """Put token vectors where the listeners look for them."""
        if self.model.attrs["vectors_in"] == IN_TENSOR:
            super().set_annotations(docs, tokvecses)
            return
        for doc, vectors in zip(docs, tokvecses):
            doc.user_data[KEY] = vectors

    def _finish(self, docs: List[Doc], vectors: Future) -> List[Doc]:
        """Annotate the Docs of a batch."""
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
        """Get ready to run the encoder that was loaded."""
        self.model.set_dim("nO", self.encoder.manifest["width"], force=True)
        if self.model.attrs["remote"] is None:
            self.encoder.warm_up(self.model.attrs)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = tuple()) -> bytes:
        """Put the encoder's files into msgpack."""
        files = self.encoder.read_files()
        return srsly.msgpack_dumps({name: data for name, data in files.items() if name not in exclude})

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = tuple()) -> "CompiledTransformer":
        """Use the encoder from `to_bytes`."""
        self.encoder.from_bytes(bytes_data, manifest_only=self.model.attrs["remote"] is not None)
        return self._use_encoder()
