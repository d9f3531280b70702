"""`scripts.benchmark`: one run, and what is refused. No test depends on how fast anything is."""

import re
import shutil

import pytest
import srsly
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from scripts.benchmark import benchmark_cli
from scripts.benchmarking import benchmark as script
from scripts.benchmarking.benchmark import choose_batch_texts
from scripts.benchmarking.tables import make_detail_tables, make_tables
from scripts.common.machine import describe_machine, get_size_mb

from ..helpers import assert_refused, read_docs, run_command
from .results import BATCH_SIZES, read_rows

FILES = ("benchmark.json", "benchmark.md", "benchmark.png", "benchmark-length.png")
QUICK = ("--rounds", 1, "--words", 60, "--sentences", 4, "--longest", 1000)


@pytest.fixture(scope="module")
def metrics_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmark") / "metrics"


@pytest.fixture(scope="module")
def result(reference_path, compiled_path, dev_corpus, metrics_dir):
    """The command, run once. One round, so that the speed-up is the ratio of the two speeds."""
    return run_command(benchmark_cli, reference_path, compiled_path, dev_corpus, metrics_dir, *QUICK)


@pytest.fixture(scope="module")
def metrics(result, metrics_dir):
    return srsly.read_json(metrics_dir / "benchmark.json")


@pytest.fixture
def old_metrics(tmp_path):
    """A metrics folder with the results of an earlier run."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text("old")
    return folder


def assert_untouched(folder):
    assert {path.name: path.read_text() for path in folder.iterdir()} == {name: "old" for name in FILES}


def make_all_rows(metrics):
    """RETURNS (List[List[str]]): The rows of all tables of a benchmark."""
    rows = [list(row) for rows in make_tables(metrics).values() for row in rows]
    return rows + [row for table in make_detail_tables(metrics) for row in table.rows]


# The run


def test_writes_four_files(result, metrics_dir):
    assert result.exit_code == 0, result.output
    assert {path.name for path in metrics_dir.iterdir()} == set(FILES)


@pytest.mark.parametrize("side", ["reference", "compiled"])
def test_json_has_all_numbers_of_a_pipeline(metrics, side):
    assert set(metrics) == {
        "machine", "measured", "agreement", "reference", "compiled", "speedup", "stages", "wordpieces", "encoder"
    }  # fmt: skip
    numbers = metrics[side]
    assert set(numbers) == {
        "throughput", "throughput_best", "best_batch_size", "latency_sentence", "latency_document", "load_seconds",
        "peak_memory_mb", "peak_memory_mb_by_batch", "size_mb", "lengths",
    }  # fmt: skip
    assert list(numbers["throughput"]) == BATCH_SIZES
    assert all(isinstance(value, float) and value > 0 for value in numbers["throughput"].values())
    for key in ("latency_sentence", "latency_document"):
        assert list(numbers[key]) == ["mean", "p50", "p95", "p99"]
        assert 0 < numbers[key]["p50"] <= numbers[key]["p95"] <= numbers[key]["p99"]
    assert numbers["load_seconds"] > 0
    assert numbers["peak_memory_mb"] > 50  # Python and spaCy alone need more.
    by_batch = list(numbers["peak_memory_mb_by_batch"].values())
    assert by_batch == sorted(by_batch) and by_batch[-1] == numbers["peak_memory_mb"]


@pytest.mark.parametrize("side", ["reference", "compiled"])
def test_lengths_are_those_that_were_asked_for(metrics, side):
    lengths = metrics[side]["lengths"]
    assert list(lengths) == ["100", "1000"]
    for length, numbers in lengths.items():
        assert int(length) <= numbers["words"] < 1.5 * int(length)
        assert numbers["words_per_second"] > 0
    assert lengths["100"]["peak_memory_mb"] <= lengths["1000"]["peak_memory_mb"]


def test_stages_are_complete(metrics):
    stages = metrics["stages"]
    assert list(stages["seconds"]) == list(stages["share"])
    assert set(stages["seconds"]) == {
        "make_doc", "sentencizer", "wordpieces", "encoder", "pooling", "transformer", "ner, tok2vec", "ner"
    }  # fmt: skip
    assert sum(stages["seconds"].values()) == pytest.approx(stages["sum"])
    assert sum(stages["share"].values()) == pytest.approx(1)
    assert stages["batch_size"] == metrics["compiled"]["best_batch_size"]
    assert stages["pipe"] == pytest.approx(10_000 / metrics["compiled"]["throughput_best"])


def test_every_head_agrees(metrics, dev_corpus):
    agreement = metrics["agreement"]
    assert agreement["words"] == sum(map(len, read_docs(dev_corpus)))
    assert set(agreement["kinds"]) == {"entities", "sentences"}
    assert all(found["value"] == 1 and found["items"] > 20 for found in agreement["kinds"].values())


def test_encoder_stays_below_the_peak(metrics):
    wordpieces, encoder = metrics["wordpieces"], metrics["encoder"]
    assert wordpieces["overlap"] == 0  # A sentence is seen once.
    assert 0 <= wordpieces["padding"] < 1 and 0 < wordpieces["special"] < 1
    assert encoder["architecture"] == {"layers": 2, "width": 64, "intermediate": 128}
    assert 0 < encoder["real"] <= encoder["padded"] < encoder["peak"]
    assert encoder["share"]["real"] == pytest.approx(encoder["real"] / encoder["peak"])


def test_json_says_what_was_measured(metrics, reference_path, compiled_path, dev_corpus):
    docs = read_docs(dev_corpus)
    measured = metrics["measured"]
    assert measured["rounds"] == 1
    assert measured["sentences"] == measured["documents"] == 4
    assert measured["texts"] == len(choose_batch_texts(docs, 60))
    assert measured["words"] >= max(script.BATCH_SIZES)
    assert measured["corpus"] == dev_corpus.name
    assert (measured["engine"], measured["precision"]) == ("onnxruntime", "fp32")
    assert metrics["reference"]["size_mb"] == pytest.approx(get_size_mb(reference_path))
    assert metrics["compiled"]["size_mb"] == pytest.approx(get_size_mb(compiled_path))
    assert metrics["machine"] == describe_machine()


def test_speedup_is_the_ratio_of_the_numbers(metrics):
    reference, compiled, speedup = metrics["reference"], metrics["compiled"], metrics["speedup"]
    assert set(speedup) == {
        "throughput", "throughput_interval", "throughput_best", "throughput_best_interval", "latency_sentence_p50",
        "latency_document_p50",
    }  # fmt: skip
    assert list(speedup["throughput"]) == list(speedup["throughput_interval"]) == BATCH_SIZES
    for size, ratio in speedup["throughput"].items():
        assert ratio == pytest.approx(compiled["throughput"][size] / reference["throughput"][size])
        assert speedup["throughput_interval"][size] == pytest.approx([ratio, ratio])  # One round only.
    assert speedup["throughput_best"] == pytest.approx(compiled["throughput_best"] / reference["throughput_best"])
    for side in (reference, compiled):
        assert side["throughput"][str(side["best_batch_size"])] == max(side["throughput"].values())
    for key in ("latency_sentence", "latency_document"):
        assert speedup[f"{key}_p50"] == pytest.approx(reference[key]["p50"] / compiled[key]["p50"])


def test_terminal_markdown_and_json_agree(result, metrics, metrics_dir):
    rows = read_rows((metrics_dir / "benchmark.md").read_text(encoding="utf8"))
    assert rows == make_all_rows(metrics)
    titles = [row[0] for row in rows]
    printed = [line for line in result.stdout.splitlines() if line.startswith(tuple(titles))]
    assert [re.split(r"  +", line.strip()) for line in printed] == rows


def test_batch_texts_are_enough_for_the_largest_batch(dev_corpus):
    docs = read_docs(dev_corpus)
    texts = [doc.text for doc in docs]
    assert choose_batch_texts(docs, 1)[: len(texts) + 1] == [*texts, texts[0]]
    assert len(choose_batch_texts(docs, 1)) == max(script.BATCH_SIZES)
    n_words = 20 * max(script.BATCH_SIZES) * max(len(doc) for doc in docs)
    words_of = {doc.text: len(doc) for doc in docs}
    words = sum(words_of[text] for text in choose_batch_texts(docs, n_words))
    assert n_words <= words < n_words + max(words_of.values())


# Mistakes


def test_file_in_place_of_the_folder_is_noticed_before_measuring(
    reference_path, compiled_path, dev_corpus, tmp_path, monkeypatch
):
    monkeypatch.setattr(script, "measure", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "metrics").write_text("a file")
    result = run_command(benchmark_cli, reference_path, compiled_path, dev_corpus, tmp_path / "metrics", *QUICK)
    assert_refused(result, tmp_path / "metrics", "is a file")


def test_pipeline_that_is_not_compiled(reference_path, dev_corpus, old_metrics, monkeypatch):
    monkeypatch.setattr(script, "measure", lambda *_, **__: pytest.fail("measured"))
    result = run_command(benchmark_cli, reference_path, reference_path, dev_corpus, old_metrics, *QUICK)
    assert_refused(result, reference_path, "no compiled transformer", "project run optimize")
    assert_untouched(old_metrics)


@pytest.mark.parametrize("missing,command", [("reference", "project run train"), ("compiled", "project run optimize")])
def test_missing_pipeline(missing, command, reference_path, compiled_path, dev_corpus, old_metrics, tmp_path):
    paths = {"reference": reference_path, "compiled": compiled_path, missing: tmp_path / "nowhere"}
    result = run_command(benchmark_cli, paths["reference"], paths["compiled"], dev_corpus, old_metrics, *QUICK)
    assert_refused(result, tmp_path / "nowhere", command)
    assert_untouched(old_metrics)


def test_missing_corpus(reference_path, compiled_path, old_metrics, tmp_path):
    result = run_command(benchmark_cli, reference_path, compiled_path, tmp_path / "dev.spacy", old_metrics, *QUICK)
    assert_refused(result, tmp_path / "dev.spacy", "project run corpus")
    assert_untouched(old_metrics)


def test_pipeline_that_fails(reference_path, compiled_path, dev_corpus, old_metrics, tmp_path):
    shutil.copytree(compiled_path, tmp_path / "damaged")
    (tmp_path / "damaged" / "transformer" / "encoder.onnx").write_bytes(b"something else")
    result = run_command(benchmark_cli, tmp_path / "damaged", compiled_path, dev_corpus, old_metrics, *QUICK)
    assert_refused(result, tmp_path / "damaged", "encoder.onnx", "project run evaluate")
    assert_untouched(old_metrics)


def test_files_are_replaced_together(made_up, reference_path, compiled_path, dev_corpus, old_metrics, monkeypatch):
    def fail(*_):
        raise RuntimeError("no plot")

    monkeypatch.setattr(script, "measure", lambda *_, **__: made_up)
    monkeypatch.setattr(script, "draw_plot", fail)
    with pytest.raises(RuntimeError, match="no plot"):
        script.benchmark(reference_path, compiled_path, dev_corpus, old_metrics)
    assert_untouched(old_metrics)


def test_corpus_without_sentences(reference_path, compiled_path, old_metrics, tmp_path):
    doc = Doc(Vocab(), words=["Ada", "met", "Karl"], ents=["B-PER", "O", "B-PER"])
    DocBin(docs=[doc]).to_disk(tmp_path / "dev.spacy")
    result = run_command(benchmark_cli, reference_path, compiled_path, tmp_path / "dev.spacy", old_metrics, *QUICK)
    assert_refused(result, tmp_path / "dev.spacy", "sentencizer")
    assert_untouched(old_metrics)
