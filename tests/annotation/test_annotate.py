"""`scripts.annotate`: what it writes, and what it refuses."""

import json
from pathlib import Path

import pytest
import srsly

pytest.importorskip("ray")

import pyarrow
import pyarrow.parquet as parquet

from scripts.annotate import annotate_cli
from scripts.annotation.annotate import annotate
from scripts.annotation.results import beside
from scripts.annotation.settings import AnnotationSettings, PoolSettings, RowSettings

from .. import helpers
from .runs import BAD_LINES, N_TEXTS, finish_parts, read_rows


@pytest.mark.slow
def test_workers_and_chunks_do_not_matter(tmp_path, compiled_path, jsonl, texts, expected, ray_here):
    outputs = []
    for workers, chunk_size in ((1, 1000), (2, 3)):
        output = tmp_path / f"out{workers}.jsonl"
        rows = RowSettings(chunk_size=chunk_size, text_field="body", id_field="key")
        settings = AnnotationSettings(rows, PoolSettings(workers=workers))
        summary = annotate(str(compiled_path), jsonl, output, settings)
        assert summary["documents"] == N_TEXTS and summary["failures"] == 0
        assert sum(summary["entities"].values()) == sum(map(len, expected))
        outputs.append(output.read_bytes())
        # Nothing is left over, and nothing is done twice.
        assert {path.name for path in tmp_path.glob(f"{output.name}*")} == {output.name, f"{output.name}.summary.json"}
        assert annotate(str(compiled_path), jsonl, output, settings) == summary
    assert outputs[0] == outputs[1]
    rows = [json.loads(line) for line in outputs[0].splitlines()]
    assert rows == [{"id": f"k{number}", "entities": entities} for number, entities in enumerate(expected)]


@pytest.mark.slow
def test_errors_are_joined_and_fail_fast_stops(tmp_path, compiled_path, bad_jsonl, ray_here):
    output = tmp_path / "out.parquet"
    options = ["--id-field", "id", "--chunk-size", 3, "--workers", 2]
    result = helpers.run_command(annotate_cli, compiled_path, bad_jsonl, output, *options, "--fail-fast")
    helpers.assert_refused(result, "bad.jsonl, line 3", "byte 11 is not UTF-8", "--fail-fast")
    assert not output.exists()
    # The same command without it goes on from there.
    result = helpers.run_command(annotate_cli, compiled_path, bad_jsonl, output, *options)
    assert result.exit_code == 0, result.output
    assert [row["id"] for row in read_rows(output)] == ["good", "good"]
    errors = list(srsly.read_jsonl(beside(output, "errors.jsonl")))
    assert [error["line"] for error in errors] == list(range(3, 3 + len(BAD_LINES)))
    # Also where nothing is left to do.
    written = output.stat().st_mtime_ns
    result = helpers.run_command(annotate_cli, compiled_path, bad_jsonl, output, *options, "--fail-fast")
    helpers.assert_refused(result, "bad.jsonl, line 3", "byte 11 is not UTF-8", "--fail-fast")
    settings = AnnotationSettings(RowSettings(id_field="id", chunk_size=3))
    assert annotate(str(compiled_path), bad_jsonl, output, settings)["failures"] == len(BAD_LINES)
    assert output.stat().st_mtime_ns == written


@pytest.mark.slow
def test_stats(tmp_path, compiled_path, jsonl, texts, expected, ray_here):
    reports = []
    for chunk_size in (7, 100):
        output = tmp_path / f"out{chunk_size}.parquet"
        rows = RowSettings(text_field="body", stats=True, chunk_size=chunk_size)
        annotate(str(compiled_path), jsonl, output, AnnotationSettings(rows, PoolSettings(workers=1)))
        reports.append([beside(output, f"stats.{ending}").read_text() for ending in ("json", "html")])
    assert reports[0] == reports[1]
    report = json.loads(reports[0][0])
    counts = {label: numbers["entities"] for label, numbers in report["labels"].items()}
    labels = [entity["label"] for entities in expected for entity in entities]
    assert counts == {label: labels.count(label) for label in set(labels)}
    assert "http-equiv" not in reports[0][1] and "<mark" in reports[0][1] and "src=" not in reports[0][1]


