"""A compiled pipeline can be saved, loaded, copied and sourced like any other."""

import copy
import pickle
import shutil

import pytest
import spacy
import srsly
from numpy.testing import assert_allclose, assert_array_equal
from spacy.util import load_model_from_config

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.model import build_compiled_transformer

from .checks import ENGINES, assert_same, read_component, read_files


@pytest.mark.parametrize("engine", ENGINES)
def test_round_trip_through_disk(paths, texts, tmp_path, engine):
    nlp = spacy.load(paths[engine])
    docs = list(nlp.pipe(texts))
    nlp.to_disk(tmp_path / "saved")
    assert read_component(tmp_path / "saved" / "transformer") == read_component(paths[engine] / "transformer")
    assert_same(list(spacy.load(tmp_path / "saved").pipe(texts)), docs)
    assert_same(list(nlp.from_disk(tmp_path / "saved").pipe(texts)), docs)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("used", [False, True])
def test_round_trip_through_bytes(paths, texts, engine, used):
    """Before and after the engine was started. Nothing reads the folder afterwards."""
    nlp = spacy.load(paths[engine])
    expected = list(spacy.load(paths[engine]).pipe(texts))
    if used:
        nlp(texts[0])
    data = nlp.to_bytes()
    other = load_model_from_config(nlp.config).from_bytes(data)
    assert_same(list(other.pipe(texts)), expected)
    # spaCy's sentencizer writes a set: its characters come in any order.
    assert other.to_bytes(exclude=["sentencizer"]) == nlp.to_bytes(exclude=["sentencizer"])


def test_round_trip_of_the_component(compiled_path, texts, expected, tmp_path):
    """The files on disk and in bytes are the same ones."""
    nlp, other = spacy.load(compiled_path), spacy.load(compiled_path)
    component = nlp.get_pipe("transformer")
    component.to_disk(tmp_path / "component")
    files = srsly.msgpack_loads(component.to_bytes())
    assert files == read_files(tmp_path / "component")
    assert set(files) == {"engine.json", "tokenizer.json", "encoder.onnx"}
    for fresh in (
        other.get_pipe("transformer").from_bytes(component.to_bytes()),
        other.get_pipe("transformer").from_disk(tmp_path / "component"),
    ):
        assert fresh is other.get_pipe("transformer")
        assert_same(list(other.pipe(texts)), expected)


def test_round_trip_of_the_model(compiled_path, texts, expected):
    """As thinc saves it, with the settings."""
    nlp = spacy.load(compiled_path, config={"components.transformer.window": 20, "components.transformer.stride": 20})
    model = nlp.get_pipe("transformer").model
    fresh = build_compiled_transformer().from_bytes(model.to_bytes())
    assert fresh.attrs == model.attrs
    assert fresh.get_dim("nO") == model.get_dim("nO")
    docs = list(nlp.pipe(texts))
    for vectors, doc in zip(fresh.predict(docs), docs):
        assert_allclose(vectors, doc.tensor, atol=1e-4)


def test_exclude_leaves_files_out(compiled_path, tmp_path):
    component = spacy.load(compiled_path).get_pipe("transformer")
    component.to_disk(tmp_path / "part", exclude=["encoder.onnx", "vocab"])
    assert set(read_files(tmp_path / "part")) == {"engine.json", "tokenizer.json"}
    assert set(srsly.msgpack_loads(component.to_bytes(exclude=["engine.json"]))) == {"encoder.onnx", "tokenizer.json"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("used", [False, True])
def test_saving_over_its_own_folder(paths, texts, tmp_path, engine, used):
    folder = shutil.copytree(paths[engine], tmp_path / "compiled")
    before = read_files(folder)
    nlp = spacy.load(folder)
    docs = list(spacy.load(paths[engine]).pipe(texts))
    if used:
        nlp(texts[0])
    nlp.to_disk(folder)
    assert read_component(folder / "transformer") == read_component(paths[engine] / "transformer")
    assert set(read_files(folder)) == set(before)
    assert_same(list(nlp.pipe(texts)), docs)
    assert_same(list(spacy.load(folder).pipe(texts)), docs)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("used", [False, True])
def test_folder_may_go_once_the_pipeline_is_loaded(paths, texts, tmp_path, engine, used):
    """A server may replace it with another one while the first still runs."""
    folder = shutil.copytree(paths[engine], tmp_path / "compiled")
    nlp = spacy.load(folder)
    if used:
        nlp(texts[0])
    shutil.rmtree(folder)
    docs = list(spacy.load(paths[engine]).pipe(texts))
    assert_same(list(nlp.pipe(texts)), docs)
    nlp.to_disk(folder)
    assert_same(list(spacy.load(folder).pipe(texts)), docs)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda model: model.copy(), lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_models_can_be_copied(compiled_path, texts, expected, duplicate):
    """Engines can't be copied; the copy starts its own."""
    nlp = spacy.load(compiled_path)
    component = nlp.get_pipe("transformer")
    nlp(texts[0])
    model = component.model
    component.model = duplicate(model)
    assert component.encoder is not model.shims[0]
    assert_same(list(nlp.pipe(texts)), expected)
    assert component.encoder.get_engine("cpu", 1, 1) is not model.shims[0].get_engine("cpu", 1, 1)


def test_component_can_be_pickled(compiled_path, expected):
    nlp = spacy.load(compiled_path)
    component = pickle.loads(pickle.dumps(nlp.get_pipe("transformer")))
    for vectors, doc in zip(component.predict(expected), expected):
        assert_array_equal(vectors, doc.tensor)


def test_components_can_be_sourced(compiled_path, texts, expected, tmp_path):
    """Another pipeline takes the component over, and can be saved."""
    source, nlp = spacy.load(compiled_path), spacy.blank("en")
    for name in source.pipe_names:
        nlp.add_pipe(name, source=source)
    assert_same(list(nlp.pipe(texts)), expected)
    nlp.to_disk(tmp_path / "other")
    assert_same(list(spacy.load(tmp_path / "other").pipe(texts)), expected)


def test_component_without_an_encoder_can_t_be_saved(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("compiled_transformer")
    with pytest.raises(ValueError, match="no encoder yet"):
        nlp.to_bytes()
    with pytest.raises(ValueError, match="no encoder yet"):
        nlp.to_disk(tmp_path / "saved")
