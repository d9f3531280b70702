"""`scripts.optimize`: real engines, processes and a gate, on few candidates and few rounds."""

import importlib.util
import shutil

import pytest
import spacy
import srsly
from matplotlib.axes import Axes
from matplotlib.image import imread
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_config

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking.process import PipelineProcess
from scripts.compilation.candidates import Candidate
from scripts.compilation.gate import MIN_AGREEMENT, Gate
from scripts.compilation.optimize import SearchSettings
from scripts.compilation.search_report import save_plot
from scripts.compiled_transformer.artefact import MANIFEST
from scripts.optimize import optimize_cli

from ..helpers import assert_refused, read_docs, run_command
from .searches import (
    EXACT,
    HARMFUL,
    REPORTS,
    SAFE,
    build_nothing,
    find_entities,
    get_candidate,
    make_pipeline,
    make_quick,
    read_files,
    run_search,
)

ROW_KEYS = {
    "name", "engine", "precision", "ents_f", "drop", "words_per_second", "p50_ms", "size_mb", "status", "reason"
}  # fmt: skip


def build_broken(workbench, folder):
    (folder / "encoder.onnx").write_bytes(b"no model at all")


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
    annotations = PipelineProcess.annotations

    def kill_one(self, corpus):
        if self.path.name == "dies":
            print("a warning", file=self._messages, flush=True)  # As if the process had written it.
            self._process.kill()
        return annotations(self, corpus)

    files = read_files(reference_path)
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch, candidates)
        patch.setattr(PipelineProcess, "annotations", kill_one)
        patch.setattr("scripts.compilation.temperature.LEAST", 0)  # All entities of this dev corpus are right.
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
    assert report["gate"] == {"max_f1_drop": 0, "max_label_drop": 0, "min_agreement": pytest.approx(MIN_AGREEMENT)}
    assert report["compared"]["docs"] >= report["compared"]["with_gold"] > 0
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
    assert manifest["measured"]["ents_f"] == chosen[0]["ents_f"]
    assert manifest["measured"]["speedup"] == chosen[0]["speedup"]
    config = load_config(workspace / "compiled" / "config.cfg")["components"]["transformer"]
    assert chosen[0]["settings"].items() <= config.items()


def test_confidence_is_calibrated(report, result, workspace):
    """The report says how, and the pipeline has it."""
    calibration = report["calibration"]
    assert calibration["temperature"] < 1
    assert calibration["ece_after"] < calibration["ece_before"]
    nlp = spacy.load(workspace / "compiled")
    assert nlp.get_pipe("ner").temperature == calibration["temperature"]
    assert not nlp.get_pipe("ner").scores
    assert f"temperature of {calibration['temperature']:.2f}" in " ".join(result.stdout.split())
    assert f"temperature of {calibration['temperature']:.2f}" in (workspace / "metrics" / "optimize.md").read_text()


def test_candidate_that_raises_is_a_row(rows):
    assert rows["raises"]["status"] == "failed"
    assert rows["raises"]["reason"] == "failed: RuntimeError: this operator is not known"


def test_broken_model_is_a_row(rows):
    assert rows["broken"]["status"] == "failed"
    assert "ONNXRuntimeError" in rows["broken"]["reason"]


def test_process_that_dies_is_a_row(rows):
    assert rows["dies"]["status"] == "failed"
    assert "died during 'annotations'" in rows["dies"]["reason"]
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
    assert row["agreement"]["entities"]["value"] < 0.9
    assert row["speedup"] > 0  # A rejected candidate is timed, too: it shows what the gate costs.


# What it shows and writes


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


# Other searches


