"""A pipeline in a process of its own."""

import pytest

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking.process import PipelineError, PipelineProcess

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
        assert reference.architecture() == {"layers": 2, "width": 64, "intermediate": 128}
        assert 50 < reference.loaded_memory() <= reference.peak_memory()
        with pytest.raises(PipelineError):
            reference.peak_rate()
    with PipelineProcess(compiled_path) as compiled:
        assert set(compiled.stages(["Ada met Karl."], 1)) == {"seconds", "words", "load"}
        with pytest.raises(PipelineError):
            compiled.architecture()
