"""What the components with a compiled encoder have in common: its files, its settings, and work ahead of what follows."""

from concurrent.futures import Future
from typing import Any, Dict, Iterable, Iterator, List, Sequence

import srsly
from spacy import util
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc

from .ahead import encode_ahead
from .batches import LENGTH_STEP
from .cpu import get_threads
from .encoder import CompiledEncoder
from .model import NO_TRAINING

DEVICES = ("cpu", "cuda")
ENGINE_SETTINGS: Dict[str, Any] = {"batch_wordpieces": 2048, "threads": None, "warm_up_lengths": [], "device": "cpu"}


def check_choices(settings: Dict[str, Any], component: str, **choices: Sequence[str]) -> None:
    """Check settings that are one of a few values.

    component (str): What they are of, for messages.
    choices (Sequence[str]): By setting, what is allowed.
    RAISES (ValueError): With the setting, its value and what is allowed.
    """
    for name, allowed in choices.items():
        if settings[name] not in allowed:
            raise ValueError(
                f"Setting {name!r} of the {component} is {settings[name]!r}. Choose one of: {', '.join(allowed)}."
            )


def check_numbers(settings: Dict[str, Any], component: str, **least: int) -> None:
    """Check settings that are whole numbers.

    component (str): What they are of, for messages.
    least (int): By setting, the least number that is allowed.
    RAISES (ValueError): With the setting, its value and what is allowed.
    """
    for name, number in least.items():
        if not isinstance(settings[name], int) or settings[name] < number:
            raise ValueError(
                f"Setting {name!r} of the {component} is {settings[name]!r}. Set a whole number from {number} up."
            )


def check_engine_settings(settings: Dict[str, Any], component: str) -> None:
    """Check the settings that say how the engine runs.

    component (str): What they are of, for messages.
    RAISES (ValueError): With the setting, its value and what is allowed.
    """
    check_choices(settings, component, device=DEVICES)
    check_numbers(settings, component, batch_wordpieces=1)
    if settings["threads"] is not None:
        check_numbers(settings, component, threads=1)
    for length in settings["warm_up_lengths"]:
        if length < 1 or length % LENGTH_STEP:
            raise ValueError(
                f"Setting 'warm_up_lengths' of the {component} has {length!r}. "
                f"Set multiples of {LENGTH_STEP}, to which windows are padded."
            )


class EncoderComponent(TrainablePipe):
    """A component whose model has a compiled encoder and the settings."""

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
        is_local = settings["device"] == "cpu" and settings.get("remote") is None
        return is_local and get_threads(settings) == 1

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
        for docs, predicted in encode_ahead(stream, batch_size, self.predict):
            yield from self._finish(docs, predicted)

    def _finish(self, docs: List[Doc], predicted: Future) -> List[Doc]:
        """Annotate the Docs of a batch."""
        try:
            self.set_annotations(docs, predicted.result())
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

    def from_disk(self, path, *, exclude: Iterable[str] = tuple()) -> "EncoderComponent":
        """Use the encoder in a folder.

        path (str / Path): The component's folder.
        RETURNS (EncoderComponent): The component.
        """
        self.encoder.from_disk(util.ensure_path(path), manifest_only=self.model.attrs.get("remote") is not None)
        return self._use_encoder()

    def _use_encoder(self) -> "EncoderComponent":
        """Get ready to run the encoder that was loaded."""
        self.model.set_dim("nO", self.encoder.manifest["width"], force=True)
        if self.model.attrs.get("remote") is None:
            self.encoder.warm_up(self.model.attrs)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = tuple()) -> bytes:
        """Put the encoder's files into msgpack."""
        files = self.encoder.read_files()
        return srsly.msgpack_dumps({name: data for name, data in files.items() if name not in exclude})

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = tuple()) -> "EncoderComponent":
        """Use the encoder from `to_bytes`."""
        self.encoder.from_bytes(bytes_data, manifest_only=self.model.attrs.get("remote") is not None)
        return self._use_encoder()
