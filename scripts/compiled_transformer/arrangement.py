"""Windows to batches: which of the ways to arrange them an artefact was made for."""

from typing import Any, Dict, List, Sequence

from .artefact import PACKED_INPUTS
from .batches import Batch, make_exact_batches, make_padded_batches
from .packing import make_packed_batches
from .wordpieces import Wordpieces


def make_batches(
    wordpieces: Wordpieces, manifest: Dict[str, Any], settings: Dict[str, Any], fixed_lengths: Sequence[int] = ()
) -> List[Batch]:
    """Arrange windows for an engine: several in a row where it can tell them apart, else one.

    manifest (Dict[str, Any]): The artefact's. With "exact_lengths", windows of different lengths never meet.
    settings (Dict[str, Any]): The component's.
    fixed_lengths (Sequence[int]): Lengths for which there is an engine that takes one row.
    """
    if list(manifest["inputs"]) == list(PACKED_INPUTS):
        return make_packed_batches(wordpieces, manifest, settings, fixed_lengths)
    if manifest.get("exact_lengths"):
        return make_exact_batches(wordpieces, manifest, settings)
    return make_padded_batches(wordpieces, manifest, settings, fixed_lengths)
