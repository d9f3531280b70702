"""Build encoders for onnxruntime, https://onnxruntime.ai."""

from pathlib import Path

import onnx
from transformers import PretrainedConfig

from .export import quiet


def build_fp32(exported: Path, config: PretrainedConfig, folder: Path) -> None:
    """Fuse attention, GELU and layer normalization into single operations.

    exported (Path): The exported encoder, float32 ONNX.
    config (PretrainedConfig): The encoder's config, for the number of attention heads.
    folder (Path): Gets encoder.onnx.
    """
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    with quiet():
        model = optimize_model(
            str(exported),
            # The fusions are the same for all encoders of BERT's kind; what doesn't match stays as it is.
            model_type="bert",
            num_heads=config.num_attention_heads,
            hidden_size=config.hidden_size,
            optimization_options=FusionOptions("bert"),
            opt_level=0,
        )
        model.save_model_to_file(str(folder / "encoder.onnx"))


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
