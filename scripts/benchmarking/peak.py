"""The most operations a second that an engine reaches here: large matrix products in the encoder's precision.

It is measured on the spot, because clocks, neighbours and quotas change it, and by the engine itself, because it is the
engine's products that the encoder could be made of.
"""

import time
from typing import Any, Callable, Dict, Optional

import numpy

from ..compiled_transformer.engines import import_openvino

# Rows, width, and how many products in turn: of those that stay in a cache, and of those that don't, the faster.
SHAPES = {"cpu": ((512, 1024, 8), (1024, 1024, 8), (1024, 2048, 4)), "cuda": ((8192, 8192, 8), (16384, 8192, 4))}
WARM_UP = 3  # Runs of each shape that don't count.
SECONDS = 0.4  # For each shape.

Products = Callable[[], Any]


def measure_peak(manifest: Dict[str, Any], device: str, threads: int) -> Optional[float]:
    """Measure matrix products.

    manifest (Dict[str, Any]): The encoder's, for its "engine", "precision" and "options".
    device (str): "cpu" or "cuda".
    threads (int): Threads of the engine.
    RETURNS (Optional[float]): Multiplications and additions a second, of the best run of the best shape. None for an
        engine, or a precision of it, that has no such measurement.
    """
    start = STARTS.get("torch" if device == "cuda" else manifest["engine"])
    kind = "int8" if "int8" in manifest["precision"] else manifest["precision"]
    if start is None or (start is start_torch and kind not in TORCH_TYPES):
        return None
    rates = []
    for rows, width, depth in SHAPES[device]:
        products = start(kind, manifest["options"], device, threads, rows, width, depth)
        rates.append(2 * rows * width * width * depth / time_best(products))
    return max(rates)


def time_best(products: Products) -> float:
    """Time the fastest run, in seconds."""
    for _ in range(WARM_UP):
        products()
    seconds = []
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or not seconds:
        start = time.perf_counter()
        products()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def make_weights(width: int, kind: str) -> numpy.ndarray:
    """Make weights that neither overflow nor vanish in a chain of products.

    RETURNS (ndarray): *Shape:* (width, width). Weights that neither overflow nor vanish in a chain of products.
    """
    random = numpy.random.default_rng(0)
    if kind == "int8":
        return random.integers(-127, 128, (width, width), dtype="int8")
    return random.standard_normal((width, width), dtype="float32") / numpy.float32(width**0.5)


def make_openvino_model(kind: str, rows: int, width: int, depth: int) -> Any:
    """Make a model of products: of floats, or as NNCF leaves them in a quantized encoder."""
    openvino = import_openvino()
    from openvino import opset13 as operations

    inputs = operations.parameter([rows, width], numpy.float32)
    low, high = numpy.float32(-4), numpy.float32(4)
    values = inputs
    for _ in range(depth):
        weights = operations.constant(make_weights(width, kind))
        if kind == "int8":
            values = operations.fake_quantize(values, low, high, low, high, 256)
            scales = numpy.full((width, 1), 1 / (64 * width**0.5), dtype="float32")
            weights = operations.multiply(operations.convert(weights, "f32"), scales)
        values = operations.matmul(values, weights, False, True)
    return openvino.Model([values], [inputs])


def start_openvino(kind: str, options: Dict[str, Any], device: str, threads: int, *shape: int) -> Products:
    """Products in int8, or in the precision that `options` ask for."""
    openvino = import_openvino()
    rows, width, _ = shape
    settings = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, **options}
    model = openvino.Core().compile_model(make_openvino_model(kind, *shape), "CPU", settings)
    request = model.create_infer_request()
    example = numpy.random.default_rng(1).standard_normal((rows, width), dtype="float32")
    return lambda: request.infer({0: example}, share_inputs=True, share_outputs=True)


def start_onnxruntime(kind: str, options: Dict[str, Any], device: str, threads: int, *shape: int) -> Products:
    """Products of floats, or of unsigned activations and signed weights, as in an encoder quantized by onnxruntime."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rows, width, depth = shape
    type_ = TensorProto.UINT8 if kind == "int8" else TensorProto.FLOAT
    nodes = []
    for number in range(depth):
        if kind == "int8":
            nodes.append(helper.make_node("MatMulInteger", [f"values{number}", "weights"], [f"sums{number}"]))
            nodes.append(helper.make_node("Cast", [f"sums{number}"], [f"values{number + 1}"], to=type_))
        else:
            nodes.append(helper.make_node("MatMul", [f"values{number}", "weights"], [f"values{number + 1}"]))
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("values0", type_, [rows, width])],
        [helper.make_tensor_value_info(f"values{depth}", type_, [rows, width])],
        [numpy_helper.from_array(make_weights(width, kind), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    random = numpy.random.default_rng(1)
    example = random.standard_normal((rows, width), dtype="float32")
    inputs = {"values0": random.integers(0, 256, (rows, width), dtype="uint8") if kind == "int8" else example}
    return lambda: session.run(None, inputs)


TORCH_TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def start_torch(kind: str, options: Dict[str, Any], device: str, threads: int, *shape: int) -> Products:
    """Products of torch, which calls NVIDIA's library on a GPU as the other engines do there."""
    import torch

    rows, width, depth = shape
    if device == "cpu":
        torch.set_num_threads(threads)
    type_ = getattr(torch, TORCH_TYPES[kind])
    weights = torch.from_numpy(make_weights(width, kind)).to(device, type_)
    example = torch.ones((rows, width), dtype=type_, device=device)

    def run() -> None:
        with torch.inference_mode():
            values = example
            for _ in range(depth):
                values = values @ weights
            if device == "cuda":
                torch.cuda.synchronize()

    return run


STARTS = {"openvino": start_openvino, "onnxruntime": start_onnxruntime, "torch": start_torch}
