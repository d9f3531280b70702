"""Searches that are quick, the candidates that they try, and what they leave behind."""

from functools import partial

import numpy
import onnx
import spacy
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.registry import QDQRegistry
from spacy.training import Example
from spacy.util import load_config, load_model_from_config
from thinc.api import Adam

from scripts import compiled_transformer  # noqa: F401
from scripts.compilation import final, search, trial
from scripts.compilation import optimize as script
from scripts.compilation.build_onnxruntime import build_fp32
from scripts.compilation.candidates import Candidate, get_candidates, with_onnx

from ..helpers import ROOT, bare, get_entities, read_docs

EXACT = ("--max-f1-drop", 0, "--max-label-drop", 0)
REPORTS = ("optimize.json", "optimize.md", "optimize.png")


def make_quick(patch, candidates):
    """Try these candidates only, then one other setting, and time them on next to nothing."""
    patch.setattr(script, "get_candidates", lambda: candidates)
    patch.setattr(search, "get_setting_changes", lambda trial, base: [{"batch_wordpieces": 512}])
    for name, value in {"ROUNDS": 1, "WORDS": 100, "SENTENCES": 2}.items():
        patch.setattr(trial, name, value)
    patch.setattr(final, "ROUNDS", 1)
    patch.setattr(script, "COMPARED_WORDS", 500)


def run_search(reference, output, train, dev, metrics, settings):
    """Call `optimize` with the arguments of the command."""
    return script.optimize(reference, output, script.Texts(train, dev), metrics, settings)


def read_files(folder):
    """RETURNS (Dict[str, bytes]): All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def find_entities(pipeline, corpus):
    nlp = spacy.load(pipeline)
    return [get_entities(doc) for doc in nlp.pipe(bare(doc, nlp.vocab) for doc in read_docs(corpus))]


def get_candidate(name):
    return next(candidate for candidate in get_candidates() if candidate.name == name)


def make_pipeline(encoder, corpus, folder, change=None):
    """Save the project's default pipeline, untrained, with the encoder given.

    change (Optional[Callable]): Changes the config.
    """
    config = load_config(ROOT / "configs" / "default.cfg")
    config["paths"]["encoder"] = str(encoder)
    if change is not None:
        change(config)
    nlp = load_model_from_config(config, auto_fill=True)
    examples = [Example(bare(doc, nlp.vocab), doc) for doc in read_docs(corpus, nlp.vocab)]
    nlp.initialize(lambda: examples, sgd=Adam())
    nlp.to_disk(folder)


# Candidates


class ThreeWindows(CalibrationDataReader):
    def __init__(self, workbench):
        self.windows = iter(workbench.calibration[:3])

    def get_next(self):
        return next(self.windows, None)


def build_harmful(workbench, folder):
    """Quantize every operation with fixed ranges, a 16th of what three windows show: what is larger is cut off.

    As wide as they should be, the ranges do no harm to an encoder as small as this one.
    """
    path = folder / "encoder.onnx"
    quantize_static(
        workbench.exported,
        path,
        ThreeWindows(workbench),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(QDQRegistry),
        per_channel=False,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QUInt8,
    )
    model = onnx.load(path)
    scales = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for tensor in model.graph.initializer:
        if tensor.name in scales:
            smaller = onnx.numpy_helper.to_array(tensor) / numpy.float32(16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(smaller, tensor.name))
    onnx.save(model, path)


def build_nothing(workbench, folder):
    raise RuntimeError("this operator is not known\nand a second line")


SAFE = Candidate("safe", "onnxruntime", "fp32", partial(with_onnx, build_fp32))
HARMFUL = Candidate("harmful", "onnxruntime", "int8", build_harmful)
