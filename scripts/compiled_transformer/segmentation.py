"""Docs to windows of wordpieces: what the ways to get there have in common, and which of them an artefact was made for."""

from typing import Any, Dict, List, Protocol

from spacy.tokens import Doc

from .artefact import TOKENIZER, read_tokenizer
from .overlapping_segmentation import OVERLAPPING, OverlappingSegmentation
from .piece_segmentation import PieceSegmentation
from .pieces import read_piece_encoder
from .text_segmentation import TextSegmentation
from .windows import Window
from .wordpieces import Wordpieces


class SegmentedDocs(Protocol):
    """The windows of a batch of Docs, whose wordpieces are made when they are asked for."""

    @property
    def n_tokens(self) -> int:
        """Count the tokens of all Docs."""

    @property
    def windows(self) -> List[Window]:
        """First token and end of each window, in ascending order."""

    def get_wordpieces(self, start: int, end: int) -> Wordpieces:
        """Make the wordpieces of some windows.

        start (int): Number of the first window.
        end (int): Number after the last window.
        """


class Segmentation(Protocol):
    """A way from Docs to windows of wordpieces."""

    def __call__(self, docs: List[Doc], settings: Dict[str, Any]) -> SegmentedDocs:
        """Cut Docs into windows.

        docs (List[Doc]): The Docs of a batch, some with tokens.
        settings (Dict[str, Any]): The component's.
        """


def read_segmentation(manifest: Dict[str, Any], files: Dict[str, bytes]) -> Segmentation:
    """Prepare the way that an artefact was made for.

    manifest (Dict[str, Any]): The artefact's. Without an entry "segmentation" it is that of spacy-transformers, else
        "pieces" in the entry names it: that of transformers' token classification, or one of spacy-curated-transformers.
    files (Dict[str, bytes]): Its files by name.
    """
    settings = manifest.get("segmentation")
    if settings is None:
        return TextSegmentation(read_tokenizer(files[TOKENIZER]), manifest)
    if settings["pieces"] == OVERLAPPING:
        return OverlappingSegmentation(read_tokenizer(files[TOKENIZER]), manifest["max_length"], settings["unk_id"])
    encoder = read_piece_encoder(settings, files)
    return PieceSegmentation(encoder, settings["bos_id"], settings["eos_id"], manifest["max_length"])
