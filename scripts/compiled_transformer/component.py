"""The component `compiled_transformer`, and its settings."""

from typing import Any, Dict, Iterator, List, Optional, Sequence

from spacy.language import Language
from spacy.pipeline.tok2vec import Tok2Vec
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model
from thinc.types import Floats2d

from .encoder_component import ENGINE_SETTINGS, EncoderComponent, check_choices, check_engine_settings, check_numbers
from .listener import IN_TENSOR, KEY, PLACES
from .model import stream_vectors
from .remote import is_url

FACTORY = "compiled_transformer"
SPANS = ("strided", "doc", "sent")
DEFAULT_CONFIG = {
    "model": {"@architectures": "compiled-transformers.CompiledTransformer.v1"},
    "spans": "strided",
    "window": 128,
    "stride": 96,
    **ENGINE_SETTINGS,
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
    check_choices(settings, "compiled transformer", spans=SPANS, vectors_in=PLACES)
    check_numbers(settings, "compiled transformer", window=1, stride=1)
    check_engine_settings(settings, "compiled transformer")
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


class CompiledTransformer(EncoderComponent, Tok2Vec):
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

    def stream(self, doc: Doc) -> Iterator[Floats2d]:
        """Encode one Doc of any length, and give its vectors out as soon as they are complete.

        The windows, and the groups in which they are encoded, are those of `predict`, so the vectors are the same bit by bit.

        doc (Doc): The Doc. It is not changed.
        YIELDS (Floats2d): *Shape:* (n_tokens, width). Vectors of consecutive tokens.
        RAISES (ValueError): If the vectors come from a service, see the setting `remote`.
        """
        return stream_vectors(self.model, doc)

    def set_annotations(self, docs: Sequence[Doc], tokvecses: Sequence[Floats2d]) -> None:
        """Put token vectors where the listeners look for them."""
        if self.model.attrs["vectors_in"] == IN_TENSOR:
            super().set_annotations(docs, tokvecses)
            return
        for doc, vectors in zip(docs, tokvecses):
            doc.user_data[KEY] = vectors