def test_nothing_passes(reference_path, compiled_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    output = tmp_path / "compiled"
    shutil.copytree(compiled_path, output)
    before = read_files(output)
    make_quick(monkeypatch, [HARMFUL])
    result = run_command(optimize_cli, reference_path, output, train_corpus, dev_corpus, tmp_path / "metrics")
    assert_refused(result, "No candidate keeps what", output, "harmful: loses entities: F1 falls by")
    assert read_files(output) == before
    assert find_entities(output, dev_corpus) == find_entities(reference_path, dev_corpus)
    report = srsly.read_json(tmp_path / "metrics" / "optimize.json")
    assert report["chosen"] is None
    assert [row["status"] for row in report["candidates"]] == ["rejected"]
    assert {path.name for path in (tmp_path / "metrics").iterdir()} == set(REPORTS)


def test_text_takes_the_place_of_gold(multi_head_path, train_corpus, tmp_path, monkeypatch):
    """Without gold, and for a tagger, a text classifier and ner at once: what changes annotations is rejected."""
    text = tmp_path / "texts.txt"
    text.write_text("\n".join(doc.text for doc in read_docs(train_corpus)[:60]), encoding="utf8")
    make_quick(monkeypatch, [HARMFUL, SAFE])
    output = tmp_path / "compiled"
    result = run_command(optimize_cli, multi_head_path, output, "--text", text, "--min-agreement", 0.99)
    assert result.exit_code == 0, result.output
    report = srsly.read_json(tmp_path / "compiled-metrics" / "optimize.json")
    assert report["compared"]["with_gold"] == 0 and report["reference"]["ents_f"] is None
    harmful, safe = report["candidates"][:2]
    assert harmful["status"] == "rejected" and safe["status"] in ("passed", "chosen")
    assert {"tags", "categories"} <= safe["agreement"].keys()
    assert all(found["value"] == 1 for found in safe["agreement"].values())
    assert min(found["value"] for found in harmful["agreement"].values()) < 0.99
    assert "agree in" in harmful["reason"]


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


@pytest.mark.slow
def test_what_is_best_in_latency_is_warmed_up(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    make_quick(monkeypatch, [get_candidate("openvino-fp32")])
    arguments = (reference_path, tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics")
    report = run_search(*arguments, SearchSettings(Gate(0, 0), objective="latency"))
    lengths = [32, 48, 64, 96]
    assert [row["settings"]["warm_up_lengths"] for row in report["candidates"]] == [lengths, lengths]
    assert [row["name"] for row in report["candidates"]] == ["openvino-fp32", "openvino-fp32, batch_wordpieces 512"]
    assert spacy.load(tmp_path / "compiled").get_pipe("transformer").model.attrs["warm_up_lengths"] == lengths
    assert find_entities(tmp_path / "compiled", dev_corpus) == find_entities(reference_path, dev_corpus)


@pytest.mark.slow
def test_corpus_without_sentences_is_timed_by_docs(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    docs = read_docs(dev_corpus)
    bare_docs = [Doc(doc.vocab, words=[token.text for token in doc]) for doc in docs]
    for plain, doc in zip(bare_docs, docs):
        plain.set_ents([Span(plain, ent.start, ent.end, label=ent.label_) for ent in doc.ents])
    DocBin(docs=bare_docs).to_disk(tmp_path / "dev.spacy")
    make_quick(monkeypatch, [SAFE])
    arguments = (reference_path, tmp_path / "compiled", train_corpus, tmp_path / "dev.spacy", tmp_path / "metrics")
    assert run_search(*arguments, SearchSettings(Gate(0, 0)))["candidates"][0]["p50_ms"] > 0


@pytest.mark.slow
def test_accurate_int8_is_built(reference_path, train_corpus, dev_corpus, tmp_path, monkeypatch):
    make_quick(monkeypatch, [get_candidate("openvino-int8-accurate")])
    arguments = (reference_path, tmp_path / "compiled", train_corpus, dev_corpus, tmp_path / "metrics")
    report = run_search(*arguments, SearchSettings(Gate(0.1, 0.2)))
    assert report["candidates"][0]["status"] in ("passed", "chosen"), report["candidates"][0]["reason"]
