"""Pipelines: find one by folder or by name, tell whether it is still the same, and load it."""

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import spacy
import srsly
from spacy.language import Language
from spacy.util import load_config
from thinc.api import Config

from ..compiled_transformer.artefact import MANIFEST
from ..compiled_transformer.component import FACTORY as TRANSFORMER
from ..compiled_transformer.ner import FACTORY as GREEDY_NER
from ..compiled_transformer.token_classification import FACTORY as TOKEN_CLASSIFIER
from .console import UserError

COMPILED = (TRANSFORMER, TOKEN_CLASSIFIER)  # The components with a compiled encoder


class Pipeline(NamedTuple):
    """A pipeline that was found, but not loaded."""

    name: str  # what `spacy.load` takes
    folder: Path
    config: Dict[str, Any]
    meta: Dict[str, Any]

    @property
    def compiled(self) -> List[str]:
        """Names of its components with a compiled encoder."""
        components = self.config.get("components", {})
        return [name for name, block in components.items() if block.get("factory") in COMPILED]

    @property
    def scores_entities(self) -> bool:
        """Whether it can say how sure it is of entities, see `GreedyEntityRecognizer.is_greedy`.

        Where tokens are merged afterwards, spaCy leaves span groups behind that have the old ones.
        """
        blocks = list(self.config.get("components", {}).values())
        models = [block.get("model", {}) for block in blocks if block.get("factory") == GREEDY_NER]
        is_greedy = any(model.get("use_upper") is False and not model.get("extra_state_tokens") for model in models)
        return is_greedy and not any(merges_tokens(block.get("factory", "")) for block in blocks)


def merges_tokens(factory: str) -> bool:
    """Tell whether a component such as `merge_entities` changes what the tokens of a Doc are."""
    return Language.has_factory(factory) and Language.get_factory_meta(factory).retokenizes


def require_scores(pipeline: Pipeline, otherwise: str) -> None:
    """Check that a pipeline can say how sure it is of entities.

    otherwise (str): What to do if it can't, beside compiling it.
    RAISES (UserError): If it can't.
    """
    if not pipeline.scores_entities:
        raise UserError(
            f"{pipeline.name} does not say how sure it is of entities: that takes a compiled pipeline whose ner has "
            "`use_upper = false`, and no component that merges tokens. Compile it (`python -m scripts.optimize`, see its "
            f"--help), or {otherwise}."
        )


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
            of_spacy = f", one of spaCy's own with `python -m spacy download {name}`" if name.isidentifier() else ""
            raise UserError(
                f"There is no pipeline at {name}, as a folder or an installed package. Make one with `python -m spacy project "
                "run train`, and compile it with `python -m spacy project run optimize`, or install a wheel with "
                f"pip{of_spacy}."
            )
        folder, is_package = configs[0].parent, True
    return Pipeline(name if is_package else str(folder), folder, read_config(folder), read_meta(folder))


def read_config(folder: Path) -> Config:
    """Read a pipeline's config before anything of it is loaded.

    RAISES (UserError): If it is damaged.
    """
    return read_or_refuse(folder / "config.cfg", load_config)


def read_meta(folder: Path) -> Dict[str, Any]:
    """Read what a pipeline says of itself, its name and version among it.

    RAISES (UserError): If it is missing or damaged.
    """
    return read_or_refuse(folder / "meta.json", parse_meta)


def parse_meta(path: Path) -> Dict[str, Any]:
    """Read a meta.json.

    RAISES (ValueError): If it is not JSON, or lacks what names a pipeline.
    """
    meta = srsly.read_json(path)
    missing = [key for key in ("lang", "name", "version") if not isinstance(meta, dict) or key not in meta]
    if missing:
        raise ValueError(f"it has no {missing[0]!r}")
    return meta


