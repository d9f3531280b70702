"""`scripts.optimize`: real engines, processes and a gate, on few candidates and few rounds."""

import importlib.util
import multiprocessing
import os
import shutil
import time
from functools import partial

import numpy
import onnx
import pytest
import spacy
import srsly
import torch
from matplotlib.axes import Axes
from matplotlib.image import imread
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.registry import QDQRegistry
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import load_config, load_model_from_config
from thinc.api import Adam

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking.process import PipelineProcess
from scripts.common.corpora import copy_for_prediction, read_corpus
from scripts.compilation import candidates as candidates_module
from scripts.compilation import optimize as script
from scripts.compilation import search
from scripts.compilation import selection as choice
from scripts.compilation.build_onnxruntime import build_fp32
from scripts.compilation.candidates import Candidate, Workbench, get_candidates, with_onnx
from scripts.compilation.gate import Gate, score_entities
from scripts.compilation.optimize import SearchSettings, optimize
from scripts.compilation.reference import load_reference
from scripts.compilation.search_report import save_plot
from scripts.compilation.selection import NOISE, choose
from scripts.compilation.validation import PipelineScorer
from scripts.compiled_transformer.artefact import MANIFEST
from scripts.optimize import optimize_cli

from ..helpers import ROOT, assert_refused, bare, get_entities, has_gpu, read_docs, run_command

EXACT = ("--max-f1-drop", 0, "--max-label-drop", 0)
ROW_KEYS = {
    "name", "engine", "precision", "ents_f", "drop", "words_per_second", "p50_ms", "size_mb", "status", "reason"
}  # fmt: skip
REPORTS = ("optimize.json", "optimize.md", "optimize.png")


def make_quick(patch, candidates):
    """Try these candidates only, then one other setting, and time them on next to nothing."""
    patch.setattr(script, "get_candidates", lambda: candidates)
    patch.setattr(search, "get_setting_changes", lambda trial: [{"batch_wordpieces": 512}])
    for name, value in {"ROUNDS": 1, "WORDS": 100, "SENTENCES": 2}.items():
        patch.setattr(search, name, value)


