"""The ways to run an encoder that the search tries."""

import importlib.util
from functools import partial
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional

from . import build_nebullvm, build_onnxruntime
from .export import export_onnx
from .reference import Reference


class Workbench(NamedTuple):
    """What builders work with."""

    reference: Reference
    folder: Path  # for files that several builders share

    @property
    def exported(self) -> Path:
        """The encoder as float32 ONNX, exported when first asked for."""
        path = self.folder / "exported.onnx"
        if not path.is_file():
            export_onnx(self.reference.encoder, path)
        return path


class Candidate(NamedTuple):
    """One engine and precision.

    name (str): Unique name.
    engine (str): The engine that runs it: what has to be installed where the pipeline is used.
    precision (str): Numbers that it computes with.
    build (Callable): Writes the engine's files into a folder; may return lines about how it went.
    needs (List[str]): Packages that building takes, by the names that are imported.
    """

    name: str
    engine: str
    precision: str
    build: Callable[[Workbench, Path], Optional[List[str]]]
    needs: List[str]

    def why_not(self) -> Optional[str]:
        """RETURNS (Optional[str]): Why it can't be tried on this machine, with what to do; None if it can."""
        missing = [package for package in self.needs if importlib.util.find_spec(package) is None]
        if missing:
            return f"{' and '.join(missing)} not installed. {INSTALL_HINTS.get(missing[0], 'pip install ' + missing[0])}"
        return None


INSTALL_HINTS = {"nebullvm": "Run `python -m spacy project run setup`."}


def build_with_onnx(build: Callable, workbench: Workbench, folder: Path) -> Optional[List[str]]:
    return build(workbench.exported, workbench.reference.encoder.config, folder)


def get_candidates() -> List[Candidate]:
    """RETURNS (List[Candidate]): All candidates, the simplest first: ties go to the one that stands earlier."""
    return [
        Candidate(
            "onnxruntime-fp32",
            "onnxruntime",
            "fp32",
            partial(build_with_onnx, build_onnxruntime.build_fp32),
            ["onnxruntime"],
        ),
        Candidate(
            "onnxruntime-int8",
            "onnxruntime",
            "int8",
            partial(build_with_onnx, build_onnxruntime.build_int8),
            ["onnxruntime"],
        ),
        Candidate(
            "nebullvm",
            "onnxruntime",
            "fp32",
            partial(build_with_onnx, build_nebullvm.build),
            ["nebullvm", "onnxruntime"],
        ),
    ]
