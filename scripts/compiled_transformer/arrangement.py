"""Windows to batches: which of the ways to arrange them an artefact was made for."""

from typing import Any, Dict, List

from .artefact import PACKED_INPUTS
from .batches import Batch, make_exact_batches, make_padded_batches
from .packing import make_packed_batches
from .wordpieces import Wordpieces


def make_batches(wordpieces: Wordpieces, manifest: Dict[str, Any], settings: Dict[str, Any]) -> List[Batch]:
    """Arrange windows for an engine: several in a row where it can tell them apart, else one.

    manifest (Dict[str, Any]): The artefact's. With "exact_lengths", windows of different lengths never meet.
    settings (Dict[str, Any]): The component's.
    """
    if list(manifest["inputs"]) == list(PACKED_INPUTS):
        return make_packed_batches(wordpieces, manifest, settings)
    if manifest.get("exact_lengths"):
        return make_exact_batches(wordpieces, manifest, settings)
    return make_padded_batches(wordpieces, manifest, settings)
