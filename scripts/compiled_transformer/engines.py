"""Start the engine that an artefact is made for: onnxruntime, OpenVINO or torch."""

import json
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Tuple

import numpy
from thinc.types import Floats3d, Ints2d

from .cpu import count_affine_cores

Engine = Callable[[Ints2d, Ints2d], Floats3d]


def make_inputs(length: int) -> Tuple[Ints2d, Ints2d]:
    """Make the ids and the mask of one window, to run an engine for the first time."""
    return numpy.zeros((1, length), dtype="int64"), numpy.ones((1, length), dtype="int64")


def start_engine(
    manifest: Dict[str, Any],
    files: Dict[str, bytes],
    device: str,
    threads: int,
    streams: int,
    length: Optional[int] = None,
) -> Engine:
    """Start the engine that an artefact is made for.

    RETURNS (Engine): Wordpiece ids and mask, both (n_windows, length), to the last hidden state, float32
        (n_windows, length, width).
    """
    name = manifest["engine"]
    if name not in ENGINES:
        raise ValueError(f"This pipeline runs on {name!r}. This version knows: {', '.join(ENGINES)}.")
    try:
        return ENGINES[name](manifest, files, device, threads, streams, length)
    except ImportError as error:
        raise ImportError(
            f"This pipeline's transformer runs on {name}, which can't be imported ({error}). "
            f"Install it: pip install {' '.join(manifest['requirements'])}"
        ) from error


def start_onnxruntime(manifest, files, device: str, threads: int, streams: int, length: Optional[int] = None) -> Engine:
    """Run encoder.onnx with onnxruntime, https://onnxruntime.ai."""
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
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(files["encoder.onnx"], options, providers=providers)

    def run(ids: Ints2d, mask: Ints2d) -> Floats3d:
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    return run


def start_openvino(manifest, files, device: str, threads: int, streams: int, length: Optional[int] = None) -> Engine:
    """Run encoder.xml and encoder.bin with OpenVINO, https://docs.openvino.ai."""
    import openvino

    if device != "cpu":
        raise ValueError(
            f"Setting 'device' is {device!r}, but this pipeline was built for OpenVINO on the CPU. Set 'cpu'."
        )
    core = openvino.Core()
    encoder = core.read_model(model=files["encoder.xml"], weights=files["encoder.bin"])
    if length is not None:
        encoder.reshape({name: [1, length] for name in ("input_ids", "attention_mask")})
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
    run(*make_inputs(length or 1))
    return run


def run_openvino(model: Any) -> Engine:
    """Wrap an `openvino.CompiledModel` so that any Python thread may call it."""
    # A request holds the buffers of one call at a time.
    idle: Deque = deque()

    def run(ids: Ints2d, mask: Ints2d) -> Floats3d:
        try:
            request = idle.pop()
        except IndexError:
            request = model.create_infer_request()
        vectors = request.infer({"input_ids": ids, "attention_mask": mask}, share_inputs=True)[0]
        idle.append(request)
        return vectors

    return run


def start_torch(manifest, files, device: str, threads: int, streams: int, length: Optional[int] = None) -> Engine:
    """Run model.safetensors with torch and transformers, in the precision that the manifest asks for."""
    import torch
    from safetensors.torch import load
    from transformers import AutoConfig, AutoModel

    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("Setting 'device' is 'cuda', but torch finds no GPU. Set 'device' to 'cpu'.")
    config = json.loads(files["config.json"])
    encoder = AutoModel.from_config(AutoConfig.for_model(**config))
    encoder.load_state_dict(load(files["model.safetensors"]))
    encoder = encoder.to(device=device, dtype=getattr(torch, manifest["options"]["dtype"])).eval()
    if manifest["options"].get("compile"):
        encoder = torch.compile(encoder, dynamic=True)

    def run(ids: Ints2d, mask: Ints2d) -> Floats3d:
        # The number belongs to the thread, not to the engine: another engine may have set it.
        if device == "cpu" and torch.get_num_threads() != threads // streams:
            torch.set_num_threads(threads // streams)
        with torch.inference_mode():
            inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            output = encoder(**{name: tensor.to(device) for name, tensor in inputs.items()})
            return output.last_hidden_state.float().cpu().numpy()

    return run


ENGINES = {"onnxruntime": start_onnxruntime, "openvino": start_openvino, "torch": start_torch}
