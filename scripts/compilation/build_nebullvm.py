"""Let nebullvm optimize the exported encoder, and take what it chose.

nebullvm 0.10.0 is the last release and unmaintained since 2023. It is only asked at build time: what it chooses is an
ONNX file, which the pipeline's own onnxruntime engine runs, so that nothing of nebullvm ships.
"""

import re
import shutil
from pathlib import Path
from typing import List

import numpy
from transformers import PretrainedConfig

from .export import quiet

AXES = [{0: "windows", 1: "wordpieces"}, {0: "windows", 1: "wordpieces"}]


def build(exported: Path, config: PretrainedConfig, folder: Path) -> List[str]:
    """Run nebullvm's optimizer and keep the ONNX file of its fastest result.

    exported (Path): The exported encoder, float32 ONNX.
    config (PretrainedConfig): The encoder's config, for the size of its vocabulary.
    folder (Path): Gets encoder.onnx.
    RETURNS (List[str]): What it tried, and what each gave, from its log.
    RAISES (RuntimeError): If it made nothing that works.
    """
    from loguru import logger
    from nebullvm.operations.optimizations.optimize_inference import OptimizeInferenceOp
    from nebullvm.tools.utils import check_device

    messages: List[str] = []
    logger.remove()
    logger.add(lambda message: messages.append(message.record["message"]))
    ids = numpy.random.default_rng(0).integers(5, config.vocab_size, (1, 128))
    example = ((ids, numpy.ones_like(ids)), numpy.zeros(1))
    with quiet():
        result = (
            OptimizeInferenceOp()
            .to(check_device("cpu"))
            .execute(
                model=str(exported),
                input_data=[example] * 10,
                dynamic_info={"inputs": AXES, "outputs": AXES[:1]},
                # Its own gate, an output distance; the entity gate comes afterwards. None makes its code fail.
                metric_drop_ths=0.1,
            )
        )
    tried = read_log(messages)
    if result.optimized_model is None:
        raise RuntimeError(f"nebullvm made no working model ({'; '.join(tried)})")
    saved = folder / "saved"
    result.optimized_model.inference_learner.save(str(saved))
    shutil.move(saved / "model.onnx", folder / "encoder.onnx")
    shutil.rmtree(saved)
    return tried


def read_log(messages: List[str]) -> List[str]:
    """Read what nebullvm tried: one sentence for each compiler and quantization."""
    tried: List[str] = []
    for message in messages:
        start = re.match(r"Optimizing with (\w+) and q_type: (?:QuantizationType\.)?(\w+)", message)
        latency = re.match(r"Optimized model latency: ([\d.]+) sec", message)
        failure = re.search(r"Got error (.*?)\.? If possible", message, flags=re.DOTALL)
        if start:
            tried.append(f"{start[1]}, quantization {start[2].lower()}")
        elif latency and tried:
            tried[-1] += f": {1000 * float(latency[1]):.1f} ms"
        elif failure and tried:
            tried[-1] += f": failed ({failure[1]})"
    return tried
