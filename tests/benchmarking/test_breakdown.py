"""What `scripts.benchmark` finds inside a pipeline: stages, wordpieces, operations, the peak, long documents."""

import threading

import numpy
import openvino
import pytest
import spacy
from spacy.tokens import Doc
from spacy.vocab import Vocab

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking import peak
from scripts.benchmarking.breakdown import compare_with_peak, count_operations, describe_wordpieces, share_out
from scripts.benchmarking.lengths import REFERENCE_LONGEST, compare_length, list_lengths, make_documents
from scripts.benchmarking.process import PipelineError, PipelineProcess
from scripts.benchmarking.stages import Stopwatch, profile
from scripts.common.machine import get_cpu_features
from scripts.compiled_transformer.wordpieces import LENGTH_STEP

from ..helpers import read_docs

BERT_BASE = {"layers": 12, "width": 768, "intermediate": 3072}
SHAPES = {"cpu": ((16, 32, 2),)}


@pytest.fixture
def nlp(compiled_path):
    return spacy.load(compiled_path)


@pytest.fixture
def texts(dev_corpus):
    return [doc.text for doc in read_docs(dev_corpus)]


def set_windows(nlp, window, stride):
    nlp.get_pipe("transformer").model.attrs.update(spans="strided", window=window, stride=stride)


# Stages


def list_observers(nlp):
    return [nlp.get_pipe("transformer").encoder.observer, nlp.get_pipe("ner").observer]


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


def test_generator_is_timed_to_its_end():
    stopwatch, steps = Stopwatch(), []

    def generate():
        for number in range(3):
            steps.append(number)
            yield number

    numbers = stopwatch.wrap(generate, "numbers")()
    assert steps == [0, 1, 2]
    assert list(numbers) == [0, 1, 2]


def test_other_threads_are_not_counted():
    stopwatch = Stopwatch()
    thread = threading.Thread(target=stopwatch.wrap(lambda: None, "elsewhere"))
    thread.start()
    thread.join()
    assert dict(stopwatch.seconds) == {}


def test_shares_are_of_all_stages():
    shares = share_out({"one": 1.0, "three": 3.0}, words=2000)
    assert shares == {"seconds": {"one": 5.0, "three": 15.0}, "share": {"one": 0.25, "three": 0.75}, "sum": 20.0}


# Wordpieces


def test_windows_without_overlap(nlp, texts):
    set_windows(nlp, 8, 8)
    load = profile(nlp, texts, batch_size=len(texts))["load"]
    assert load["distinct"] == load["text"]
    encoder = nlp.get_pipe("transformer").encoder
    assert load["real"] == load["text"] + 2 * load["windows"]  # Each has [CLS] and [SEP].
    assert load["text"] <= sum(len(encoder.tokenizer.encode(text).ids) - 2 for text in texts)
    assert load["padded"] % LENGTH_STEP == 0 and load["padded"] > load["real"]
    assert load["squares"]["padded"] > load["squares"]["real"] > load["real"]


def test_windows_with_overlap(nlp, texts):
    set_windows(nlp, 8, 8)
    alone = describe_wordpieces(profile(nlp, texts, batch_size=3)["load"], words=100)
    set_windows(nlp, 8, 4)
    twice = describe_wordpieces(profile(nlp, texts, batch_size=3)["load"], words=100)
    assert alone["overlap"] == 0
    assert 0.35 < twice["overlap"] < 0.5  # The first and the last four tokens of a Doc are seen once.


def test_shares_of_the_wordpieces():
    load = {"windows": 10, "text": 80, "distinct": 60.0, "real": 100, "padded": 160}
    assert describe_wordpieces(load, words=50) == {
        "per_word": 1.2, "per_window": 10, "padding": 0.375, "special": 0.125, "overlap": 0.25
    }  # fmt: skip


# Operations


def test_operations_of_bert_base():
    """22.5 GFLOP for 128 wordpieces: 2 times its 85 million weights, and attention."""
    operations = count_operations(BERT_BASE, 128, 128**2)
    weights = 12 * (4 * 768**2 + 2 * 768 * 3072)
    assert operations == 2 * 128 * weights + 12 * 4 * 128**2 * 768
    assert 22e9 < operations < 23e9


def test_encoder_compared_with_the_peak():
    load = {"real": 64, "padded": 128, "squares": {"real": 0, "padded": 0}}
    operations = count_operations(BERT_BASE, 128, 0)
    result = compare_with_peak(BERT_BASE, load, 2.0, peak=float(operations))
    assert result["padded"] == operations / 2
    assert result["share"] == {"real": pytest.approx(0.25), "padded": pytest.approx(0.5)}
    assert compare_with_peak(BERT_BASE, load, 2.0, peak=None)["share"] is None


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


# Long documents


def test_lengths():
    assert list_lengths(100) == [100]
    assert list_lengths(99_999) == [100, 1000, 10_000]
    assert list_lengths(1_000_000)[-1] == 1_000_000


def test_documents_of_a_length(dev_corpus):
    docs = read_docs(dev_corpus)
    longest = max(len(sent) for doc in docs for sent in doc.sents)
    for length, n in ((100, 30), (1000, 3), (5000, 1)):
        documents = make_documents(docs, length)
        assert len(documents) == n
        words = [len(Doc(Vocab(), words=text.split())) for text in documents]
        assert max(words) < length + longest
    assert make_documents(docs, 100)[0].startswith(next(docs[0].sents).text)


def test_document_that_is_too_long_for_the_reference(reference_path, compiled_path, dev_corpus):
    with PipelineProcess(reference_path) as reference, PipelineProcess(compiled_path) as compiled:
        before, after = compare_length(reference, compiled, read_docs(dev_corpus), REFERENCE_LONGEST + 1, rounds=3)
    assert before == {}
    assert after["words"] > REFERENCE_LONGEST
    assert after["peak_memory_mb"] > 50
    assert after["kib_per_word"] > 0


def test_more_characters_than_spacy_allows(compiled_path):
    with PipelineProcess(compiled_path) as compiled:
        result = compiled.documents([f"{99 * 'a'} " * 11_000])
    assert result["words"] == 11_000


# Requests


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
