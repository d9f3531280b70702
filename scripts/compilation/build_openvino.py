"""Build encoders for OpenVINO, https://docs.openvino.ai."""

import sys
from pathlib import Path
from typing import Dict, List

from numpy import ndarray

from .export import quiet

# OpenVINO and NNCF report their use to their makers, unless the package that does it can't be imported.
sys.modules["openvino_telemetry"] = None


def build_float(exported: Path, folder: Path, *, half_size: bool) -> None:
    """Convert the encoder; the engine computes in the precision that the manifest asks for.

    exported (Path): The exported encoder, float32 ONNX.
    folder (Path): Gets encoder.xml and encoder.bin.
    half_size (bool): Store weights with 16 bits.
    """
    import openvino

    with quiet():
        openvino.save_model(
            openvino.convert_model(exported), folder / "encoder.xml", compress_to_fp16=half_size
        )


def build_int8(exported: Path, calibration: List[Dict[str, ndarray]], folder: Path) -> None:
    """Quantize weights and activations to int8 with NNCF, ranges and SmoothQuant from calibration windows.

    exported (Path): The exported encoder, float32 ONNX.
    calibration (List[Dict[str, ndarray]]): Windows of train text, as the encoder's inputs.
    folder (Path): Gets encoder.xml and encoder.bin.
    """
    import nncf
    import openvino

    with quiet():
        quantized = nncf.quantize(
            openvino.convert_model(exported),
            nncf.Dataset(calibration),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(calibration),
        )
        openvino.save_model(quantized, folder / "encoder.xml", compress_to_fp16=False)