def read_files(folder):
    """RETURNS (Dict[str, bytes]): All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def find_entities(pipeline, corpus):
    nlp = spacy.load(pipeline)
    return [get_entities(doc) for doc in nlp.pipe(bare(doc, nlp.vocab) for doc in read_docs(corpus))]


def get_candidate(name):
    return next(candidate for candidate in get_candidates() if candidate.name == name)


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


def build_broken(workbench, folder):
    (folder / "encoder.onnx").write_bytes(b"no model at all")


def build_nothing(workbench, folder):
    raise RuntimeError("this operator is not known\nand a second line")


SAFE = Candidate("safe", "onnxruntime", "fp32", partial(with_onnx, build_fp32))
HARMFUL = Candidate("harmful", "onnxruntime", "int8", build_harmful)


# One search with good and bad candidates


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("optimize")


@pytest.fixture(scope="module")
def result(reference_path, train_corpus, dev_corpus, workspace):
    """The command, run once."""
    candidates = [
        Candidate("raises", "onnxruntime", "fp32", build_nothing),
        SAFE,
        Candidate("broken", "onnxruntime", "fp32", build_broken),
        SAFE._replace(name="dies"),
        SAFE._replace(name="lacks", needs=["no_such_package"]),
        HARMFUL,
        get_candidate("openvino-int8"),
        get_candidate("nebullvm"),
    ]
    entities = PipelineProcess.entities

    def kill_one(self, corpus):
        if self.path.name == "dies":
            print("a warning", file=self._messages, flush=True)  # As if the process had written it.
            self._process.kill()
        return entities(self, corpus)

    files = read_files(reference_path)
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch, candidates)
        patch.setattr(PipelineProcess, "entities", kill_one)
        result = run_command(
            optimize_cli, reference_path, workspace / "compiled", train_corpus, dev_corpus, workspace / "metrics",
            *EXACT, "--budget", 60,
        )  # fmt: skip
    assert read_files(reference_path) == files
    return result


@pytest.fixture(scope="module")
def report(result, workspace):
    assert result.exit_code == 0, result.output
    return srsly.read_json(workspace / "metrics" / "optimize.json")


@pytest.fixture(scope="module")
def rows(report):
    return {row["name"]: row for row in report["candidates"]}


def test_compiled_pipeline_finds_the_same_entities(report, workspace, reference_path, dev_corpus):
    entities = find_entities(reference_path, dev_corpus)
    assert sum(map(len, entities)) > 20
    assert find_entities(workspace / "compiled", dev_corpus) == entities


def test_folders_hold_the_results_and_nothing_else(report, workspace):
    assert {path.name for path in workspace.iterdir()} == {"compiled", "metrics"}
    assert {path.name for path in (workspace / "metrics").iterdir()} == set(REPORTS)


def test_json_has_the_search(report, rows, reference_path):
    assert {"machine", "objective", "gate", "reference", "warnings", "chosen", "candidates"} <= report.keys()
    assert report["gate"] == {"max_f1_drop": 0, "max_label_drop": 0}
    assert report["reference"]["path"] == str(reference_path)
    assert report["reference"]["ents_f"] > 0.9
    assert report["reference"]["words_per_second"] > 0 and report["reference"]["p50_ms"] > 0
    assert all(ROW_KEYS <= row.keys() for row in rows.values())
    assert list(rows)[:8] == [
        "raises", "safe", "broken", "dies", "lacks", "harmful", "openvino-int8", "nebullvm"
    ]  # fmt: skip
    assert len(rows) == len(report["candidates"])


@pytest.mark.parametrize("name", ["safe", "openvino-int8"])
def test_candidates_that_keep_the_entities_pass(name, report, rows):
    row = rows[name]
    assert row["status"] in ("passed", "chosen"), row["reason"]
    assert row["ents_f"] == report["reference"]["ents_f"]
    assert row["drop"] == 0
    assert row["drop_interval"] == [0, 0]
    assert min(row[key] for key in ("words_per_second", "p50_ms", "size_mb", "speedup", "build_seconds")) > 0


def test_nebullvm_passes_with_what_it_tried(rows):
    if importlib.util.find_spec("nebullvm") is None:
        pytest.skip("nebullvm is not installed; run `python -m spacy project run setup`")
    row = rows["nebullvm"]
    assert row["status"] in ("passed", "chosen"), row["reason"]
    assert len(row["log"]) > 1
    assert all("quantization" in line and ":" in line for line in row["log"])
    assert any(line.endswith(" ms") for line in row["log"])


def test_int8_is_smaller(rows):
    assert rows["openvino-int8"]["size_mb"] < rows["safe"]["size_mb"]


def test_other_settings_of_the_best_are_tried(rows):
    changed = [row for name, row in rows.items() if name.endswith(", batch_wordpieces 512")]
    assert [row["settings"] for row in changed] == [{"batch_wordpieces": 512}]
    assert changed[0]["status"] in ("passed", "chosen")


def test_one_candidate_is_chosen(report, rows, workspace):
    chosen = [row for row in rows.values() if row["status"] == "chosen"]
    assert [row["name"] for row in chosen] == [report["chosen"]]
    manifest = srsly.read_json(workspace / "compiled" / "transformer" / MANIFEST)
    assert (manifest["engine"], manifest["precision"]) == (chosen[0]["engine"], chosen[0]["precision"])
    assert manifest["measured_on_dev"]["ents_f"] == chosen[0]["ents_f"]
    assert manifest["measured_on_dev"]["speedup"] == chosen[0]["speedup"]
    config = load_config(workspace / "compiled" / "config.cfg")["components"]["transformer"]
    assert chosen[0]["settings"].items() <= config.items()


def test_candidate_that_raises_is_a_row(rows):
    assert rows["raises"]["status"] == "failed"
    assert rows["raises"]["reason"] == "failed: RuntimeError: this operator is not known"


def test_broken_model_is_a_row(rows):
    assert rows["broken"]["status"] == "failed"
    assert "ONNXRuntimeError" in rows["broken"]["reason"]


def test_process_that_dies_is_a_row(rows):
    assert rows["dies"]["status"] == "failed"
    assert "died during 'entities'" in rows["dies"]["reason"]
    assert "exit code -9: a warning" in rows["dies"]["reason"]


def test_missing_package_is_a_row_with_what_to_do(rows):
    assert rows["lacks"]["status"] == "skipped"
    assert "no_such_package is not installed" in rows["lacks"]["reason"]
    assert "pip install no_such_package" in rows["lacks"]["reason"]


def test_harmful_candidate_is_rejected(rows):
    row = rows["harmful"]
    assert row["status"] == "rejected"
    assert row["drop"] > 0.1
    assert row["drop_interval"][0] > 0
    assert row["identical_docs"] < 0.5
    assert row["speedup"] > 0  # A rejected candidate is timed, too: it shows what the gate costs.


def test_terminal_has_every_reason(result, rows):
    printed = " ".join(result.stdout.split())
    for row in rows.values():
        assert " ".join(f"{row['name']}: {row['reason']}".split()) in printed
    assert "Kept" in printed
    assert "Traceback" not in printed


def test_markdown_has_every_candidate(rows, workspace):
    lines = (workspace / "metrics" / "optimize.md").read_text(encoding="utf8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert len({len(row) for row in cells}) == 1
    by_name = {row[0]: row for row in cells[2:]}
    assert by_name.keys() == {"reference", *rows}
    for name, row in rows.items():
        assert by_name[name][1] == row["status"]
        assert by_name[name][-1] == row["reason"].replace("|", "/")
    assert by_name["harmful"][2] == f"{rows['harmful']['ents_f']:.4f}"


def test_picture_names_every_candidate_that_ran(report, rows, workspace, tmp_path, monkeypatch):
    assert imread(workspace / "metrics" / "optimize.png").shape[1] >= 1000
    labels = []
    write = Axes.text

    def record(self, x, y, text, *arguments, **options):
        labels.append(text)
        return write(self, x, y, text, *arguments, **options)

    monkeypatch.setattr(Axes, "text", record)
    save_plot(report, tmp_path / "again.png")
    ran = [f"{name} ({row['status']})" for name, row in rows.items() if row.get("speedup")]
    assert [label.split("  ")[1] for label in labels] == ran


# Nothing passes


def test_nothing_passes(reference_path, compiled_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    output = tmp_path / "compiled"
    shutil.copytree(compiled_path, output)
    before = read_files(output)
    make_quick(monkeypatch, [HARMFUL])
    result = run_command(optimize_cli, reference_path, output, train_corpus, dev_corpus, tmp_path / "metrics")
    assert_refused(result, "No candidate keeps the entities", output, "harmful: loses entities: F1 falls by")
    assert read_files(output) == before
    assert find_entities(output, dev_corpus) == find_entities(reference_path, dev_corpus)
    report = srsly.read_json(tmp_path / "metrics" / "optimize.json")
    assert report["chosen"] is None
    assert [row["status"] for row in report["candidates"]] == ["rejected"]
    assert {path.name for path in (tmp_path / "metrics").iterdir()} == set(REPORTS)


# A reference that has learned nothing


def test_untrained_reference_gives_a_warning(tiny_encoder, train_corpus, dev_corpus, tmp_path, monkeypatch):
    make_pipeline(tiny_encoder, dev_corpus, tmp_path / "untrained")
    make_quick(monkeypatch, [SAFE, SAFE._replace(name="too-late")])
    result = run_command(
        optimize_cli, tmp_path / "untrained", tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics",
        "--budget", 0,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = srsly.read_json(tmp_path / "metrics" / "optimize.json")
    assert report["reference"]["ents_f"] < 0.1
    assert any("has hardly learned anything" in warning for warning in report["warnings"])
    assert "has hardly learned anything" in " ".join(result.stdout.split())
    assert "has hardly learned anything" in (tmp_path / "metrics" / "optimize.md").read_text(encoding="utf8")
    safe, late = report["candidates"]
    assert (safe["status"], safe["drop"]) == ("chosen", 0)
    assert late["status"] == "skipped"
    assert "--budget" in late["reason"]
    assert find_entities(tmp_path / "compiled", dev_corpus) == find_entities(tmp_path / "untrained", dev_corpus)


# Killed in the middle


def build_logged(name, log, workbench, folder):
    with log.open("a") as file_:
        file_.write(f"{name}\n")
    build_fp32(workbench.exported, workbench.reference.encoder.config, folder)


def make_logged_candidates(log):
    return [Candidate(name, "onnxruntime", "fp32", partial(build_logged, name, log)) for name in ("first", "second")]


def optimize_until(moment, log, marker, arguments):
    """Run a search, write a marker when a moment has come, and wait. It runs in a process of its own."""

    def stop(text="now"):
        marker.with_suffix(".new").write_text(text)
        marker.with_suffix(".new").rename(marker)
        time.sleep(3600)

    entities = PipelineProcess.entities

    def stop_in_second(self, corpus):
        if self.path.name == "second":
            stop(str(self._process.pid))
        return entities(self, corpus)

    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch, make_logged_candidates(log))
        patch.setattr(search, "get_setting_changes", lambda trial: [])
        if moment == "measure":
            patch.setattr(PipelineProcess, "entities", stop_in_second)
        elif moment == "copy":  # Everything of the output is there but its manifest.
            patch.setattr(choice, "write_manifest", lambda *_: stop())
        optimize(*arguments, SearchSettings(Gate(0, 0)))


def kill_at(moment, log, marker, arguments):
    """RETURNS (str): What was in the marker when the search was killed."""
    process = multiprocessing.get_context("spawn").Process(target=optimize_until, args=(moment, log, marker, arguments))
    process.start()
    while not marker.exists():
        assert process.is_alive(), f"The search ended before it came to the moment {moment!r}"
        time.sleep(0.05)
    process.kill()
    process.join()
    text = marker.read_text()
    marker.unlink()
    return text


def wait_for_end(pid):
    deadline = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def test_killed_search_goes_on(reference_path, compiled_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    output, log, marker = tmp_path / "training" / "compiled", tmp_path / "builds.txt", tmp_path / "marker"
    shutil.copytree(compiled_path, output)
    before = read_files(output)
    arguments = (reference_path, output, train_corpus, dev_corpus, tmp_path / "metrics")
    expected = find_entities(reference_path, dev_corpus)

    worker = kill_at("measure", log, marker, arguments)
    assert log.read_text().split() == ["first", "second"]
    assert read_files(output) == before
    wait_for_end(int(worker))  # What it started ends with it.

    kill_at("copy", log, marker, arguments)
    assert log.read_text().split() == ["first", "second", "second"]
    assert read_files(output) == before
    assert find_entities(output, dev_corpus) == expected
    assert not (tmp_path / "metrics").exists()

    make_quick(monkeypatch, make_logged_candidates(log))
    monkeypatch.setattr(search, "get_setting_changes", lambda trial: [])
    report = optimize(*arguments, SearchSettings(Gate(0, 0)))
    assert log.read_text().split() == ["first", "second", "second"]
    assert [row["name"] for row in report["candidates"]] == ["first", "second"]
    assert "measured_on_dev" in srsly.read_json(output / "transformer" / MANIFEST)
    assert find_entities(output, dev_corpus) == expected
    assert not output.with_name("compiled-candidates").exists()


def test_what_is_best_in_latency_is_warmed_up(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    make_quick(monkeypatch, [get_candidate("openvino-fp32")])
    arguments = (reference_path, tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics")
    report = optimize(*arguments, SearchSettings(Gate(0, 0), objective="latency"))
    lengths = [16, 32, 48, 64]
    assert [row["settings"]["warm_up_lengths"] for row in report["candidates"]] == [lengths, lengths]
    assert [row["name"] for row in report["candidates"]] == ["openvino-fp32", "openvino-fp32, batch_wordpieces 512"]
    assert spacy.load(tmp_path / "compiled").get_pipe("transformer").model.attrs["warm_up_lengths"] == lengths
    assert find_entities(tmp_path / "compiled", dev_corpus) == find_entities(reference_path, dev_corpus)


def test_killed_export_is_done_again(reference_path, dev_corpus, tmp_path, monkeypatch):
    def export_half(encoder, path):
        path.write_bytes(b"half of a model")
        raise KeyboardInterrupt

    docs = read_corpus(dev_corpus)
    workbench = Workbench(load_reference(reference_path), docs, docs, 0.0, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(candidates_module, "export_onnx", export_half)
        with pytest.raises(KeyboardInterrupt):
            print(workbench.exported)
    onnx.checker.check_model(str(workbench.exported))


def test_rows_of_another_search_are_not_used(tmp_path):
    folder = tmp_path / "candidates"
    row = {"name": "safe, batch_wordpieces 512", "status": "passed"}
    assert search.load_rows(folder, {"gpu": -1}) == {}
    search.save_row(folder, row)
    assert search.load_rows(folder, {"gpu": -1}) == {row["name"]: row}
    assert search.load_rows(folder, {"gpu": 0}) == {}
    assert search.load_rows(folder, {"gpu": 0}) == {}
    assert [path.name for path in folder.iterdir()] == ["search.json"]


def test_damaged_key_starts_a_new_search(tmp_path):
    (tmp_path / "search.json").write_text('{"gpu": ')
    assert search.load_rows(tmp_path, {"gpu": -1}) == {}


# What fails for another reason than the candidate


@pytest.mark.slow
def test_what_failed_is_tried_again(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    arguments = (reference_path, tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics")
    make_quick(monkeypatch, [SAFE._replace(build=build_nothing)])
    result = run_command(optimize_cli, *arguments, *EXACT)
    assert_refused(result, "No candidate could be built and compared with", "optimize.json")
    make_quick(monkeypatch, [SAFE])
    assert optimize(*arguments, SearchSettings(Gate(0, 0)))["chosen"].startswith("safe")


@pytest.mark.slow
def test_death_of_the_reference_is_not_the_candidates(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    arguments = (reference_path, tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics")
    make_quick(monkeypatch, [SAFE, SAFE._replace(name="second")])
    throughput = PipelineProcess.throughput

    def kill_reference(self, *arguments):
        if self.path == reference_path:
            self._process.kill()
        return throughput(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PipelineProcess, "throughput", kill_reference)
        result = run_command(optimize_cli, *arguments, *EXACT)
    assert_refused(result, "The trained pipeline failed", reference_path, "exit code -9")
    report = optimize(*arguments, SearchSettings(Gate(0, 0)))
    assert {row["status"] for row in report["candidates"]} == {"passed", "chosen"}


@pytest.mark.slow
def test_corpus_without_sentences_is_timed_by_docs(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    docs = read_docs(dev_corpus)
    bare_docs = [Doc(doc.vocab, words=[token.text for token in doc]) for doc in docs]
    for plain, doc in zip(bare_docs, docs):
        plain.set_ents([Span(plain, ent.start, ent.end, label=ent.label_) for ent in doc.ents])
    DocBin(docs=bare_docs).to_disk(tmp_path / "dev.spacy")
    make_quick(monkeypatch, [SAFE])
    arguments = (reference_path, tmp_path / "compiled", train_corpus, tmp_path / "dev.spacy", tmp_path / "metrics")
    assert optimize(*arguments, SearchSettings(Gate(0, 0)))["candidates"][0]["p50_ms"] > 0


# Quantization that watches the entities


@pytest.mark.parametrize("threads", [1, 2])
def test_engines_are_scored_by_the_pipelines_entities(compiled_path, dev_corpus, threads):
    gold = read_corpus(dev_corpus)
    nlp = spacy.load(compiled_path, config={"components.transformer.threads": threads})
    found = [
        [(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in nlp.pipe(bare(doc, nlp.vocab) for doc in gold)
    ]
    expected = [tuple(counts) for counts in score_entities(gold, found).counts.tolist()]
    engine = nlp.get_pipe("transformer").encoder.get_engine("cpu", threads, 1)
    scorer = PipelineScorer(
        spacy.load(compiled_path, config={"components.transformer.threads": threads}), "transformer", gold
    )
    indices = list(range(len(gold)))
    assert scorer(engine, indices) == expected
    assert scorer(engine, indices[3:4]) == expected[3:4]
    found_none = scorer(
        lambda ids, mask: numpy.zeros((*ids.shape, engine(ids, mask).shape[-1]), dtype="float32"), indices
    )
    assert sum(true_positives for true_positives, _, _ in found_none) < sum(counts[0] for counts in expected)


@pytest.mark.slow
def test_accurate_int8_is_built(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    make_quick(monkeypatch, [get_candidate("openvino-int8-accurate")])
    arguments = (reference_path, tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics")
    report = optimize(*arguments, SearchSettings(Gate(0.1, 0.2)))
    assert report["candidates"][0]["status"] in ("passed", "chosen"), report["candidates"][0]["reason"]


# Windows and sentences


STRIDED = {"spans": "strided", "window": 20, "stride": 15}


@pytest.fixture
def make_workbench(reference_path, train_corpus, tmp_path):
    """A function that makes a workbench of the reference, with its own settings or others."""

    def make(settings=None):
        reference = load_reference(reference_path)
        docs = read_corpus(train_corpus)
        return Workbench(reference._replace(settings=settings or reference.settings), docs, docs, 0.0, tmp_path)

    return make


def test_windows_are_only_changed_where_they_overlap(make_workbench):
    def get_names(settings=None):
        trial = search.Trial(make_workbench(settings), "transformer", None, None, None, None, None, -1)
        return {name for change in search.get_setting_changes(trial) for name in change}

    assert make_workbench().reference.settings == {"spans": "sent"}
    assert "batch_wordpieces" in get_names()
    assert not {"spans", "window", "stride"} & get_names()
    assert not {"spans", "window", "stride"} & get_names({**STRIDED, "stride": 20})
    assert {"stride"} == {"spans", "window", "stride"} & get_names(STRIDED)


def test_calibration_has_windows_as_the_pipeline_makes_them(make_workbench):
    def get_lengths(workbench):
        return [window["input_ids"].shape[1] for window in workbench.calibration]

    workbench = make_workbench()
    sentences = {
        tuple(workbench.reference.tokenizer(sent.text).input_ids) for doc in workbench.train for sent in doc.sents
    }
    assert len(workbench.calibration) == candidates_module.CALIBRATION_WINDOWS
    assert all(tuple(window["input_ids"][0]) in sentences for window in workbench.calibration)
    without = [Doc(doc.vocab, words=[token.text for token in doc]) for doc in workbench.train]
    assert max(get_lengths(workbench._replace(train=without))) > max(get_lengths(workbench))
    assert max(get_lengths(make_workbench(STRIDED))) < max(get_lengths(workbench))


@pytest.mark.parametrize("has_sentencizer", [True, False])
def test_pipelines_that_find_sentences_are_not_told_them(compiled_path, dev_corpus, has_sentencizer):
    nlp = spacy.load(compiled_path, exclude=[] if has_sentencizer else ["sentencizer"])
    for doc in read_corpus(dev_corpus):
        copied = copy_for_prediction(doc, nlp)
        assert copied.text == doc.text and not copied.ents
        assert copied.has_annotation("SENT_START") != has_sentencizer
        if not has_sentencizer:
            assert [sent.start for sent in copied.sents] == [sent.start for sent in doc.sents]


# Choice


def make_row(name, *, speedup=1.0, latency_speedup=1.0, size_mb=10.0, status="passed", **fields):
    return {
        "name": name, "engine": "onnxruntime", "precision": "fp32", "settings": {}, "reason": "F1 is the same",
        "speedup": speedup, "latency_speedup": latency_speedup, "size_mb": size_mb, "status": status, **fields,
    }  # fmt: skip


@pytest.mark.parametrize("objective,chosen", [("throughput", "wide"), ("latency", "quick"), ("size", "small")])
def test_objective_decides(objective, chosen):
    rows = [
        make_row("plain"),
        make_row("wide", speedup=4.0, engine="openvino"),
        make_row("quick", latency_speedup=3.0, engine="openvino", precision="bf16"),
        make_row("small", size_mb=3.0, engine="torch"),
    ]
    assert choose(rows, objective) == chosen
    assert [row["name"] for row in rows if row["status"] == "chosen"] == [chosen]
    for row in rows:
        expected = f"best {objective}" if row["name"] == chosen else f"than {chosen}"
        assert row["reason"].startswith("F1 is the same; ")
        assert expected in row["reason"]


@pytest.mark.parametrize("objective,number", [("throughput", "speedup"), ("latency", "latency_speedup")])
def test_ties_go_to_the_simpler(objective, number):
    within, beyond = 5.0 * (1 - NOISE / 2), 5.0 * (1 - 2 * NOISE)
    rows = [
        make_row("slow", **{number: beyond}),
        make_row("fast", engine="openvino", precision="int8", **{number: 5.0}),
        make_row("set", engine="openvino", settings={"threads": 1}, **{number: within}),
        make_row("simple", engine="openvino", **{number: within}),
        make_row("later", engine="openvino", **{number: within}),
        make_row("torch", engine="torch", **{number: within}),
    ]
    assert choose(rows, objective) == "simple"
    reasons = {row["name"]: row["reason"] for row in rows}
    assert "slower than simple" in reasons["slow"]
    for name in ("fast", "set", "later", "torch"):
        assert "as good as simple within the noise, which is simpler" in reasons[name]


def test_what_did_not_pass_is_not_chosen():
    rows = [make_row(status, speedup=9.0, status=status) for status in ("rejected", "failed", "skipped")]
    assert choose(rows, "throughput") is None
    assert {row["reason"] for row in rows} == {"F1 is the same"}
    rows.append(make_row("passed", speedup=0.5))
    assert choose(rows, "throughput") == "passed"


def test_all_candidates_can_be_compared():
    candidates = get_candidates()
    assert len({candidate.name for candidate in candidates}) == len(candidates)
    for candidate in candidates:
        assert choice.get_complexity(make_row("", engine=candidate.engine, precision=candidate.precision))


# Mistakes


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


def drop_transformer(config):
    config["nlp"]["pipeline"].remove("transformer")
    del config["components"]["transformer"]
    config["components"]["ner"] = {"factory": "ner"}


def drop_listeners(config):
    config["components"]["ner"] = {"factory": "ner"}


def mix_poolings(config):
    config["nlp"]["pipeline"].append("tagger")
    listener = {
        **config["components"]["ner"]["model"]["tok2vec"]["*"]["transformer"],
        "pooling": {"@layers": "reduce_max.v1"},
    }
    model = {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener}
    config["components"]["tagger"] = {"factory": "tagger", "model": model}


@pytest.mark.parametrize(
    "change,expected",
    [
        (drop_transformer, ["no transformer", "Expected one"]),
        (drop_listeners, ["No component", "listens", "TransformerListener"]),
        (mix_poolings, ["ner (reduce_mean)", "tagger (reduce_max)", "reduce_mean.v1"]),
    ],
)
def test_pipeline_that_cannot_be_compiled(change, expected, tiny_encoder, train_corpus, dev_corpus, tmp_path):
    make_pipeline(tiny_encoder, dev_corpus, tmp_path / "other", change)
    assert_optimize_refused(tmp_path, tmp_path / "other", train_corpus, dev_corpus, expected=expected)


def assert_optimize_refused(tmp_path, reference, train, dev, *options, expected):
    output = tmp_path / "out" / "compiled"
    result = run_command(optimize_cli, reference, output, train, dev, tmp_path / "metrics", *options)
    assert_refused(result, *expected)
    assert not output.exists()
    assert not (tmp_path / "metrics").exists()


@pytest.mark.parametrize("place", [".", "inside", ".."])
def test_output_that_would_replace_the_reference(place, reference_path, train_corpus, dev_corpus, tmp_path):
    reference = shutil.copytree(reference_path, tmp_path / "folder" / "pipeline")
    before = read_files(reference)
    result = run_command(optimize_cli, reference, reference / place, train_corpus, dev_corpus, tmp_path / "metrics")
    assert_refused(result, reference, "only read", "another output")
    assert read_files(reference) == before


def test_folder_that_no_search_made_is_kept(reference_path, train_corpus, dev_corpus, tmp_path):
    kept = tmp_path / "out" / "compiled-candidates" / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("somebody's own")
    expected = [kept.parent, "no search made it"]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, dev_corpus, expected=expected)
    assert kept.read_text() == "somebody's own"


def test_reference_that_fails_on_the_corpus(reference_path, train_corpus, dev_corpus, tmp_path):
    DocBin(docs=[*read_docs(dev_corpus), Doc(spacy.blank("en").vocab)]).to_disk(tmp_path / "dev.spacy")
    expected = ["The trained pipeline failed", reference_path]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, tmp_path / "dev.spacy", expected=expected)


def test_candidates_for_a_gpu_are_not_compared_with_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    candidate = get_candidate("torch-fp16-cuda")
    assert candidate.why_not(0) is None
    assert "--gpu 0" in candidate.why_not(-1)


def test_missing_pipeline(train_corpus, dev_corpus, tmp_path):
    expected = [tmp_path / "nowhere", "project run train"]
    assert_optimize_refused(tmp_path, tmp_path / "nowhere", train_corpus, dev_corpus, expected=expected)


@pytest.mark.parametrize("missing", ["train", "dev"])
def test_missing_corpus(missing, reference_path, train_corpus, dev_corpus, tmp_path):
    corpora = {"train": train_corpus, "dev": dev_corpus, missing: tmp_path / f"{missing}.spacy"}
    expected = [tmp_path / f"{missing}.spacy", "project run corpus"]
    assert_optimize_refused(tmp_path, reference_path, corpora["train"], corpora["dev"], expected=expected)


def test_corpus_without_entities(reference_path, train_corpus, tmp_path):
    docs = [Doc(spacy.blank("en").vocab, words=["Nobody", "came", "."])]
    DocBin(docs=docs).to_disk(tmp_path / "dev.spacy")
    expected = [tmp_path / "dev.spacy", "no entities"]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, tmp_path / "dev.spacy", expected=expected)


@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_gpu_where_there_is_none(reference_path, train_corpus, dev_corpus, tmp_path):
    expected = ["GPU 0 was asked for", "--vars.gpu -1"]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, dev_corpus, "--gpu", 0, expected=expected)


def test_unknown_objective(reference_path, train_corpus, dev_corpus, tmp_path):
    options = ("--objective", "beauty")
    expected = ["'beauty'", "throughput, latency, size"]
    assert_optimize_refused(tmp_path, reference_path, train_corpus, dev_corpus, *options, expected=expected)
