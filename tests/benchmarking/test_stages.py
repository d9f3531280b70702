"""The stages of a pipeline, and what they are given to do."""

import time

import pytest
import spacy

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking.breakdown import describe_wordpieces
from scripts.benchmarking.stages import StageObserver, Stopwatch, profile
from scripts.compiled_transformer.batches import LENGTH_STEP

from ..helpers import read_docs


@pytest.fixture
def nlp(compiled_path):
    return spacy.load(compiled_path)


@pytest.fixture
def texts(dev_corpus):
    return [doc.text for doc in read_docs(dev_corpus)]


def set_windows(nlp, window, stride):
    nlp.get_pipe("transformer").model.attrs.update(spans="strided", window=window, stride=stride)


def list_observers(nlp):
    return [nlp.get_pipe("transformer").encoder.observer, nlp.get_pipe("ner").observer]


# Stages


def test_stages_leave_the_pipeline_as_it_was(nlp, texts):
    before = list_observers(nlp)
    expected = [[(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in nlp.pipe(texts)]
    result = profile(nlp, texts, batch_size=5)
    assert list_observers(nlp) == before
    assert [[(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in nlp.pipe(texts)] == expected
    assert result["words"] == sum(len(doc) for doc in nlp.pipe(texts))
    assert all(seconds >= 0 for seconds in result["seconds"].values())
    assert min(result["seconds"][name] for name in ("make_doc", "wordpieces", "encoder", "pooling", "ner")) > 0


def test_stages_end_with_an_error(nlp, monkeypatch):
    def fail(*_):
        raise RuntimeError("no engine")

    monkeypatch.setattr("scripts.compiled_transformer.encoder.start_engine", fail)
    before = list_observers(nlp)
    with pytest.raises(RuntimeError, match="no engine"):
        profile(nlp, ["Ada met Karl."], batch_size=1)
    assert list_observers(nlp) == before


def test_time_belongs_to_the_innermost_stage():
    stopwatch = Stopwatch()

    def inner():
        assert list(stopwatch.seconds) == ["outer"]
        return 1

    with stopwatch.stage("outer"):
        assert stopwatch.wrap(inner, "inner")() == 1
        before = dict(stopwatch.seconds)
    assert list(before) == ["outer", "inner"]
    assert stopwatch.seconds["inner"] == before["inner"]
    assert stopwatch.seconds["outer"] >= before["outer"]


def test_engine_is_run_to_its_end():
    """Its stage would else go on while others run."""
    steps = []

    def generate():
        for number in range(3):
            steps.append(number)
            yield number

    outputs = StageObserver(Stopwatch()).finish(generate())
    assert steps == [0, 1, 2]
    assert list(outputs) == [0, 1, 2]


def test_other_threads_are_not_counted(nlp, texts):
    """Those of the engine work at the same time; all stages together take no longer than the whole."""
    nlp.get_pipe("transformer").model.attrs.update(threads=2, batch_wordpieces=50)
    start = time.perf_counter()
    result = profile(nlp, texts, batch_size=len(texts))
    seconds = time.perf_counter() - start
    assert result["load"]["windows"] > 2
    assert 0 < sum(result["seconds"].values()) <= seconds


# Wordpieces


def test_windows_without_overlap(nlp, texts):
    set_windows(nlp, 8, 8)
    load = profile(nlp, texts, batch_size=len(texts))["load"]
    assert load["distinct"] == load["text"]
    encoder = nlp.get_pipe("transformer").encoder
    assert load["real"] == load["text"] + 2 * load["windows"]  # Each has [CLS] and [SEP].
    assert load["text"] <= sum(len(encoder.segmentation.tokenizer.encode(text).ids) - 2 for text in texts)
    assert load["padded"] % LENGTH_STEP == 0 and load["padded"] > load["real"]
    assert load["squares"]["padded"] > load["squares"]["real"] > load["real"]


def test_windows_with_overlap(nlp, texts):
    set_windows(nlp, 8, 8)
    alone = describe_wordpieces(profile(nlp, texts, batch_size=3)["load"], words=100)
    set_windows(nlp, 8, 4)
    twice = describe_wordpieces(profile(nlp, texts, batch_size=3)["load"], words=100)
    assert alone["overlap"] == 0
    assert 0.35 < twice["overlap"] < 0.5  # The first and the last four tokens of a Doc are seen once.
