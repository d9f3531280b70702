"""The ways to run an encoder that the search tries."""

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from numpy import ndarray
from spacy.tokens import Doc

from ..compiled_transformer import get_strided_windows
from . import build_nebullvm, build_onnxruntime, build_openvino
from .export import export_onnx
from .machine import FAST_WITH, get_cpu_features
from .reference import Reference

CALIBRATION_WINDOWS = 128
INSTALL_HINTS = {"nebullvm": "Run `python -m spacy project run setup`."}


class Workbench(NamedTuple):
    """What builders work with."""

    reference: Reference
    train: List[Doc]  # for calibration; never dev or test
    folder: Path  # for files that several builders share

    @property
    def exported(self) -> Path:
        """The encoder as float32 ONNX, exported when first asked for."""
        path = self.folder / "exported.onnx"
        if not path.is_file():
            export_onnx(self.reference.encoder, path)
        return path

    @property
    def calibration(self) -> List[Dict[str, ndarray]]:
        """Windows of train text as the encoder's inputs, each (1, length)."""
        window = self.reference.settings.get("window", self.reference.max_length // 2)
        texts = [
            doc[start:end].text for doc in self.train for start, end in get_strided_windows(len(doc), window, window)
        ]
        step = max(1, len(texts) // CALIBRATION_WINDOWS)
        return [
            dict(
                self.reference.tokenizer(
                    text, truncation=True, return_token_type_ids=False, return_tensors="np"
                )
            )
            for text in texts[::step][:CALIBRATION_WINDOWS]
        ]


class Candidate(NamedTuple):
    """One engine and precision.

    name (str): Unique name.
    engine (str): The engine that runs it: what has to be installed where the pipeline is used.
    precision (str): Numbers that it computes with.
    build (Callable): Writes the engine's files into a folder; may return lines about how it went.
    needs (List[str]): Packages that building takes, by the names that are imported.
    options (Dict[str, Any]): The engine's own settings that belong to the artefact.
    """

    name: str
    engine: str
    precision: str
    build: Callable[[Workbench, Path], Optional[List[str]]]
    needs: List[str]
    options: Dict[str, Any] = {}

    def why_not(self) -> Optional[str]:
        """RETURNS (Optional[str]): Why it can't be tried on this machine, with what to do; None if it can."""
        missing = [package for package in self.needs if importlib.util.find_spec(package) is None]
        if missing:
            hint = INSTALL_HINTS.get(missing[0], f"Run `pip install {missing[0]}`.")
            return f"{' and '.join(missing)} is not installed. {hint}"
        if "bf16" in self.precision and not set(FAST_WITH["bf16"]) & set(get_cpu_features()):
            return f"this CPU has no {' or '.join(FAST_WITH['bf16'])}, without which bf16 is far slower than fp32"
        return None


def with_onnx(build: Callable, workbench: Workbench, folder: Path) -> Optional[List[str]]:
    return build(workbench.exported, workbench.reference.encoder.config, folder)


def with_openvino(half_size: bool, workbench: Workbench, folder: Path) -> None:
    build_openvino.build_float(workbench.exported, folder, half_size=half_size)


def with_calibration(workbench: Workbench, folder: Path) -> None:
    build_openvino.build_int8(workbench.exported, workbench.calibration, folder)


def get_candidates() -> List[Candidate]:
    """RETURNS (List[Candidate]): All candidates, the simplest first: ties go to the one that stands earlier."""
    f32, bf16 = {"INFERENCE_PRECISION_HINT": "f32"}, {"INFERENCE_PRECISION_HINT": "bf16"}
    # fmt: off
    return [
        Candidate("onnxruntime-fp32", "onnxruntime", "fp32", partial(with_onnx, build_onnxruntime.build_fp32), ["onnxruntime"]),
        Candidate("onnxruntime-int8", "onnxruntime", "int8", partial(with_onnx, build_onnxruntime.build_int8), ["onnxruntime"]),
        Candidate("nebullvm", "onnxruntime", "fp32", partial(with_onnx, build_nebullvm.build), ["nebullvm", "onnxruntime"]),
        Candidate("openvino-fp32", "openvino", "fp32", partial(with_openvino, False), ["openvino"], f32),
        Candidate("openvino-bf16", "openvino", "bf16", partial(with_openvino, True), ["openvino"], bf16),
        Candidate("openvino-int8", "openvino", "int8", with_calibration, ["openvino", "nncf"], f32),
        Candidate("openvino-int8-bf16", "openvino", "int8+bf16", with_calibration, ["openvino", "nncf"], bf16),
    ]
    # fmt: on
