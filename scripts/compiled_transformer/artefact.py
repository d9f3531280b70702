"""The files of a compiled encoder: names, digests, and which of two artefacts this CPU runs."""

import hashlib
import warnings
from pathlib import Path
from typing import Any, Dict, Tuple

from tokenizers import Tokenizer

from .cpu import read_cpu_features

FORMAT = 4  # Of the manifest and the files; a larger one is for a newer version of this package.
PADDED_INPUTS = ("input_ids", "attention_mask")  # A window in each row
PACKED_INPUTS = ("input_ids", "position_ids", "segments")  # Several windows in a row, see `packing.py`
MANIFEST = "engine.json"
TOKENIZER = "tokenizer.json"
ENGINE_FILES = {
    "onnxruntime": ("encoder.onnx",),
    "openvino": ("encoder.xml", "encoder.bin"),
    "torch": ("config.json", "model.safetensors"),
}
PORTABLE = "portable-"  # Prefix of the files of a second artefact that runs on any CPU.


def read_file(folder: Path, name: str) -> bytes:
    """Read one of the files that a manifest names.

    RAISES (ValueError): If the file is missing.
    """
    if not (folder / name).is_file():
        raise ValueError(f"{name} is missing in {folder}. Copy the whole pipeline again.")
    return (folder / name).read_bytes()


def get_digest(data: bytes) -> str:
    """Compute the SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read_tokenizer(data: bytes) -> Tokenizer:
    """Read a fast tokenizer, without the truncation and padding that may be saved in it."""
    tokenizer = Tokenizer.from_buffer(data)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def choose_artefact(manifest: Dict[str, Any], files: Dict[str, bytes]) -> Tuple[Dict[str, Any], Dict[str, bytes]]:
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
            "project run optimize`), or there with `--portable`.",
            stacklevel=2,
        )
        return manifest, files
    warnings.warn(
        f"{what} Its portable encoder ({portable['engine']}, {portable['precision']}) is used instead.", stacklevel=2
    )
    return {**manifest, **portable}, {
        name[len(PORTABLE) :]: data for name, data in files.items() if name.startswith(PORTABLE)
    }
