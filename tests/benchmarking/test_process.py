"""A pipeline in a process of its own."""

import shutil

import pytest
import srsly

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking.pipeline_worker import Worker
from scripts.benchmarking.process import PipelineError, PipelineProcess

from .. import curated

START = PipelineProcess._start


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """As users start them, and not forked as for other tests."""
    monkeypatch.setattr(PipelineProcess, "_start", START)


def test_more_characters_than_spacy_allows(compiled_path):
    with PipelineProcess(compiled_path) as compiled:
        result = compiled.documents([f"{999 * 'a'} " * 1_100])
    assert result["words"] == 1_100


@pytest.mark.slow
def test_requests(reference_path, compiled_path):
    with PipelineProcess(reference_path) as reference:
        assert 50 < reference.loaded_memory() <= reference.peak_memory()
        with pytest.raises(PipelineError):
            reference.peak_rate()
    with PipelineProcess(compiled_path) as compiled:
        assert set(compiled.stages(["Ada met Karl."], 1)) == {"seconds", "words", "load"}
        assert compiled.architecture() == {"layers": 2, "width": 64, "intermediate": 128}


def test_stages_of_a_curated_transformer(tmp_path):
    """The encoder's shape is what was compiled, since the trained pipelines of other packages keep it elsewhere."""
    curated.make_pipeline("wordpiece", tmp_path / "reference", heads=["ner"])
    worker = Worker()
    worker.load(str(curated.compile_pipeline(tmp_path / "reference", tmp_path / "work")), -1, {})
    assert worker.architecture() == {
        "layers": curated.LAYERS,
        "width": curated.WIDTH,
        "intermediate": 2 * curated.WIDTH,
    }
    found = worker.stages(curated.TEXTS, 2)
    assert found["load"]["real"] > found["words"] and {"encoder", "ner"} <= set(found["seconds"])


def test_encoder_whose_shape_is_not_known(compiled_path, tmp_path):
    """As a pipeline that was compiled before it was written down."""
    folder = shutil.copytree(compiled_path, tmp_path / "compiled")
    manifest = srsly.read_json(folder / "transformer" / "engine.json")
    del manifest["encoder"]["width"]
    srsly.write_json(folder / "transformer" / "engine.json", manifest)
    worker = Worker()
    worker.load(str(folder), -1, {})
    with pytest.raises(ValueError, match="no 'width' in 'encoder': compile the pipeline again"):
        worker.architecture()
