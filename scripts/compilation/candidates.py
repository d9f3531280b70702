"""The ways to run an encoder that the search tries."""

import importlib.util
import shutil
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import spacy
import torch
from spacy.tokens import Doc

from ..common.console import UserError
from ..common.corpora import choose_docs
from ..common.files import replace_when_done
from ..common.machine import FAST_WITH, get_cpu_features
from ..compiled_transformer.arrangement import make_batches
from ..compiled_transformer.artefact import PACKED_INPUTS, PADDED_INPUTS
from ..compiled_transformer.batches import Inputs
from . import build_nebullvm, build_onnxruntime, build_openvino, build_torch
from .artefact_writer import finish_artefact, get_pad_id
from .compilable import Compilable
from .curated_encoder import WeightedLayers
from .export import export_onnx, get_padding_position, sees_padding, takes_packed_windows
from .swap import assemble
from .validation import PipelineScorer

CALIBRATION_WINDOWS = 128
VALIDATION_WORDS = 6000
INSTALL_HINTS = {"nebullvm": "Run `python -m spacy project run setup`."}


@dataclass
class Workbench:
    """What builders work with."""

    reference: Compilable
    train: List[Doc]  # for calibration; never dev or test
    dev: List[Doc]  # with gold entities, for the gate and for quantization that watches them; may be empty
    max_f1_drop: float
    folder: Path  # for files that several builders share

    @property
    def timed(self) -> List[Doc]:
        """What speed is measured on."""
        return self.dev or self.train

    @property
    def skeleton(self) -> Path:
        """The compiled pipeline without its encoder, see `swap.py`."""
        return self.folder / "skeleton"

    @cached_property
    def inputs(self) -> Sequence[str]:
        """The encoder's inputs: for packed windows where it takes them, else for padded ones."""
        return PACKED_INPUTS if takes_packed_windows(self.reference.encoder) else PADDED_INPUTS

    @property
    def exported(self) -> Path:
        """The encoder as float32 ONNX, exported when first asked for."""
        return self._export("exported.onnx", self.inputs)

    @property
    def exported_padded(self) -> Path:
        """The same for padded windows, with the attention that engines for GPUs and nebullvm know."""
        return self._export("padded.onnx", PADDED_INPUTS)

    def _export(self, name: str, inputs: Sequence[str]) -> Path:
        path = self.folder / name
        if not path.is_file():
            with replace_when_done(path) as unfinished:
                export_onnx(self.reference.encoder, unfinished, inputs)
        return path

    @property
    def calibration(self) -> List[Inputs]:
        """Rows of train text as the encoder's inputs, each (1, length)."""
        wordpieces = self.reference.cut_windows(self.train, CALIBRATION_WINDOWS)
        manifest = {
            "inputs": self.inputs,
            "exact_lengths": sees_padding(self.reference.encoder),
            "max_length": self.reference.max_length,
            "pad_id": get_pad_id(self.reference),
            "padding_position": get_padding_position(self.reference.encoder),
        }
        settings = {"threads": 1, "device": "cpu", "warm_up_lengths": [], "batch_wordpieces": 1}
        batches = make_batches(wordpieces, manifest, settings)
        return [batch.inputs for batch in batches]


class Candidate(NamedTuple):
    """One engine and precision.

    name (str): Unique name.
    engine (str): The engine that runs it: what has to be installed where the pipeline is used.
    precision (str): Numbers that it computes with.
    build (Callable): Writes the engine's files into a folder; may return lines about how it went.
    needs (List[str]): Packages that building takes beside the engine, by the names that are imported.
    options (Dict[str, Any]): The engine's own settings that belong to the artefact.
    device (str): "cpu" or "cuda".
    packs (bool): Put several windows into a row, if the encoder takes them.
    always (bool): Try it even when the budget is used up; it has a time limit of its own.
    """

    name: str
    engine: str
    precision: str
    build: Callable[[Workbench, Path], Optional[List[str]]]
    needs: List[str] = []
    options: Dict[str, Any] = {}
    device: str = "cpu"
    packs: bool = True
    always: bool = False

    def get_inputs(self, workbench: Workbench) -> Sequence[str]:
        """Name the inputs of what is built."""
        return workbench.inputs if self.packs else PADDED_INPUTS

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
    """Say why an engine can't use a GPU here; None if it can."""
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


def with_padded_onnx(build: Callable, workbench: Workbench, folder: Path) -> Optional[List[str]]:
    return build(workbench.exported_padded, workbench.reference.encoder.config, folder)


