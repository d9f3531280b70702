"""Inputs, workers without Ray, and what they wrote."""

import pyarrow
import pyarrow.parquet as parquet
import spacy
import srsly
from spacy.tokens import DocBin

from scripts.annotation.annotate import describe_run
from scripts.annotation.annotator import Annotator, AnnotatorSettings
from scripts.annotation.journal import Journal
from scripts.annotation.settings import RowSettings
from scripts.common.pipelines import find_pipeline

from .. import helpers

N_TEXTS = 40
BAD_LINES = [
    (b'{"text": "\xff"}', None, "byte 11 is not UTF-8"),
    (b'{"id": "a"}', "a", "field 'text' is missing"),
    (b'{"id": 5, "text": null}', "5", "field 'text' is null"),
    (b'{"id": "b", "text": {"x": 1}}', "b", "field 'text' is an object"),
    (b'{"id": "c", "text": "\\ud800"}', "c", "lone surrogate"),
    (b'{"id": true, "text": "x"}', None, "field 'id' is true or false"),
    (b'["text"]', None, "not an object"),
    (b'{"id": "d", "text', None, "not JSON"),
]


def get_rows(doc):
    return [
        {"start": entity.start_char, "end": entity.end_char, "label": entity.label_, "text": entity.text}
        for entity in doc.ents
    ]


def read_rows(path):
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return list(srsly.read_jsonl(path))
    docs = helpers.read_docs(path)
    return [{"id": doc.user_data["id"], "text": doc.text, "entities": get_rows(doc)} for doc in docs]


def write_input(path, texts):
    """Write texts in the format that the path's ending names, a folder without one."""
    if path.suffix == ".jsonl":
        srsly.write_jsonl(path, [{"text": text} for text in texts])
    elif path.suffix == ".parquet":
        parquet.write_table(pyarrow.table({"text": texts, "other": range(len(texts))}), path, row_group_size=17)
    elif path.suffix == ".txt":
        path.write_text("\n".join(texts), encoding="utf8")
    elif path.suffix == ".spacy":
        make_doc = spacy.blank("en").make_doc
        DocBin(docs=[make_doc(text) for text in texts]).to_disk(path)
    else:
        for number, text in enumerate(texts):
            file_ = path / f"{number % 3}" / f"{number:03}.txt"
            file_.parent.mkdir(parents=True, exist_ok=True)
            file_.write_text(text, encoding="utf8")


def make_worker(pipeline, source, output, **rows):
    """Make a worker that writes the texts too."""
    found = find_pipeline(str(pipeline))
    settings = RowSettings(**{"with_text": True, **rows})
    return Annotator(AnnotatorSettings(found.name, found.compiled, str(source), str(output), settings), 1, False)


def finish_parts(pipeline, source, output, rows):
    """Do all of a run but the join, without Ray: `annotate` with the same settings goes on from there."""
    found = find_pipeline(str(pipeline))
    worker = Annotator(AnnotatorSettings(found.name, found.compiled, str(source), str(output), rows), 1, False)
    worker.journal.start(describe_run(found, source, rows))
    for chunk in worker.input.plan(rows.chunk_size):
        assert "problem" not in worker.process(chunk)
    worker.journal.close()


def run_worker(worker, source, output, chunk_size=16):
    """Annotate all chunks of an input in this process, without Ray."""
    journal = Journal(output)
    journal.start({})
    chunks = list(worker.input.plan(chunk_size))
    entries = [worker.process(chunk) for chunk in chunks]
    assert not any("problem" in entry for entry in entries), entries
    worker.output.join([journal.part(chunk.number) for chunk in chunks], output)
    errors = [error for chunk in chunks for error in srsly.read_jsonl(journal.errors(chunk.number))]
    journal.remove()
    return read_rows(output), errors
