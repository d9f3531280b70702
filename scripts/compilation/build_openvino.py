"""Build encoders for OpenVINO, https://docs.openvino.ai."""

from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Tuple

import numpy

from ..compiled_transformer.batches import Inputs
from ..compiled_transformer.engines import Engine, import_openvino, run_openvino
from .export import quiet
from .gate import get_f1


def build_float(exported: Path, folder: Path, *, half_size: bool) -> None:
    """Convert the encoder; the engine computes in the precision that the manifest asks for.

    exported (Path): The exported encoder, float32 ONNX.
    folder (Path): Gets encoder.xml and encoder.bin.
    half_size (bool): Store weights with 16 bits.
    """
    openvino = import_openvino()
    with quiet():
        openvino.save_model(openvino.convert_model(exported), folder / "encoder.xml", compress_to_fp16=half_size)


def build_int8(exported: Path, calibration: List[Inputs], folder: Path) -> None:
    """Quantize weights and activations to int8 with NNCF, ranges and SmoothQuant from calibration windows.

    exported (Path): The exported encoder, float32 ONNX.
    calibration (List[Inputs]): Rows of train text, as the encoder's inputs.
    folder (Path): Gets encoder.xml and encoder.bin.
    """
    nncf, openvino = import_nncf(), import_openvino()
    with quiet():
        quantized = nncf.quantize(
            openvino.convert_model(exported), nncf.Dataset(calibration), **nncf_options(calibration)
        )
        save_int8(quantized, folder)


def build_accurate_int8(
    exported: Path,
    calibration: List[Inputs],
    score: Callable[[Engine, List[int]], List[Tuple[int, int, int]]],
    n_docs: int,
    max_drop: float,
    folder: Path,
) -> List[str]:
    """Quantize to int8 with NNCF, and put operations that cost entities back to floating point.

    NNCF quantizes everything, ranks the quantized operations by what each costs, and reverts the worst until the drop
    is small enough ("Quantizing with Accuracy Control", https://docs.openvino.ai).

    exported (Path): The exported encoder, float32 ONNX.
    calibration (List[Inputs]): Rows of train text, as the encoder's inputs.
    score (Callable): Runs the whole pipeline with an engine on Docs of dev, named by their indices, and gives the true
        positives, false positives and false negatives of each.
    n_docs (int): Docs of dev to score on.
    max_drop (float): Most entity F1 that may be lost on them.
    folder (Path): Gets encoder.xml and encoder.bin.
    RETURNS (List[str]): How many operations are quantized.
    """
    nncf, openvino = import_nncf(), import_openvino()

    def validate(model: openvino.CompiledModel, indices: Iterable[int]) -> Tuple[float, List[float]]:
        counts = numpy.asarray(score(run_openvino(model), list(indices)))
        return float(get_f1(counts.sum(axis=0, keepdims=True))[0]), get_f1(counts).tolist()

    with quiet():
        quantized = nncf.quantize_with_accuracy_control(
            openvino.convert_model(exported),
            calibration_dataset=nncf.Dataset(calibration),
            validation_dataset=nncf.Dataset(range(n_docs)),
            validation_fn=validate,
            max_drop=max_drop,
            **nncf_options(calibration),
        )
        save_int8(quantized, folder)
    n_quantized = sum(operation.get_type_name() == "FakeQuantize" for operation in quantized.get_ops())
    return [f"{n_quantized} inputs of operations are quantized"]


def nncf_options(calibration: List[Inputs]) -> Dict[str, Any]:
    nncf = import_nncf()
    return {"model_type": nncf.ModelType.TRANSFORMER, "subset_size": len(calibration)}


def save_int8(model: Any, folder: Path) -> None:
    """Write what NNCF quantized, an openvino.Model, as encoder.xml and encoder.bin."""
    openvino = import_openvino()
    keep_embeddings_int8(model)
    openvino.save_model(model, folder / "encoder.xml", compress_to_fp16=False)


def keep_embeddings_int8(model: Any) -> None:
    """Look rows up in embedding tables before they become float32, not after.

    OpenVINO would make the whole table float32 when it starts, for each engine: 47 MB instead of 12 for 30,522
    wordpieces and a width of 384. The results are the same.

    model (openvino.Model): As NNCF quantized it: an int8 table, converted, times a scale for each row. Changed in place.
    """
    from openvino import opset13 as operations

    for gather in model.get_ordered_ops():
        if gather.get_type_name() != "Gather" or gather.input_value(0).get_node().get_type_name() != "Multiply":
            continue
        convert, scales = (value.get_node() for value in gather.input_value(0).get_node().input_values())
        if (convert.get_type_name(), scales.get_type_name()) != ("Convert", "Constant"):
            continue
        table, (ids, axis) = convert.input_value(0), gather.input_values()[1:]
        if list(scales.shape) != [table.get_shape()[0], 1]:
            continue
        rows = operations.convert(operations.gather(table, ids, axis), "f32")
        gather.output(0).replace(operations.multiply(rows, operations.gather(scales, ids, axis)).output(0))


def import_nncf() -> Any:
    """Import NNCF, after OpenVINO: it reports its use through the same package, which that import leaves out."""
    import_openvino()
    import nncf

    return nncf
