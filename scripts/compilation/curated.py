"""Trained pipelines of spacy-curated-transformers, the official ones of spaCy 3.7 and later among them."""

from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from thinc.api import Model
from transformers import PreTrainedModel

from ..common.console import UserError
from ..common.corpora import choose_evenly, copy_bare
from ..compiled_transformer.component import FACTORY as COMPILED
from ..compiled_transformer.piece_segmentation import PieceSegmentation
from ..compiled_transformer.pieces import read_piece_encoder
from ..compiled_transformer.pooling import MEAN, SUM
from ..compiled_transformer.wordpieces import Wordpieces
from .compilable import Listener, Segments, list_poolings, why_missing
from .curated_encoder import convert_encoder, get_max_length
from .curated_listeners import find_curated_listeners
from .curated_pieces import describe_pieces

FACTORY = "curated_transformer"
PACKAGE = "spacy_curated_transformers"
REQUIREMENT = "spacy-curated-transformers>=0.2.2,<1.0.0"  # What the official packages ask for.


class CuratedReference:
    """A trained pipeline of spacy-curated-transformers, see `Compilable`.

    path (Path): Its folder.
    nlp (Language): The loaded pipeline.
    transformer (Pipe): Its transformer component.
    readers (List[str]): Names of the components that listen to it.
    RAISES (UserError): If it can't be compiled, with the reason.
    """

    factory = COMPILED

    def __init__(self, path: Path, nlp: Language, transformer: Pipe, readers: List[str]) -> None:
        self.path = path
        self.nlp = nlp
        self.transformer = transformer
        layer = transformer.model.get_ref("transformer")
        found = find_curated_listeners(nlp, readers, path)
        self.listeners: Dict[str, List[Listener]] = found.by_component
        self.encoder: PreTrainedModel = convert_encoder(layer, found.weights, path)
        self.max_length = get_max_length(layer, self.encoder)
        self.pieces = describe_pieces(transformer.model.get_ref("piece_encoder"), path)
        self.settings = get_settings(transformer.model, self.max_length, path)
        self._check_poolings()

    @property
    def width(self) -> int:
        """Width of a token vector."""
        return self.transformer.model.get_dim("nO")

    def _check_poolings(self) -> None:
        """Check that pieces in two windows, whose vectors are averaged first, can be pooled one window after the other.

        RAISES (UserError): If they can't.
        """
        poolings = set(list_poolings(self)) - {MEAN, SUM}
        if poolings and self.settings["stride"] < self.settings["window"]:
            raise UserError(
                f"A listener in {self.path} pools pieces with reduce_{min(poolings)}, and the windows overlap, which can't be "
                "compiled together. Train with reduce_mean.v1 or reduce_sum.v1, or with a stride as large as the window."
            )

    def check_pieces(self, docs: List[Doc]) -> None:
        """Do nothing: the pieces are made with the very same vocabulary."""

    def cut_windows(self, docs: List[Doc], most: int) -> Wordpieces:
        """Make the pieces of Docs, and choose some of their windows."""
        segmentation = PieceSegmentation(
            read_piece_encoder(self.pieces.manifest, self.pieces.files),
            self.pieces.manifest["bos_id"],
            self.pieces.manifest["eos_id"],
            self.max_length,
        )
        # In the pipeline's vocabulary, which knows what is white space and what is lower case.
        chosen = [copy_bare(doc, self.nlp.vocab, sentences=False) for doc in choose_evenly(docs, most)]
        segmented = segmentation(chosen, self.settings)
        windows = [
            segmented.get_wordpieces(number, number + 1)
            for number in choose_evenly(range(len(segmented.windows)), most)
        ]
        return Wordpieces(*(numpy.concatenate([window[field] for window in windows]) for field in range(4)))

    def write_segmentation(self, folder: Path) -> Segments:
        """Write the vocabulary of the pieces."""
        for name, data in self.pieces.files.items():
            (folder / name).write_bytes(data)
        return Segments({"segmentation": self.pieces.manifest}, self.pieces.requirements)


def why_not_curated() -> Optional[str]:
    """Say why pipelines of spacy-curated-transformers can't be loaded here, see `why_missing`."""
    return why_missing(PACKAGE, REQUIREMENT)


def get_settings(model: Model, max_length: int, path: Path) -> Dict[str, Any]:
    """Translate the trained windows to settings of the compiled component.

    RAISES (UserError): If Docs are cut otherwise.
    """
    for node in model.walk():
        if node.name == "with_strided_spans":
            window, stride = node.attrs["window"], node.attrs["stride"]
            if window > max_length:
                raise UserError(
                    f"The transformer in {path} has windows of {window} pieces, and its encoder takes {max_length}. "
                    f"Set `components.transformer.model.with_spans.window` to {max_length} at most."
                )
            return {"spans": "strided", "window": window, "stride": stride}
    raise UserError(
        f"The transformer in {path} cuts Docs in a way of its own, which can't be compiled. "
        "Train with `spacy-curated-transformers.WithStridedSpans.v1`."
    )