@pytest.mark.parametrize("name", ["in.jsonl", "folder", "blank.txt"])
def test_nothing_but_bad_records_is_a_failure(name, tmp_path, compiled_path, monkeypatch):
    """The errors are written all the same. The parts are made here, so that no Ray is needed."""
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text('{"text": 1}\nno JSON\n')
    Path("blank.txt").write_text("\n\n")
    Path("folder").mkdir()
    Path("folder", "a.txt").write_bytes(b"\xff")
    Path("folder", "b.md").write_text("Ada .")
    finish_parts(compiled_path, Path(name), Path("out.jsonl"), RowSettings())
    result = helpers.run_command(annotate_cli, compiled_path, name, "out.jsonl")
    reason = "it has none" if name == "blank.txt" else "all of its records are bad"
    helpers.assert_refused(result, f"No document of {name} was annotated: {reason}")
    assert ("Left out 1 .md files" in result.output) == (name == "folder")
    n_errors = {"in.jsonl": 2, "folder": 1, "blank.txt": 0}[name]
    assert beside(Path("out.jsonl"), "errors.jsonl").exists() == (n_errors > 0)
    assert srsly.read_json("out.jsonl.summary.json")["failures"] == n_errors
    # Also where nothing is left to do.
    assert helpers.run_command(annotate_cli, compiled_path, name, "out.jsonl").exit_code == 1


@pytest.mark.parametrize(
    "arguments, expected_parts",
    [
        (["nowhere", "in.txt", "out.jsonl"], ["There is no pipeline at nowhere"]),
        (["PIPELINE", "nowhere.txt", "out.jsonl"], ["There is no input at nowhere.txt"]),
        (["PIPELINE", "in.csv", "out.jsonl"], ["unknown ending", ".parquet"]),
        (["PIPELINE", "in.txt", "out.csv"], ["unknown ending", ".spacy"]),
        (["PIPELINE", "in.txt", "out.jsonl", "--id-field", "x"], ["has no fields", "--id-field x"]),
        (["PIPELINE", "empty.txt", "out.jsonl"], ["holds no documents"]),
        (["PIPELINE", "folder", "out.jsonl"], ["holds no documents, only 1 .md files"]),
        (["PIPELINE", "-", "out.jsonl"], ["Standard input, which can be read only once"]),
        (["PIPELINE", "in.parquet", "out.jsonl"], ["is not a Parquet file, or damaged"]),
        (["PIPELINE", "in.spacy", "out.jsonl"], ["is not a .spacy file, or damaged"]),
        (["PIPELINE", "real.parquet", "out.jsonl"], ["has no column 'text'", "number"]),
        (["PIPELINE", "real.parquet", "out.jsonl", "--text-field", "number"], ["int64, not text"]),
    ],
)
def test_mistakes_are_refused(arguments, expected_parts, tmp_path, compiled_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in.txt", "in.csv", "in.parquet", "in.spacy"):
        Path(name).write_text("text")
    Path("empty.txt").touch()
    Path("folder").mkdir()
    Path("folder", "readme.md").touch()
    parquet.write_table(pyarrow.table({"number": [1]}), "real.parquet")
    arguments = [str(compiled_path) if argument == "PIPELINE" else argument for argument in arguments]
    helpers.assert_refused(helpers.run_command(annotate_cli, *arguments), *expected_parts)


@pytest.mark.parametrize(
    "source, output",
    [
        ("in.jsonl", "in.jsonl"),
        ("in.jsonl", "link.jsonl"),
        ("in.jsonl", "folder/../in.jsonl"),
        ("out.jsonl.errors.jsonl", "out.jsonl"),
    ],
)
def test_the_input_is_not_overwritten(source, output, tmp_path, compiled_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    srsly.write_jsonl(source, [{"text": "Ada lives here ."}])
    Path("link.jsonl").symlink_to("in.jsonl")
    Path("folder").mkdir()
    before, names = Path(source).read_bytes(), sorted(tmp_path.iterdir())
    result = helpers.run_command(annotate_cli, compiled_path, source, output)
    helpers.assert_refused(result, f"The input {source} would be overwritten", output)
    assert Path(source).read_bytes() == before and sorted(tmp_path.iterdir()) == names


def test_scores_of_a_pipeline_that_has_none(tmp_path, reference_path, jsonl):
    result = helpers.run_command(annotate_cli, reference_path, jsonl, tmp_path / "out.jsonl", "--with-scores")
    helpers.assert_refused(result, reference_path, "how sure it is", "scripts.optimize", "leave out `--with-scores`")
    assert not list(tmp_path.glob("out.jsonl*"))
