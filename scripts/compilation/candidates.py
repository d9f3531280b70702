"""The ways to run an encoder that the search tries."""

import importlib.util
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import spacy
import torch
from numpy import ndarray
from spacy.tokens import Doc

from ..common.corpora import choose_docs, choose_evenly
from ..common.files import replace_when_done
from ..common.machine import FAST_WITH, get_cpu_features
from . import build_nebullvm, build_onnxruntime, build_openvino, build_torch
from .artefact_writer import finish_artefact
from .export import export_onnx
from .reference import Reference
from .swap import assemble
from .validation import PipelineScorer

CALIBRATION_WINDOWS = 128
VALIDATION_WORDS = 6000
INSTALL_HINTS = {"nebullvm": "Run `python -m spacy project run setup`."}


class Workbench(NamedTuple):
    """What builders work with."""

    reference: Reference
    train: List[Doc]  # for calibration; never dev or test
    dev: List[Doc]  # for quantization that watches the entities
    max_f1_drop: float
    folder: Path  # for files that several builders share

    @property
    def skeleton(self) -> Path:
        """The compiled pipeline without its encoder, see `swap.py`."""
        return self.folder / "skeleton"

    @property
    def exported(self) -> Path:
        """The encoder as float32 ONNX, exported when first asked for."""
        path = self.folder / "exported.onnx"
        if not path.is_file():
            with replace_when_done(path) as unfinished:
                export_onnx(self.reference.encoder, unfinished)
        return path

    @property
    def calibration(self) -> List[Dict[str, ndarray]]:
        """Windows of train text as the encoder's inputs, each (1, length)."""
        texts = self.reference.cut_texts(self.train)
        return [
            dict(self.reference.tokenizer(text, truncation=True, return_token_type_ids=False, return_tensors="np"))
            for text in choose_evenly(texts, CALIBRATION_WINDOWS)
        ]


class Candidate(NamedTuple):
    """One engine and precision.

    name (str): Unique name.
    engine (str): The engine that runs it: what has to be installed where the pipeline is used.
    precision (str): Numbers that it computes with.
    build (Callable): Writes the engine's files into a folder; may return lines about how it went.
    needs (List[str]): Packages that building takes beside the engine, by the names that are imported.
    options (Dict[str, Any]): The engine's own settings that belong to the artefact.
    device (str): "cpu" or "cuda".
    """

    name: str
    engine: str
    precision: str
    build: Callable[[Workbench, Path], Optional[List[str]]]
    needs: List[str] = []
    options: Dict[str, Any] = {}
    device: str = "cpu"

    def why_not(self, gpu: int = 0) -> Optional[str]:
        """Say why it can't be tried on this machine, with what to do.

        gpu (int): GPU of the reference, -1 for the CPU.
        RETURNS (Optional[str]): The reason, None if it can.
        """
        missing = [package for package in (self.engine, *self.needs) if importlib.util.find_spec(package) is None]
        if missing:
            hint = INSTALL_HINTS.get(missing[0], f"Run `pip install {' '.join(missing)}`.")
            return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed. {hint}"
        if self.device == "cuda":
            without = "the trained pipeline runs on the CPU. Give `--gpu 0` to run both on a GPU" if gpu < 0 else None
            return why_no_gpu(self.engine, self.options.get("providers", ["CUDAExecutionProvider"])) or without
        features = get_cpu_features()
        if "bf16" in self.precision and not set(FAST_WITH["bf16"]) & set(features):
            return f"this CPU has no {' or '.join(FAST_WITH['bf16'])}, without which bf16 is far slower than fp32"
        return None


def why_no_gpu(engine: str, providers: List[str]) -> Optional[str]:
    """RETURNS (Optional[str]): Why an engine can't use a GPU here, None if it can."""
    if not torch.cuda.is_available():
        return "no GPU was found (torch.cuda.is_available() is false)"
    missing = set(providers) - build_onnxruntime.get_providers() if engine == "onnxruntime" else set()
    if missing:
        tensorrt = " tensorrt" if "TensorrtExecutionProvider" in missing else ""
        return (
            f"this onnxruntime has no {' and no '.join(sorted(missing))}. Run `pip install onnxruntime-gpu{tensorrt}`."
        )
    return None


