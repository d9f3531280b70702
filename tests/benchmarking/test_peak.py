"""The most that an engine can do on this machine."""

import numpy
import openvino
import pytest

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking import peak
from scripts.common.machine import get_cpu_features

SHAPES = {"cpu": ((16, 32, 2),)}


@pytest.mark.parametrize(
    "engine,precision,options",
    [
        ("onnxruntime", "fp32", {}),
        ("onnxruntime", "int8", {}),
        ("openvino", "fp32", {"INFERENCE_PRECISION_HINT": "f32"}),
        ("openvino", "int8", {"INFERENCE_PRECISION_HINT": "f32"}),
        ("openvino", "bf16", {"INFERENCE_PRECISION_HINT": "bf16"}),
        ("torch", "fp32", {"dtype": "float32"}),
    ],
)
def test_peak_of_every_engine(engine, precision, options, monkeypatch):
    if precision == "bf16" and not {"avx512_bf16", "amx_bf16"} & set(get_cpu_features()):
        pytest.skip("this CPU has no bf16")
    monkeypatch.setattr(peak, "SHAPES", SHAPES)
    monkeypatch.setattr(peak, "SECONDS", 0)
    assert peak.measure_peak({"engine": engine, "precision": precision, "options": options}, "cpu", 1) > 0


def test_int8_products_are_computed_in_int8():
    """OpenVINO says what the operations of a compiled model compute with."""
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(peak.make_openvino_model("int8", 64, 256, 3), "CPU", settings)
    infos = [operation.get_rt_info() for operation in model.get_runtime_model().get_ops()]
    precisions = [
        info["runtimePrecision"].astype(str) for info in infos if info["layerType"].astype(str) == "FullyConnected"
    ]
    assert len(precisions) == 3
    assert set(precisions) <= {"i8", "u8"}


def test_no_peak_for_an_unknown_engine():
    assert peak.measure_peak({"engine": "other", "precision": "fp32", "options": {}}, "cpu", 1) is None
    assert peak.measure_peak({"engine": "torch", "precision": "int8", "options": {}}, "cpu", 1) is None


def test_weights_keep_their_size():
    values = numpy.ones((4, 64), dtype="float32")
    for _ in range(8):
        values = values @ peak.make_weights(64, "fp32")
    assert 0.01 < numpy.abs(values).max() < 100
