"""Encoders of many families and their tokenizers can be compiled."""

from pathlib import Path
from types import SimpleNamespace
from typing import Callable, Dict, List

import numpy
import openvino
import pytest
import spacy
import torch
import transformers
from numpy.testing import assert_allclose
from spacy.language import Language
from spacy.tokens import Doc
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from scripts.compilation.artefact_writer import finish_artefact
from scripts.compilation.candidates import Workbench, get_candidates
from scripts.compilation.export import example_inputs, export_onnx
from scripts.compilation.reference import Reference, load_reference
from scripts.compilation.swap import assemble, save_skeleton

from .. import encoders, helpers

FP32 = ("onnxruntime-fp32", "openvino-fp32", "torch-fp32")
INT8 = ("onnxruntime-int8", "openvino-int8")
N_CALIBRATION = 6  # Docs of train.
# Calibrating takes seconds, and families of one kind are quantized alike.
QUICK = ("bert", "roberta", "xlm-roberta")
QUANTIZED = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in encoders.FAMILIES]
WINDOWS = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 64, "stride": 48}
ODD_TEXTS = [
    "",
    " \n ",
    "Ada  met 😀😀 in 東京 \n\n and Zoe\u0308 's ﬁnance in İstanbul .",
    "Ada [SEP] met <s> Karl </s> in <pad> [PAD] Bergen <unk> [UNK] . [MASK]<mask>",
    "I cannot say , we 're gonna leave , don't wanna",
]


class CompiledFamily:
    """A pipeline with a random encoder of a family, and everything that is compiled from it, when first asked for."""

    def __init__(self, name: str, corpus: Path, train: Path, workspace: Path) -> None:
        encoders.save_encoder(name, corpus, workspace / "encoder")
        encoders.initialize(encoders.make_config(workspace / "encoder", **WINDOWS)).to_disk(workspace / "reference")
        self.reference = spacy.load(workspace / "reference")
        loaded = load_reference(workspace / "reference")
        self.workbench = Workbench(loaded, helpers.read_docs(train)[:N_CALIBRATION], [], 0.0, workspace)
        save_skeleton(loaded, self.workbench.skeleton)
        self._compiled: Dict[str, Language] = {}

    def compile(self, name: str) -> Language:
        """RETURNS (Language): The pipeline that a candidate makes."""
        if name not in self._compiled:
            candidate = next(candidate for candidate in get_candidates() if candidate.name == name)
            artefact_folder, folder = (self.workbench.folder / part / name for part in ("artefacts", "pipelines"))
            artefact_folder.mkdir(parents=True)
            candidate.build(self.workbench, artefact_folder)
            artefact = finish_artefact(
                self.workbench.reference,
                artefact_folder,
                candidate.engine,
                candidate.precision,
                candidate.options,
                candidate.get_inputs(self.workbench),
            )
            folder.parent.mkdir(exist_ok=True)
            assemble(self.workbench.skeleton, artefact, "transformer", folder)
            self._compiled[name] = spacy.load(folder)
        return self._compiled[name]


@pytest.fixture(scope="module")
def get_family(sample_path, train_corpus, tmp_path_factory) -> Callable[[str], CompiledFamily]:
    families: Dict[str, CompiledFamily] = {}

    def get(name: str) -> CompiledFamily:
        if name not in families:
            families[name] = CompiledFamily(name, sample_path, train_corpus, tmp_path_factory.mktemp(name))
        return families[name]

    return get


@pytest.fixture(scope="module")
def gold(dev_corpus) -> List[Doc]:
    return helpers.read_docs(dev_corpus)


def make_docs(nlp: Language, gold: List[Doc]) -> List[Doc]:
    """RETURNS (List[Doc]): Docs of the sample, one of many windows, and odd ones."""
    words = [token.text for doc in gold for token in doc]
    docs = [helpers.bare(doc, nlp.vocab) for doc in gold]
    return docs + [Doc(nlp.vocab, words=words)] + [nlp.make_doc(text) for text in ODD_TEXTS]


def get_reference_vectors(nlp: Language, doc: Doc) -> numpy.ndarray:
    layer = next(node for node in nlp.get_pipe("ner").model.walk() if node.has_ref("listener"))
    return layer.predict([doc])[0] if len(doc) else numpy.zeros((0, encoders.SIZES["hidden_size"]))


@pytest.mark.parametrize("candidate", FP32)
@pytest.mark.parametrize("name", encoders.FAMILIES)
def test_vectors_are_those_of_the_reference(get_family, gold, name, candidate):
    family = get_family(name)
    nlp = family.compile(candidate)
    expected = list(family.reference.pipe(make_docs(family.reference, gold)))
    docs = list(nlp.pipe(make_docs(nlp, gold)))
    lengths = [len(doc) for doc in docs]
    assert min(lengths) == 0 and max(lengths) > 9 * WINDOWS["window"]
    for doc, expected_doc in zip(docs, expected):
        assert_allclose(doc.tensor, get_reference_vectors(family.reference, expected_doc), atol=1e-3, rtol=0)
        assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)


@pytest.mark.parametrize("name", encoders.FAMILIES)
def test_vectors_depend_on_context_and_position(get_family, name):
    """Else the test above would prove little."""
    nlp = get_family(name).compile(FP32[0])
    doc, other = nlp("the river and the sea and the river"), nlp("the river and the sea and the lake")
    assert numpy.abs(doc.tensor[0] - doc.tensor[3]).max() > 0.1
    assert numpy.abs(doc.tensor[0] - other.tensor[0]).max() > 0.1


