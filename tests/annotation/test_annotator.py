"""A worker without Ray: every input and output, and documents that the pipeline fails on."""

import pytest
import spacy

pytest.importorskip("ray")

from .. import helpers
from .runs import N_TEXTS, make_worker, run_worker, write_input


@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet", "in.txt", "in.spacy", "folder"])
@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".spacy"])
def test_every_format(name, ending, tmp_path, compiled_path, texts, expected):
    source, output = tmp_path / name, tmp_path / f"out{ending}"
    write_input(source, texts)
    rows, errors = run_worker(make_worker(compiled_path, source, output), source, output)
    assert not errors
    order = list(range(N_TEXTS))
    ids = [str(number + 1) for number in order]
    if name == "folder":
        order.sort(key=lambda number: (number % 3, number))
        ids = [f"{number % 3}/{number:03}.txt" for number in order]
    assert [row["id"] for row in rows] == ids
    assert [row["text"] for row in rows] == [texts[number] for number in order]
    assert [row["entities"] for row in rows] == [expected[number] for number in order]
    assert any(expected)


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".spacy"])
def test_scores_that_are_asked_for(ending, tmp_path, compiled_path, texts, expected, expected_scores):
    source, output = tmp_path / "in.jsonl", tmp_path / f"out{ending}"
    write_input(source, texts)
    rows, errors = run_worker(make_worker(compiled_path, source, output, with_scores=True), source, output)
    assert not errors
    if ending == ".spacy":
        docs = helpers.read_docs(output)
        scores = [[round(float(score), 4) for score in doc.spans["ner"].attrs["scores"]] for doc in docs]
    else:
        scores = [[entity.pop("score") for entity in row["entities"]] for row in rows]
    assert scores == [pytest.approx(of_doc, abs=2e-4) for of_doc in expected_scores]
    assert [row["entities"] for row in rows] == expected


def test_a_document_that_the_pipeline_fails_on_spoils_no_other(tmp_path, compiled_path, texts, expected):
    source, output = tmp_path / "in.txt", tmp_path / "out.jsonl"
    write_input(source, [*texts[:3], "poison", *texts[3:6]])
    worker = make_worker(compiled_path, source, output)
    worker.load()
    make_doc = worker.nlp.tokenizer

    def fail(text):
        if text == "poison":
            raise ValueError("poisoned")
        return make_doc(text)

    worker.nlp.tokenizer = fail
    rows, errors = run_worker(worker, source, output)
    assert [row["entities"] for row in rows] == expected[:6]
    assert [(error["line"], error["reason"]) for error in errors] == [(4, "the pipeline failed: ValueError: poisoned")]


def test_a_plain_spacy_pipeline(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PER", "pattern": "Ada"}])
    nlp.to_disk(tmp_path / "pipeline")
    source, output = tmp_path / "in.txt", tmp_path / "out.jsonl"
    write_input(source, ["Ada lives .", "Ada " * 30])
    worker = make_worker(tmp_path / "pipeline", source, output, long_words=10)
    rows, errors = run_worker(worker, source, output)
    assert [len(row["entities"]) for row in rows] == [1, 30]
    assert not errors and "no compiled transformer" in worker.whole_reason


@pytest.mark.parametrize("source", ["in.jsonl", "folder", "in.parquet"])
def test_runs_without_white_space_that_are_too_long(source, tmp_path, compiled_path, texts, expected):
    """spaCy's tokenizer would take minutes for each: it is an error of the record, and the others are annotated."""
    source, output = tmp_path / source, tmp_path / "out.jsonl"
    write_input(source, [texts[0], "Ada " + "$" * 1_000_000, "🙂" * 10_001, texts[1]])
    rows, errors = run_worker(make_worker(compiled_path, source, output), source, output)
    assert [row["entities"] for row in rows] == expected[:2]
    reasons = sorted(error["reason"].partition(" ")[0] for error in errors)
    assert reasons == ["1,000,000", "10,001"]


def test_runs_without_white_space_as_long_as_they_may_be(tmp_path, compiled_path):
    """8,000 of them took 17 s. The tokens are spaCy's own."""
    source, output = tmp_path / "in.txt", tmp_path / "out.spacy"
    write_input(source, ["$" * 8_000, "Ada " * 3_000])
    rows, errors = run_worker(make_worker(compiled_path, source, output), source, output)
    assert not errors and len(rows) == 2
    assert [len(doc) for doc in helpers.read_docs(output)] == [8_000, 3_000]


def test_a_text_that_kills_every_worker_ends_the_run(tmp_path, compiled_path, jsonl):
    worker = make_worker(compiled_path, jsonl, tmp_path / "out.jsonl", text_field="body")
    worker.journal.start({})
    chunk = next(worker.input.plan(10))
    for _ in range(5):
        worker.journal.count_attempt(chunk.number)
    assert "workers died 5 times at records 1 to 10" in worker.process(chunk)["problem"]