def read_or_refuse(path: Path, read: Callable[[Path], Any]) -> Any:
    """Read a file of a pipeline that may be damaged.

    RAISES (UserError): If it is.
    """
    try:
        return read(path)
    except Exception as error:  # Parsers raise errors of many kinds.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"Can't read {path}: {reason.rstrip('.')}. Make or copy the pipeline again.") from error


def find_recognizers(nlp: Language) -> List[str]:
    """Name the components of a loaded pipeline that can say how sure they are of entities."""
    names = [name for name in nlp.pipe_names if nlp.get_pipe_meta(name).factory == GREEDY_NER]
    return [name for name in names if nlp.get_pipe(name).is_greedy]


def switch_scores(nlp: Language, on: bool) -> None:
    """Let all components of a pipeline that can say how sure they are of entities do so, or stop."""
    for name in find_recognizers(nlp):
        nlp.get_pipe(name).scores = on


def find_folder(pipeline: Path) -> Path:
    """Find the folder of a pipeline that is given as a folder or as the name of an installed package.

    pipeline (Path): What was given.
    RETURNS (Path): Its folder, or what was given if there is no such package.
    """
    name = str(pipeline)
    if (pipeline / "config.cfg").is_file() or not name.isidentifier() or importlib.util.find_spec(name) is None:
        return pipeline
    return find_pipeline(name).folder


def check_pipelines(reference: Path, compiled: Path) -> None:
    """Check that there are two pipelines to compare.

    RAISES (UserError): If one of the two folders holds no pipeline.
    """
    for path, kind, make_it in (
        (reference, "trained", "Train one with `python -m spacy project run train`."),
        (compiled, "compiled", "Compile one with `python -m spacy project run optimize`."),
    ):
        if not (path / "config.cfg").is_file():
            raise UserError(f"There is no {kind} pipeline in {path}. {make_it}")


def read_engine(compiled: Path) -> Dict[str, str]:
    """Read what runs a compiled pipeline.

    RETURNS (Dict[str, str]): Its "engine" and "precision".
    RAISES (UserError): If the folder holds no compiled pipeline.
    """
    manifests = [srsly.read_json(path) for path in compiled.glob(f"*/{MANIFEST}")]
    if not manifests:
        raise UserError(
            f"{compiled} has no compiled transformer. Make one with `python -m spacy project run optimize`."
        )
    return {key: manifests[0][key] for key in ("engine", "precision")}


def get_folder_digest(folder: Path) -> str:
    """Digest all files of a folder, to tell whether it is still the same.

    RETURNS (str): SHA-256 over their names and contents, in hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode("utf8"))
        with path.open("rb") as file_:
            digest.update(hashlib.file_digest(file_, "sha256").digest())
    return digest.hexdigest()


def require_gpu(gpu: int) -> None:
    """Check that there is a GPU if one is asked for.

    gpu (int): Its number, -1 for the CPU.
    RAISES (UserError): If there is none.
    """
    if gpu < 0:
        return
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            f"GPU {gpu} was asked for, but torch finds no GPU here. Use `--vars.gpu -1` for the CPU, "
            "or install a torch build with CUDA."
        )


def load_pipeline(name: str, compiled: List[str], threads: int, use_gpu: bool) -> Language:
    """Load a pipeline and run it once, which starts its engine.

    name (str): What `spacy.load` takes.
    compiled (List[str]): Names of its components with a compiled encoder.
    threads (int): Threads it may use.
    use_gpu (bool): Run on the GPU that this process was given.
    RETURNS (Language): The pipeline, which takes documents of any length.
    """
    settings: Dict[str, Any] = {}
    for component in compiled:
        settings[f"components.{component}.threads"] = threads
        if use_gpu:
            settings[f"components.{component}.device"] = "cuda"
    if use_gpu and not compiled:
        spacy.require_gpu()
    nlp = spacy.load(name, config=settings)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    # Memory is bounded by words a batch and by cutting long documents, not by refusing them.
    nlp.max_length = sys.maxsize
    nlp("A first text starts the engine.")
    return nlp
