"""Start the engine that an artefact is made for: onnxruntime, OpenVINO or torch."""

import json
import os
import sys
import warnings
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional

import numpy
from thinc.types import Floats3d

from .batches import Inputs
from .cpu import count_affine_cores
from .processes import INHERITED

Engine = Callable[[Inputs], Floats3d]


def make_inputs(manifest: Dict[str, Any], length: int) -> Inputs:
    """Make the inputs of one window, to run an engine for the first time."""
    return {name: numpy.ones((1, length), dtype="int64") for name in manifest["inputs"]}


def start_engine(
    manifest: Dict[str, Any],
    files: Dict[str, bytes],
    device: str,
    threads: int,
    streams: int,
    length: Optional[int] = None,
    shared: Optional[Dict[str, Any]] = None,
) -> Engine:
    """Start the engine that an artefact is made for.

    manifest (Dict[str, Any]): The artefact's.
    files (Dict[str, bytes]): Its files by name.
    device (str): "cpu" or "cuda".
    threads (int): Threads of the engine.
    streams (int): Calls that run at once and share the threads.
    length (Optional[int]): Take only one row of this length at a time. None takes any number and length.
    shared (Optional[Dict[str, Any]]): Keeps what was read of the files for the artefact's other engines in this process, so that the
        weights are in memory once. None for a single engine.
    RETURNS (Engine): Inputs, each (n_rows, length), to vectors, float32 (n_rows, length, width).
    RAISES (ValueError): If the engine is unknown, or has no such device.
    RAISES (ImportError): If the engine is not installed.
    """
    name = manifest["engine"]
    if name not in ENGINES:
        raise ValueError(f"This pipeline runs on {name!r}. This version knows: {', '.join(ENGINES)}.")
    try:
        return ENGINES[name](manifest, files, device, threads, streams, length, {} if shared is None else shared)
    except ImportError as error:
        raise ImportError(
            f"This pipeline's transformer runs on {name}, which can't be imported ({error}). "
            f"Install it: pip install {' '.join(manifest['requirements'])}"
        ) from error


def start_onnxruntime(manifest, files, device: str, threads: int, streams: int, *_: Any) -> Engine:
    """Run encoder.onnx with onnxruntime, https://onnxruntime.ai."""
    os.environ.setdefault(
        "ORT_DISABLE_TELEMETRY", "1"
    )  # Read at the import; else it writes files into the home folder.
    import onnxruntime

    on_gpu = manifest["options"].get("providers", ["CUDAExecutionProvider"])
    providers = on_gpu if device == "cuda" else ["CPUExecutionProvider"]
    missing = set(providers) - set(onnxruntime.get_available_providers())
    if missing:
        raise ValueError(
            f"Setting 'device' is {device!r}, but this onnxruntime has no {' and no '.join(sorted(missing))}. "
            "Set 'device' to 'cpu', or install onnxruntime-gpu."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads // streams
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # Errors are raised.
    session = onnxruntime.InferenceSession(files["encoder.onnx"], options, providers=providers)

    def run(inputs: Inputs) -> Floats3d:
        return session.run(None, inputs)[0]

    return run


def start_openvino(
    manifest, files, device: str, threads: int, streams: int, length: Optional[int], shared: Dict[str, Any]
) -> Engine:
    """Run encoder.xml and encoder.bin with OpenVINO, https://docs.openvino.ai."""
    openvino = import_openvino()
    if device != "cpu":
        raise ValueError(
            f"Setting 'device' is {device!r}, but this pipeline was built for OpenVINO on the CPU. Set 'cpu'."
        )
    if not shared:
        shared["core"] = openvino.Core()
        shared["encoder"] = shared["core"].read_model(model=files["encoder.xml"], weights=files["encoder.bin"])
    core, encoder = shared["core"], shared["encoder"]
    if length is not None:
        encoder = encoder.clone()
        encoder.reshape({name: [1, length] for name in manifest["inputs"]})
    model = core.compile_model(
        encoder,
        "CPU",
        {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            # Two processes that have a part of the cores each would both pin their threads to the first ones.
            "ENABLE_CPU_PINNING": threads >= count_affine_cores(),
            **manifest["options"],
        },
    )
    run = run_openvino(model)
    # Its Python layer sets itself up in the first call, and hangs if two threads make it at once: each waits for what the
    # other holds, Python's lock and that of a C++ static.
    run(make_inputs(manifest, length or 1))
    return run


def run_openvino(model: Any) -> Engine:
    """Wrap an `openvino.CompiledModel` so that any Python thread may call it."""
    # A request holds the buffers of one call at a time.
    idle: Deque = deque()

    def run(inputs: Inputs) -> Floats3d:
        try:
            request = idle.pop()
        except IndexError:
            request = model.create_infer_request()
        vectors = request.infer(inputs, share_inputs=True)[0]
        idle.append(request)
        return vectors

    return run


def import_openvino() -> Any:
    """Import OpenVINO without the package through which it reports its use to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def start_torch(
    manifest, files, device: str, threads: int, streams: int, length: Optional[int], shared: Dict[str, Any]
) -> Engine:
    """Run model.safetensors with torch and transformers, in the precision that the manifest asks for."""
    import torch

    if device == "cpu" and threads > streams and "torch" in INHERITED:
        warnings.warn(
            "This process was forked from one in which torch had computed, and can use only one of its threads. Make the "
            "first call of the pipeline after the fork, or load the pipeline in the process that uses it.",
            stacklevel=2,
        )
        threads = streams
        torch.set_num_threads(1)
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("Setting 'device' is 'cuda', but torch finds no GPU. Set 'device' to 'cpu'.")
    if not shared:
        shared["encoder"] = read_torch(manifest, files, device)
    encoder = shared["encoder"]

    def run(inputs: Inputs) -> Floats3d:
        # The number belongs to the thread, not to the engine: another engine may have set it.
        if device == "cpu" and torch.get_num_threads() != threads // streams:
            torch.set_num_threads(threads // streams)
        tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
        with torch.inference_mode():
            return encode(encoder, tensors).float().cpu().numpy()

    return run


def read_torch(manifest, files, device: str) -> Any:
    """Make the model that model.safetensors has the weights of.

    RETURNS (PreTrainedModel): The model, or what torch compiles it to.
    """
    import torch
    from safetensors.torch import load
    from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification

    config = json.loads(files["config.json"])
    is_classifier = config["architectures"][0].endswith("ForTokenClassification")
    make = (AutoModelForTokenClassification if is_classifier else AutoModel).from_config
    encoder = make(AutoConfig.for_model(**config))
    encoder.load_state_dict(load(files["model.safetensors"]))
    encoder = encoder.to(device=device, dtype=getattr(torch, manifest["options"]["dtype"])).eval()
    return torch.compile(encoder, dynamic=True) if manifest["options"].get("compile") else encoder


def encode(encoder: Any, tensors: Dict[str, Any]) -> Any:
    """Run an encoder of transformers on the inputs of an artefact.

    encoder (PreTrainedModel): The encoder.
    tensors (Dict[str, torch.Tensor]): Its inputs, padded or packed.
    RETURNS (torch.Tensor): Its first output: the last hidden state, or the logits of one that classifies.
    """
    if "segments" not in tensors:
        return encoder(**tensors)[0]
    segments = tensors["segments"]
    same = segments[:, :, None] == segments[:, None, :]
    return encoder(
        input_ids=tensors["input_ids"],
        position_ids=tensors["position_ids"],
        attention_mask=same.to(segments.dtype),
    )[0]


ENGINES = {"onnxruntime": start_onnxruntime, "openvino": start_openvino, "torch": start_torch}
