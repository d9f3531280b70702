"""Let nebullvm optimize the exported encoder, and take what it chose.

nebullvm 0.10.0 is the last release and unmaintained since 2023. It is only asked at build time: what it chooses is an
ONNX file, which the pipeline's own onnxruntime engine runs, so that nothing of nebullvm ships. It runs in a process of its
own (`nebullvm_process`), with a time limit, because it changes what it imports and may not come to an end.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

from transformers import PretrainedConfig

from ..common.project import ROOT

TIME_LIMIT = 180  # Seconds


def build(exported: Path, config: PretrainedConfig, folder: Path) -> List[str]:
    """Run nebullvm's optimizer and keep the ONNX file of its fastest result.

    exported (Path): The exported encoder, float32 ONNX, for padded windows.
    config (PretrainedConfig): The encoder's config, for the size of its vocabulary.
    folder (Path): Gets encoder.onnx.
    RETURNS (List[str]): What it tried, and what each gave, from its log.
    RAISES (RuntimeError): If it made nothing that works, or not in time.
    """
    saved = folder / "saved"
    command = [sys.executable, "-m", "scripts.compilation.nebullvm_process", exported, str(config.vocab_size), saved]
    try:
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"nebullvm was stopped after {TIME_LIMIT} seconds, its time limit") from error
    tried = read_log(result.stdout)
    if not (saved / "model.onnx").is_file():
        last = result.stderr.strip().splitlines()[-1:] if result.returncode else []
        raise RuntimeError(f"nebullvm made no working model ({'; '.join([*tried, *last])})")
    shutil.move(saved / "model.onnx", folder / "encoder.onnx")
    shutil.rmtree(saved)
    return tried


def read_log(text: str) -> List[str]:
    """Read what nebullvm tried: one sentence for each compiler and quantization."""
    tried: List[str] = []
    for line in text.splitlines():
        start = re.match(r"Optimizing with (\w+) and q_type: (?:QuantizationType\.)?(\w+)", line)
        latency = re.match(r"Optimized model latency: ([\d.]+) sec", line)
        failure = re.search(r"Got error (.*?)\.? If possible", line)
        if start:
            tried.append(f"{start[1]}, quantization {start[2].lower()}")
        elif latency and tried:
            tried[-1] += f": {1000 * float(latency[1]):.1f} ms"
        elif failure and tried:
            tried[-1] += f": failed ({failure[1]})"
    return tried
