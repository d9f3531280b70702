"""Run nebullvm's optimizer on an ONNX file: the process that `build_nebullvm` starts. Prints its log, a message a line."""

import functools
import sys
from pathlib import Path
from typing import Any, Callable

import numpy

AXES = [{0: "windows", 1: "wordpieces"}, {0: "windows", 1: "wordpieces"}]


def run(exported: Path, vocab_size: int, output: Path) -> None:
    """Optimize an encoder and save the fastest result that nebullvm accepts.

    exported (Path): The exported encoder, float32 ONNX, for padded windows.
    vocab_size (int): Of the encoder.
    output (Path): Folder to write; nothing if there is no result.
    """
    restore_quantization()
    from loguru import logger
    from nebullvm.operations.optimizations.optimize_inference import OptimizeInferenceOp
    from nebullvm.tools.utils import check_device

    logger.remove()
    logger.add(lambda message: print(" ".join(message.record["message"].split()), flush=True))
    ids = numpy.random.default_rng(0).integers(5, vocab_size, (1, 128))
    example = ((ids, numpy.ones_like(ids)), numpy.zeros(1))
    result = (
        OptimizeInferenceOp()
        .to(check_device("cpu"))
        .execute(
            model=str(exported),
            input_data=[example] * 10,
            dynamic_info={"inputs": AXES, "outputs": AXES[:1]},
            # Its own gate, an output distance; the pipeline's comes afterwards. None makes its code fail.
            metric_drop_ths=0.1,
        )
    )
    if result.optimized_model is not None:
        result.optimized_model.inference_learner.save(str(output))


def restore_quantization() -> None:
    """Let onnxruntime's quantization functions take `optimize_model` again, which nebullvm gives them.

    onnxruntime has dropped the argument, and no longer optimizes the model there.
    """
    import onnxruntime.quantization as quantization

    for name in ("quantize_dynamic", "quantize_static"):
        setattr(quantization, name, without_argument(getattr(quantization, name), "optimize_model"))


def without_argument(function: Callable, name: str) -> Callable:
    """Wrap a function so that it ignores an argument."""

    @functools.wraps(function)
    def call(*arguments: Any, **settings: Any) -> Any:
        settings.pop(name, None)
        return function(*arguments, **settings)

    return call


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
