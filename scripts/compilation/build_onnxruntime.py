"""Build encoders for onnxruntime, https://onnxruntime.ai."""

from pathlib import Path
from typing import List, Optional, Set

import onnx
from transformers import PretrainedConfig

from ..compiled_transformer.artefact import PADDED_INPUTS
from ..compiled_transformer.batches import Inputs
from .export import quiet


def build_fp32(exported: Path, config: PretrainedConfig, folder: Path) -> None:
    """Fuse attention, GELU and layer normalization into single operations.

    exported (Path): The exported encoder, float32 ONNX.
    config (PretrainedConfig): The encoder's config, for the number of attention heads.
    folder (Path): Gets encoder.onnx.
    """
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    options = FusionOptions("bert")
    inputs = [value.name for value in onnx.load(exported, load_external_data=False).graph.input]
    # The fused embeddings, once quantized, ignore position ids that they are given.
    options.enable_embed_layer_norm = inputs == list(PADDED_INPUTS)
    with quiet():
        model = optimize_model(
            str(exported),
            # The fusions are the same for all encoders of BERT's kind; what doesn't match stays as it is.
            model_type="bert",
            num_heads=config.num_attention_heads,
            hidden_size=config.hidden_size,
            optimization_options=options,
            opt_level=0,
        )
        model.save_model_to_file(str(folder / "encoder.onnx"))


def build_fp16(exported: Path, config: PretrainedConfig, folder: Path) -> None:
    """Fuse as `build_fp32`, then compute in float16; inputs and the output stay as they are.

    folder (Path): Gets encoder.onnx.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    build_fp32(exported, config, folder)
    with quiet():
        model = convert_float_to_float16(onnx.load(folder / "encoder.onnx"), keep_io_types=True)
        onnx.save(model, folder / "encoder.onnx")


def get_providers() -> Set[str]:
    """List the kinds of hardware that this onnxruntime is built for."""
    import onnxruntime

    return set(onnxruntime.get_available_providers())


def build_int8(exported: Path, config: PretrainedConfig, folder: Path) -> None:
    """Quantize weights to int8; activations are quantized while running, by their range in each batch.

    Signed weights with a scale for each channel: unsigned ones with one scale a matrix were measured at half the speed.

    folder (Path): Gets encoder.onnx.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    fused = folder / "fused"
    fused.mkdir()
    build_fp32(exported, config, fused)
    with quiet():
        quantize_dynamic(
            fused / "encoder.onnx",
            folder / "encoder.onnx",
            weight_type=QuantType.QInt8,
            per_channel=True,
            # Types can't be inferred through the fused operations; all of this encoder's are floats.
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    (fused / "encoder.onnx").unlink()
    fused.rmdir()


def build_static_int8(exported: Path, calibration: List[Inputs], folder: Path) -> None:
    """Quantize matrix products to int8 with fixed ranges of the activations, from calibration windows.

    Everything else stays in float32: with layer normalization, GELU, residual additions, gathers and softmax
    quantized too, a published DistilBERT fell from 0.94 to 0.10 F1.

    calibration (List[Inputs]): Rows of train text, as the encoder's inputs.
    folder (Path): Gets encoder.onnx.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with quiet():
        quantize_static(
            exported,
            folder / "encoder.onnx",
            CalibrationWindows(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )


class CalibrationWindows:
    """Hand windows to onnxruntime's calibration, as its CalibrationDataReader."""

    def __init__(self, windows: List[Inputs]) -> None:
        self.windows = iter(windows)

    def get_next(self) -> Optional[Inputs]:
        return next(self.windows, None)
