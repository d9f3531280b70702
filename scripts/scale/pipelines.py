"""Find a pipeline, by folder or by name, and load it in a worker."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import spacy
from spacy.language import Language
from spacy.util import load_config

from ..console import UserError

COMPILED = "compiled_transformer"


class Pipeline(NamedTuple):
    """A pipeline that was found, but not loaded."""

    name: str  # what `spacy.load` takes
    folder: Path
    is_package: bool
    compiled: List[str]  # names of its compiled transformers


def find_pipeline(name: str) -> Pipeline:
    """Find a pipeline without importing it.

    name (str): A folder, or the name of an installed package.
    RETURNS (Pipeline): The pipeline.
    RAISES (UserError): If there is none.
    """
    folder, is_package = Path(name).resolve(), False
    if not (folder / "config.cfg").is_file():
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
        places = spec.submodule_search_locations if spec else None
        configs = [config for place in places or () for config in sorted(Path(place).glob(f"{name}-*/config.cfg"))]
        if not configs:
            raise UserError(
                f"There is no pipeline at {name}, as a folder or an installed package. Make one with "
                "`python -m spacy project run optimize`, or install its wheel with pip."
            )
        folder, is_package = configs[0].parent, True
    components = load_config(folder / "config.cfg").get("components", {})
    compiled = [component for component, config in components.items() if config.get("factory") == COMPILED]
    return Pipeline(name if is_package else str(folder), folder, is_package, compiled)


def get_digest(pipeline: Pipeline) -> str:
    """RETURNS (str): SHA-256 over all files of the pipeline, which tells whether it is still the same."""
    digest = hashlib.sha256()
    for path in sorted(path for path in pipeline.folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(pipeline.folder)).encode("utf8"))
        with path.open("rb") as file_:
            digest.update(hashlib.file_digest(file_, "sha256").digest())
    return digest.hexdigest()


def load_pipeline(name: str, is_package: bool, compiled: List[str], threads: int, use_gpu: bool) -> Language:
    """Load a pipeline and run it once, which starts its engine.

    name (str): What `spacy.load` takes.
    is_package (bool): The package brings its own compiled component; importing the project's too would replace it.
    compiled (List[str]): Names of its compiled transformers.
    threads (int): Threads it may use.
    use_gpu (bool): Run on the GPU that this process was given.
    """
    settings: Dict[str, Any] = {}
    for component in compiled:
        settings[f"components.{component}.threads"] = threads
        if use_gpu:
            settings[f"components.{component}.device"] = "cuda"
    if compiled and not is_package:
        importlib.import_module("scripts.compiled_transformer")
    if use_gpu and not compiled:
        spacy.require_gpu()
    nlp = spacy.load(name, config=settings)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    # Memory is bounded by words a batch and by cutting long documents, not by refusing them.
    nlp.max_length = sys.maxsize
    nlp("A first text starts the engine.")
    return nlp