@pytest.mark.parametrize("candidate", INT8)
@pytest.mark.parametrize("name", QUANTIZED)
def test_int8_is_close(get_family, gold, name, candidate):
    family = get_family(name)
    exact, nlp = family.compile(FP32[0]), family.compile(candidate)
    expected, found = (
        numpy.concatenate([doc.tensor for doc in pipeline.pipe(make_docs(pipeline, gold))]) for pipeline in (exact, nlp)
    )
    assert numpy.isfinite(found).all()
    has_vector = expected.any(axis=1)
    assert (found.any(axis=1) == has_vector).all()
    expected, found = expected[has_vector], found[has_vector]
    lengths = numpy.linalg.norm(expected, axis=1) * numpy.linalg.norm(found, axis=1)
    cosines = (expected * found).sum(axis=1) / lengths
    assert cosines.mean() > 0.9
    # If nothing was quantized, the two would be the same.
    assert numpy.abs(expected - found).max() > 1e-3


@pytest.mark.parametrize("name", QUANTIZED)
def test_int8_embeddings_stay_int8(get_family, name):
    """The table of a vocabulary is the largest part of a small encoder; as float32 it would take four times the memory."""
    files = get_family(name).compile("openvino-int8").get_pipe("transformer").encoder.read_files()
    core = openvino.Core()
    model = core.compile_model(core.read_model(model=files["encoder.xml"], weights=files["encoder.bin"]), "CPU")
    constants = [node.output(0) for node in model.get_runtime_model().get_ops() if not node.inputs()]
    n_wordpieces = get_family(name).reference.get_pipe("transformer").model.transformer.config.vocab_size
    tables = [output.get_element_type().to_string() for output in constants if is_table(output, n_wordpieces)]
    assert tables and set(tables) == {"i8"}


def is_table(output, n_wordpieces: int) -> bool:
    """RETURNS (bool): Whether a constant of an engine has a vector for every wordpiece."""
    shape = output.get_partial_shape()
    return shape.is_static and len(shape) == 2 and shape.to_shape()[0] == n_wordpieces and shape.to_shape()[1] > 1


@pytest.mark.parametrize("name", encoders.FAMILIES)
def test_windows_with_too_many_wordpieces_are_split(get_family, name):
    """Also where positions are counted from the padding id on, or are no limit."""
    nlp = get_family(name).compile(FP32[0])
    wordpieces = nlp.get_pipe("transformer").encoder.manifest["max_length"]
    assert wordpieces == encoders.POSITIONS
    words = [f"{number}ab{number}" for number in range(WINDOWS["window"] * 2)]
    for doc in nlp.pipe([Doc(nlp.vocab, words=[word * 9 for word in words]), nlp.make_doc("ab1" * 1000)]):
        assert numpy.isfinite(doc.tensor).all()
        assert doc.tensor.any(axis=1).all()


@pytest.mark.parametrize("name", encoders.FAMILIES)
def test_export_has_free_axes(get_family, name, tmp_path):
    """Any number of windows and wordpieces, also those that the exporter didn't see; padding changes nothing."""
    import onnxruntime

    encoder = get_family(name).workbench.reference.encoder.eval()
    export_onnx(encoder, tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"), providers=["CPUExecutionProvider"])
    seen = tuple(example_inputs()[0].shape)
    for shape in ((1, 1), (1, 3), (3, 200), (2, encoders.POSITIONS)):
        assert shape != seen
        ids = torch.randint(5, 500, shape)
        mask = torch.ones_like(ids)
        mask[-1, 1 + shape[1] // 2 :] = 0
        ids[mask == 0] = encoder.config.pad_token_id
        with torch.inference_mode():
            expected = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.numpy()
        found = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]
        is_text = mask.numpy() == 1
        assert_allclose(found[is_text], expected[is_text], atol=1e-3, rtol=0)


def make_reference(encoder: PreTrainedModel) -> Reference:
    """RETURNS (Reference): One with an encoder and a tokenizer that knows no limit, and nothing else."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, unk_token="a")))
    assert tokenizer.model_max_length == VERY_LARGE_INTEGER
    transformer = SimpleNamespace(model=SimpleNamespace(transformer=encoder, tokenizer=tokenizer))
    return Reference(Path(), None, transformer, {}, {})


POSITIONS_FROM_ZERO = ["BertConfig", "ElectraConfig"]
POSITIONS_AFTER_PADDING = ["CamembertConfig", "Data2VecTextConfig", "MPNetConfig", "RobertaConfig"]


POSITIONS_AFTER_PADDING += ["RobertaPreLayerNormConfig", "XLMRobertaConfig", "XLMRobertaXLConfig", "XmodConfig"]


@pytest.mark.parametrize(
    "config_class, padding_id",
    [(config_class, 0) for config_class in POSITIONS_FROM_ZERO]
    + [(config_class, 1) for config_class in POSITIONS_AFTER_PADDING]
    + [("BertConfig", 3), ("RobertaConfig", 3)],
)
def test_max_length_is_what_the_positions_allow(config_class, padding_id):
    sizes = {**encoders.SIZES, "max_position_embeddings": 20, "vocab_size": 50, "pad_token_id": padding_id}
    settings = {"default_language": "en_XX"} if config_class == "XmodConfig" else {}
    encoder = transformers.AutoModel.from_config(getattr(transformers, config_class)(**sizes, **settings)).eval()
    max_length = make_reference(encoder).max_length
    with torch.inference_mode():
        encoder(torch.full((1, max_length), 7))
        with pytest.raises((IndexError, RuntimeError)):
            encoder(torch.full((1, max_length + 1), 7))


def test_export_does_not_change_the_encoder(get_family, tmp_path):
    encoder = get_family("bert").workbench.reference.encoder
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    attention = encoder.config._attn_implementation
    export_onnx(encoder, tmp_path / "encoder.onnx")
    assert encoder.config._attn_implementation == attention
    assert encoder.state_dict().keys() == before.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