def with_onnx_and_calibration(build: Callable, workbench: Workbench, folder: Path) -> None:
    build(workbench.exported, workbench.calibration, folder)


def with_openvino(half_size: bool, workbench: Workbench, folder: Path) -> None:
    build_openvino.build_float(workbench.exported, folder, half_size=half_size)


def with_torch(workbench: Workbench, folder: Path) -> None:
    if isinstance(workbench.reference.encoder, WeightedLayers):
        raise ValueError("transformers has no encoder that gives a weighted sum of its layers")
    build_torch.build(workbench.reference.encoder, folder)


def with_accuracy_control(workbench: Workbench, folder: Path) -> List[str]:
    """Quantize with the entity F1 of the whole pipeline on a part of dev as the metric.

    RAISES (UserError): If there is no gold.
    """
    if not workbench.dev:
        raise UserError("it watches the entity F1, and there is no gold. Give a dev corpus")
    pipeline = workbench.folder / "validation"
    shutil.rmtree(pipeline, ignore_errors=True)
    artefact_folder = workbench.folder / "validation-artefact"
    artefact_folder.mkdir(exist_ok=True)
    shutil.copy(workbench.exported, artefact_folder / "encoder.onnx")
    artefact = finish_artefact(workbench.reference, artefact_folder, "onnxruntime", "fp32", inputs=workbench.inputs)
    transformer = workbench.reference.transformer.name
    assemble(workbench.skeleton, artefact, transformer, pipeline)
    gold = choose_docs(workbench.dev, VALIDATION_WORDS)
    scorer = PipelineScorer(spacy.load(pipeline), transformer, gold)
    return build_openvino.build_accurate_int8(
        workbench.exported, workbench.calibration, scorer, len(gold), workbench.max_f1_drop, folder
    )


def get_candidates() -> List[Candidate]:
    """List all candidates: a safe one, then the most promising and the cheapest to build."""
    onnx_int8 = partial(with_onnx_and_calibration, build_onnxruntime.build_static_int8)
    openvino_int8 = partial(with_onnx_and_calibration, build_openvino.build_int8)
    # What TensorRT has no operation for runs in CUDA.
    tensorrt = {"providers": ["TensorrtExecutionProvider", "CUDAExecutionProvider"]}
    f32, bf16 = {"INFERENCE_PRECISION_HINT": "f32"}, {"INFERENCE_PRECISION_HINT": "bf16"}
    # fmt: off
    return [
        Candidate("onnxruntime-fp32", "onnxruntime", "fp32", partial(with_onnx, build_onnxruntime.build_fp32)),
        Candidate("openvino-int8", "openvino", "int8", openvino_int8, ["nncf"], f32),
        Candidate("nebullvm", "onnxruntime", "fp32", partial(with_padded_onnx, build_nebullvm.build), ["nebullvm"], packs=False, always=True),
        Candidate("openvino-bf16", "openvino", "bf16", partial(with_openvino, True), [], bf16),
        Candidate("openvino-int8-bf16", "openvino", "int8+bf16", openvino_int8, ["nncf"], bf16),
        Candidate("onnxruntime-int8", "onnxruntime", "int8", partial(with_onnx, build_onnxruntime.build_int8)),
        Candidate("torch-fp16-cuda", "torch", "fp16", with_torch, [], {"dtype": "float16"}, "cuda", packs=False),
        Candidate("onnxruntime-fp16-cuda", "onnxruntime", "fp16", partial(with_padded_onnx, build_onnxruntime.build_fp16), [], {}, "cuda", packs=False),
        Candidate("onnxruntime-fp16-tensorrt", "onnxruntime", "fp16", partial(with_padded_onnx, build_onnxruntime.build_fp16), [], tensorrt, "cuda", packs=False),
        Candidate("openvino-fp32", "openvino", "fp32", partial(with_openvino, False), [], f32),
        Candidate("torch-bf16", "torch", "bf16", with_torch, [], {"dtype": "bfloat16"}),
        Candidate("torch-fp32", "torch", "fp32", with_torch, [], {"dtype": "float32"}),
        Candidate("onnxruntime-int8-static", "onnxruntime", "int8", onnx_int8),
        Candidate("openvino-int8-accurate", "openvino", "int8", with_accuracy_control, ["nncf"], f32),
        Candidate("torch-bf16-compile", "torch", "bf16", with_torch, [], {"dtype": "bfloat16", "compile": True}),
    ]
    # fmt: on