def with_onnx(build: Callable, workbench: Workbench, folder: Path) -> Optional[List[str]]:
    return build(workbench.exported, workbench.reference.encoder.config, folder)


def with_onnx_and_calibration(build: Callable, workbench: Workbench, folder: Path) -> None:
    build(workbench.exported, workbench.calibration, folder)


def with_openvino(half_size: bool, workbench: Workbench, folder: Path) -> None:
    build_openvino.build_float(workbench.exported, folder, half_size=half_size)


def with_torch(workbench: Workbench, folder: Path) -> None:
    build_torch.build(workbench.reference.encoder, folder)


def with_accuracy_control(workbench: Workbench, folder: Path) -> List[str]:
    """Quantize with the entity F1 of the whole pipeline on a part of dev as the metric."""
    pipeline = workbench.folder / "validation"
    shutil.rmtree(pipeline, ignore_errors=True)
    artefact_folder = workbench.folder / "validation-artefact"
    artefact_folder.mkdir(exist_ok=True)
    artefact = finish_artefact(workbench.reference, artefact_folder, "openvino", "fp32")
    transformer = workbench.reference.transformer.name
    assemble(workbench.skeleton, artefact, transformer, pipeline)
    gold = choose_docs(workbench.dev, VALIDATION_WORDS)
    scorer = PipelineScorer(spacy.load(pipeline), transformer, gold)
    return build_openvino.build_accurate_int8(
        workbench.exported, workbench.calibration, scorer, len(gold), workbench.max_f1_drop, folder
    )


def get_candidates() -> List[Candidate]:
    """RETURNS (List[Candidate]): All candidates: a safe one, then the most promising and the cheapest to build."""
    onnx_int8 = partial(with_onnx_and_calibration, build_onnxruntime.build_static_int8)
    openvino_int8 = partial(with_onnx_and_calibration, build_openvino.build_int8)
    # What TensorRT has no operation for runs in CUDA.
    tensorrt = {"providers": ["TensorrtExecutionProvider", "CUDAExecutionProvider"]}
    f32, bf16 = {"INFERENCE_PRECISION_HINT": "f32"}, {"INFERENCE_PRECISION_HINT": "bf16"}
    # fmt: off
    return [
        Candidate("onnxruntime-fp32", "onnxruntime", "fp32", partial(with_onnx, build_onnxruntime.build_fp32)),
        Candidate("openvino-bf16", "openvino", "bf16", partial(with_openvino, True), [], bf16),
        Candidate("onnxruntime-int8", "onnxruntime", "int8", partial(with_onnx, build_onnxruntime.build_int8)),
        Candidate("openvino-int8", "openvino", "int8", openvino_int8, ["nncf"], f32),
        Candidate("openvino-int8-bf16", "openvino", "int8+bf16", openvino_int8, ["nncf"], bf16),
        Candidate("torch-fp16-cuda", "torch", "fp16", with_torch, [], {"dtype": "float16"}, "cuda"),
        Candidate("onnxruntime-fp16-cuda", "onnxruntime", "fp16", partial(with_onnx, build_onnxruntime.build_fp16), [], {}, "cuda"),
        Candidate("onnxruntime-fp16-tensorrt", "onnxruntime", "fp16", partial(with_onnx, build_onnxruntime.build_fp16), [], tensorrt, "cuda"),
        Candidate("openvino-fp32", "openvino", "fp32", partial(with_openvino, False), [], f32),
        Candidate("torch-bf16", "torch", "bf16", with_torch, [], {"dtype": "bfloat16"}),
        Candidate("torch-fp32", "torch", "fp32", with_torch, [], {"dtype": "float32"}),
        Candidate("nebullvm", "onnxruntime", "fp32", partial(with_onnx, build_nebullvm.build), ["nebullvm"]),
        Candidate("onnxruntime-int8-static", "onnxruntime", "int8", onnx_int8),
        Candidate("openvino-int8-accurate", "openvino", "int8", with_accuracy_control, ["nncf"], f32),
        Candidate("torch-bf16-compile", "torch", "bf16", with_torch, [], {"dtype": "bfloat16", "compile": True}),
    ]
    # fmt: on
