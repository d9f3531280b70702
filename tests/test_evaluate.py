"""`scripts.evaluate`: spaCy's own scores of both pipelines, side by side."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import srsly
from spacy.cli.evaluate import evaluate as evaluate_with_spacy
from spacy.tokens import Doc, DocBin

from scripts.benchmarking.evaluate import evaluate, print_scores
from scripts.evaluate import evaluate_cli

from .helpers import ROOT, assert_refused, compile_reference, run_command
from .isolation import TRAINING, isolate

NAMES = ("reference", "compiled")
FILES = (*NAMES, "agreement")


def get_scores(written):
    """Leave out the speed, which is another one each time, and what spaCy does not evaluate."""
    return {key: value for key, value in written.items() if key not in ("speed", "calibration")}


@pytest.fixture(scope="module")
def metrics_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluate") / "metrics"


@pytest.fixture(scope="module")
def result(reference_path, compiled_path, dev_corpus, metrics_dir):
    """The command, run once on the reference and its fp32 counterpart."""
    return run_command(evaluate_cli, reference_path, compiled_path, dev_corpus, metrics_dir)


@pytest.fixture
def old_metrics(tmp_path):
    """A metrics folder with the results of an earlier run."""
    for name in FILES:
        (tmp_path / "metrics").mkdir(exist_ok=True)
        (tmp_path / "metrics" / f"{name}.json").write_text("{}")
    return tmp_path / "metrics"


def assert_untouched(folder):
    assert {path.name: path.read_text() for path in folder.iterdir()} == {f"{name}.json": "{}" for name in FILES}


def test_files_hold_what_spacy_evaluates(result, metrics_dir, reference_path, compiled_path, dev_corpus):
    assert result.exit_code == 0
    assert {path.name for path in metrics_dir.iterdir()} == {f"{name}.json" for name in FILES}
    for name, path in zip(NAMES, (reference_path, compiled_path)):
        written = srsly.read_json(metrics_dir / f"{name}.json")
        expected = evaluate_with_spacy(str(path), dev_corpus, silent=True)
        assert written.keys() - {"calibration"} == expected.keys()
        assert srsly.json_dumps(get_scores(written)) == srsly.json_dumps(get_scores(expected))


def test_fp32_pipeline_scores_the_same(result, metrics_dir):
    reference, compiled = (srsly.read_json(metrics_dir / f"{name}.json") for name in NAMES)
    assert reference["ents_f"] > 0.5  # Nothing is shown by two pipelines that find nothing.
    assert get_scores(compiled) == get_scores(reference)


def test_table_compares_all_labels(result, metrics_dir):
    scores = srsly.read_json(metrics_dir / "reference.json")
    rows = dict(re.findall(r"^(\S.*?)  +(.*)$", result.stdout, flags=re.MULTILINE))
    assert rows["Entity F1"].split() == [f"{100 * scores['ents_f']:.2f}"] * 2 + ["+0.00"]
    assert rows["Entity precision"].split()[0] == f"{100 * scores['ents_p']:.2f}"
    assert rows["Entity recall"].split()[0] == f"{100 * scores['ents_r']:.2f}"
    assert len(scores["ents_per_type"]) > 1
    for label, by_label in scores["ents_per_type"].items():
        assert rows[f"F1 of {label}"].split() == [f"{100 * by_label['f']:.2f}"] * 2 + ["+0.00"]
    assert "speed" not in result.stdout.lower()


def test_calibration_is_in_table_and_file(result, metrics_dir):
    calibration = srsly.read_json(metrics_dir / "compiled.json")["calibration"]
    assert "calibration" not in srsly.read_json(metrics_dir / "reference.json")
    assert calibration["entities"] == sum(row["entities"] for row in calibration["reliability"]) > 20
    assert calibration["temperature"] == 1.0  # It was not fitted.
    assert calibration["ece_before"] == calibration["ece_after"]
    line = next(line for line in result.stdout.splitlines() if "error without temperature" in line)
    assert line.split()[-1] == f"{100 * calibration['ece_before']:.2f}"


def test_table_has_labels_that_one_pipeline_alone_finds(capsys):
    def make_scores(f, **by_label):
        return {
            "ents_f": f,
            "ents_p": f,
            "ents_r": f,
            "ents_per_type": {label: {"f": f} for label, f in by_label.items()},
        }

    scores = {"reference": make_scores(0.8, PER=0.9), "compiled": make_scores(0.75, PER=0.89999, ORG=0.0)}
    print_scores({**scores, "agreement": {"words": 0, "kinds": {}, "gold": ["entities"]}})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Entity", "F1", "80.00", "75.00", "-5.00"] in lines
    assert ["F1", "of", "ORG", "0.00", "0.00", "+0.00"] in lines
    assert ["F1", "of", "PER", "90.00", "90.00", "+0.00"] in lines


def test_every_head_is_shown(multi_head_path, tmp_path):
    """Scores of those that the corpus has gold for, and the agreement of all."""
    (tmp_path / "workspace").mkdir()
    compiled = compile_reference(multi_head_path, tmp_path / "workspace")
    nlp = spacy.blank("en")
    words, tags = "Ada met Karl in Oslo .".split(), "N V N P N .".split()
    DocBin(docs=[Doc(nlp.vocab, words=words, tags=tags)]).to_disk(tmp_path / "test.spacy")
    result = run_command(evaluate_cli, multi_head_path, compiled, tmp_path / "test.spacy", tmp_path / "metrics")
    assert result.exit_code == 0, result.output
    rows = dict(re.findall(r"^(\S.*?)  +(.*)$", result.stdout, flags=re.MULTILINE))
    assert rows["Tag accuracy"].split() == ["100.00", "100.00", "+0.00"]
    assert "Entity F1" not in rows and "Category score" not in rows
    agreement = srsly.read_json(tmp_path / "metrics" / "agreement.json")
    assert agreement["words"] == 6
    assert {"entities", "tags", "categories"} <= set(agreement["kinds"])
    assert all(found["value"] == 1 for found in agreement["kinds"].values())
    assert agreement["kinds"]["categories"]["largest_difference"] < 1e-4
    assert rows["Tags"].split()[0] == "1.0000"
    assert "Categories (scores differ by 0.0000 at most)" in rows and "Sentences" not in rows


@pytest.mark.parametrize("missing,command", [("reference", "project run train"), ("compiled", "project run optimize")])
def test_missing_pipeline(missing, command, reference_path, compiled_path, dev_corpus, old_metrics, tmp_path):
    paths = {"reference": reference_path, "compiled": compiled_path, missing: tmp_path / "nowhere"}
    result = run_command(evaluate_cli, paths["reference"], paths["compiled"], dev_corpus, old_metrics)
    assert_refused(result, tmp_path / "nowhere", command)
    assert_untouched(old_metrics)


def test_missing_corpus(reference_path, compiled_path, old_metrics, tmp_path):
    result = run_command(evaluate_cli, reference_path, compiled_path, tmp_path / "dev.spacy", old_metrics)
    assert_refused(result, tmp_path / "dev.spacy", "project run corpus")
    assert_untouched(old_metrics)


def test_corpus_of_another_format(reference_path, compiled_path, old_metrics, tmp_path):
    (tmp_path / "dev.spacy").write_text("Ada met Karl .")
    result = run_command(evaluate_cli, reference_path, compiled_path, tmp_path / "dev.spacy", old_metrics)
    assert_refused(result, tmp_path / "dev.spacy")
    assert_untouched(old_metrics)


def test_damaged_pipeline_leaves_both_files_as_they_were(
    reference_path, compiled_path, dev_corpus, old_metrics, tmp_path
):
    shutil.copytree(compiled_path, tmp_path / "damaged")
    (tmp_path / "damaged" / "transformer" / "encoder.onnx").write_bytes(b"something else")
    result = run_command(evaluate_cli, reference_path, tmp_path / "damaged", dev_corpus, old_metrics)
    assert_refused(result, tmp_path / "damaged", "encoder.onnx")
    assert_untouched(old_metrics)


def test_pipelines_that_annotate_nothing(reference_path, compiled_path, dev_corpus, old_metrics, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    result = run_command(evaluate_cli, tmp_path / "blank", tmp_path / "blank", dev_corpus, old_metrics)
    assert_refused(result, dev_corpus, "annotate nothing")
    assert_untouched(old_metrics)


def test_function_returns_what_it_writes(reference_path, compiled_path, dev_corpus, tmp_path, capsys):
    scores = evaluate(reference_path, compiled_path, dev_corpus, tmp_path)
    assert capsys.readouterr().out == ""
    for name in FILES:
        assert srsly.json_dumps(scores[name]) == srsly.json_dumps(srsly.read_json(tmp_path / f"{name}.json"))


@pytest.mark.parametrize("is_in_root", [True, False], ids=["root", "elsewhere"])
def test_spacy_evaluates_with_the_code_file(compiled_path, dev_corpus, result, metrics_dir, is_in_root, tmp_path):
    """The command of spaCy itself, where nothing of training is installed."""
    code = Path("scripts", "code.py") if is_in_root else ROOT / "scripts" / "code.py"
    output = tmp_path / "scores.json"
    command = [sys.executable, "-m", "spacy", "evaluate", compiled_path, dev_corpus, "--code", code, "--output", output]
    folder = ROOT if is_in_root else tmp_path
    process = subprocess.run(command, cwd=folder, env=isolate(tmp_path, TRAINING), capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert get_scores(srsly.read_json(output)) == get_scores(srsly.read_json(metrics_dir / "compiled.json"))
