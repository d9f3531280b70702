"""A door for measurements: what runs, stage by stage, and what the engine is given."""

import contextlib
from typing import ContextManager, Iterator, List

from thinc.types import Floats3d

from .batches import Batch
from .windows import Window
from .wordpieces import Wordpieces

WORDPIECES, ENCODER, POOLING = "wordpieces", "encoder", "pooling"  # The stages of the compiled transformer
TOKEN_VECTORS = "tok2vec"  # The stage of `greedy_ner` before its transitions


class Observer:
    """Do nothing. A measurement puts a subclass of this in its place: `CompiledEncoder.observer`, and that of `greedy_ner`."""

    def stage(self, name: str) -> ContextManager:
        """Enclose a stage."""
        return contextlib.nullcontext()

    def count(self, wordpieces: Wordpieces, windows: List[Window], batches: List[Batch]) -> None:
        """Look at windows that are about to be encoded."""

    def finish(self, outputs: Iterator[Floats3d]) -> Iterator[Floats3d]:
        """Run the engine to its end, if stages must not run at the same time."""
        return outputs
