"""What `engine.json` must say, checked once when a pipeline is loaded."""

import json
from pathlib import PurePath
from typing import Any, Dict, Iterator, List, Optional

from pydantic import BaseModel, Field, ValidationError

from .artefact import ENGINE_FILES, FORMAT, MANIFEST, PADDED_INPUTS, PORTABLE, TOKENIZER
from .overlapping_segmentation import OVERLAPPING


class Runnable(BaseModel, strict=True):
    """What an engine runs."""

    engine: str
    precision: str
    options: Dict[str, Any]
    inputs: List[str] = list(PADDED_INPUTS)  # Format 1 had no other.
    requirements: List[str]


class Segmentation(BaseModel, strict=True):
    """How Docs become windows of wordpieces, see `segmentation`."""

    pieces: str
    bos_id: Optional[int] = None
    eos_id: Optional[int] = None
    unk_id: Optional[int] = None
    options: Dict[str, Any] = {}

    def find_problems(self) -> Iterator[str]:
        """Find what is missing for the kind of pieces."""
        if self.pieces != OVERLAPPING and (self.bos_id is None or self.eos_id is None):
            yield "has no 'bos_id' and 'eos_id' in 'segmentation'"


class Manifest(Runnable, strict=True):
    """An artefact. What else there is, such as the machine that it was made on, is for people to read."""

    format: int = FORMAT
    cpu_features: List[List[str]]
    width: int = Field(ge=1)
    max_length: int = Field(ge=1)
    pad_id: int = Field(ge=0)
    padding_position: Optional[int] = None
    n_prefix: int = Field(default=0, ge=0)
    n_suffix: int = Field(default=0, ge=0)
    segmentation: Optional[Segmentation] = None
    poolings: List[str] = []
    exact_lengths: bool = False
    labels: Optional[List[str]] = None
    portable: Optional[Runnable] = None
    files: Dict[str, str]  # Their digests

    def find_problems(self) -> Iterator[str]:
        """Find what single entries don't show."""
        if self.segmentation is None and not {"n_prefix", "n_suffix"} <= self.model_fields_set:
            yield "has no 'n_prefix' and 'n_suffix'"
        if self.max_length <= self.n_prefix + self.n_suffix:
            yield f"has a 'max_length' of {self.max_length}, which special tokens fill"
        if self.segmentation is not None:
            yield from self.segmentation.find_problems()
        if self.labels is not None and len(self.labels) != self.width:
            yield f"has {len(self.labels)} 'labels' and a 'width' of {self.width}"
        needed = [] if self.segmentation and self.segmentation.pieces != OVERLAPPING else [TOKENIZER]
        needed.extend(ENGINE_FILES.get(self.engine, ()))
        if self.portable is not None:
            needed.extend(PORTABLE + name for name in ENGINE_FILES.get(self.portable.engine, ()))
        for name in needed:
            if name not in self.files:
                yield f"lists no {name} in 'files'"
        for name in self.files:
            if not is_file_name(name):
                yield f"names a file outside its folder, {name!r}"


def read_manifest(data: bytes, where: str) -> Dict[str, Any]:
    """Read a manifest that this version of the code can run.

    data (bytes): The content of engine.json.
    where (str): What it belongs to, for messages.
    RAISES (ValueError): If it is malformed, or of a newer format than this code knows.
    """
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise ValueError(describe(where, f"is not JSON ({error})")) from None
    if not isinstance(manifest, dict):
        raise ValueError(describe(where, f"has a {type(manifest).__name__} where an object is expected"))
    check_format(manifest, where)
    try:
        checked = Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise ValueError(
            describe(where, f"is wrong at {name!r} ({first['msg'][:1].lower()}{first['msg'][1:]})")
        ) from None
    for problem in checked.find_problems():
        raise ValueError(describe(where, problem))
    return {**manifest, "inputs": checked.inputs}


def check_format(manifest: Dict[str, Any], where: str) -> None:
    """Check that this code is not too old, before anything else that a newer one may have changed.

    RAISES (ValueError): If it is.
    """
    number = manifest.get("format", FORMAT)
    if isinstance(number, int) and number > FORMAT:
        # Of several copies in a process the one that was imported first runs all pipelines.
        package = __name__.partition(".")[0]
        owner = "this project" if package == "scripts" else f"the package {package}"
        raise ValueError(
            f"The compiled transformer in {where} has format {number}, and the code that runs it, that of "
            f"{owner}, knows formats up to {FORMAT}. Upgrade {owner}, or load this pipeline before any other compiled one."
        )


def is_file_name(name: str) -> bool:
    """Tell whether a name stays in its folder, on any system, and is not the manifest's own."""
    return (
        bool(name)
        and PurePath(name).name == name
        and not set(name) & set("/\\:\0")
        and name not in (".", "..", MANIFEST)
    )


def describe(where: str, what: str) -> str:
    """Say what is wrong with a manifest."""
    return f"{MANIFEST} in {where} {what}: damaged, or not of a compiled transformer. Copy the whole pipeline again."
