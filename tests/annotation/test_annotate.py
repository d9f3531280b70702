"""`scripts.annotate`: a corpus in, entities out, on Ray that the tests start on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin
from thinc.api import chain, expand_window, list2ragged, reduce_mean

pytest.importorskip("ray")

import pyarrow
import pyarrow.parquet as parquet

from scripts.annotate import annotate_cli
from scripts.annotation.annotate import annotate, beside
from scripts.annotation.annotator import Annotator
from scripts.annotation.inputs import describe_input, open_input
from scripts.annotation.journal import Journal
from scripts.annotation.long_documents import CuttingError, annotate_long, find_seam, get_context, get_cutting
from scripts.annotation.outputs import open_output
from scripts.annotation.ray_pool import choose_pool
from scripts.common.console import UserError
from scripts.common.pipelines import find_pipeline

from .. import helpers

N_TEXTS = 40


@pytest.fixture(scope="session")
def ray_here():
    """Ray in this process, which `annotate` uses instead of starting it anew each time."""
    import ray

    from scripts.annotation.ray_pool import start_ray

    with start_ray(None, most_workers=2, workers=2, threads=1, gpus=0.0):
        yield ray


@pytest.fixture(scope="session")
def nlp(compiled_path):
    return spacy.load(compiled_path, config={"components.transformer.threads": 1})


@pytest.fixture(scope="session")
def texts(corpus_dir):
    docs = [doc.text for split in ("dev", "test", "train") for doc in helpers.read_docs(corpus_dir / f"{split}.spacy")]
    # Offsets are in characters, not bytes.
    return [f"Ångström 🙂 {text}" if number % 7 == 0 else text for number, text in enumerate(docs[:N_TEXTS])]


@pytest.fixture(scope="session")
def expected(nlp, texts):
    """What plain spaCy finds in the texts."""
    return [get_rows(doc) for doc in nlp.pipe(texts)]


@pytest.fixture
def jsonl(tmp_path, texts):
    path = tmp_path / "in.jsonl"
    srsly.write_jsonl(path, [{"key": f"k{number}", "body": text} for number, text in enumerate(texts)])
    return path


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


def make_worker(pipeline, source, output, **changes):
    found = find_pipeline(str(pipeline))
    settings = {
        "pipeline": found.name,
        "compiled": found.compiled,
        "threads": 1,
        "use_gpu": False,
        "input_path": str(source),
        "output": str(output),
        "text_field": "text",
        "id_field": None,
        "with_text": True,
        "stats": False,
        "long_words": 20_000,
    }
    return Annotator({**settings, **changes})


def run_worker(worker, source, output, chunk_size=16, **fields):
    """Annotate all chunks of an input in this process, without Ray."""
    journal = Journal(output)
    journal.start({})
    chunks = list(open_input(source, worker.settings.text_field, worker.settings.id_field).plan(chunk_size))
    entries = [worker.process(chunk) for chunk in chunks]
    assert not any("problem" in entry for entry in entries), entries
    worker.output.join([journal.part(chunk.number) for chunk in chunks], output)
    errors = [error for chunk in chunks for error in srsly.read_jsonl(journal.errors(chunk.number))]
    journal.remove()
    return read_rows(output), errors


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


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet", "in.txt", "folder", "in.spacy"])
def test_chunks_hold_every_record_once(name, chunk_size, tmp_path, texts):
    source = tmp_path / name
    write_input(source, texts)
    reader = open_input(source, "text", None)
    chunks = list(reader.plan(chunk_size))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.records <= chunk_size for chunk in chunks)
    vocab = spacy.blank("en").vocab
    contents = [content for chunk in chunks for content in reader.read(chunk, vocab).contents]
    assert sorted(map(str, contents)) == sorted(texts)


def test_lines_are_cut_alike_whatever_is_read_at_once(tmp_path, texts, monkeypatch):
    source = tmp_path / "in.txt"
    write_input(source, texts)
    plans = []
    for n_bytes in (10, 1000, 1_000_000):
        monkeypatch.setattr("scripts.annotation.text_inputs.BLOCK_BYTES", n_bytes)
        monkeypatch.setattr("scripts.annotation.text_inputs.MAX_BYTES", 700)
        plans.append(list(open_input(source, "text", None).plan(8)))
    assert plans[0] == plans[1] == plans[2]
    assert len(plans[0]) > N_TEXTS / 8


@pytest.mark.slow
def test_workers_and_chunks_do_not_matter(tmp_path, compiled_path, jsonl, texts, expected, ray_here):
    outputs = []
    for workers, chunk_size in ((1, 1000), (2, 3)):
        output = tmp_path / f"out{workers}.jsonl"
        options = {"workers": workers, "chunk_size": chunk_size, "text_field": "body", "id_field": "key"}
        summary = annotate(str(compiled_path), jsonl, output, **options)
        assert summary["documents"] == N_TEXTS and summary["failures"] == 0
        assert sum(summary["entities"].values()) == sum(map(len, expected))
        outputs.append(output.read_bytes())
        # Nothing is left over, and nothing is done twice.
        assert {path.name for path in tmp_path.glob(f"{output.name}*")} == {output.name, f"{output.name}.summary.json"}
        assert annotate(str(compiled_path), jsonl, output, **options) == summary
    assert outputs[0] == outputs[1]
    rows = [json.loads(line) for line in outputs[0].splitlines()]
    assert rows == [{"id": f"k{number}", "entities": entities} for number, entities in enumerate(expected)]


@pytest.fixture
def cluster():
    """A cluster of two machines with a core each, that are both this one."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.mark.slow
def test_a_cluster(tmp_path, compiled_path, jsonl, expected, cluster):
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "scripts.annotate", compiled_path, jsonl, output, "--address", cluster.address]
    options = ["--text-field", "body", "--chunk-size", 10]
    finished = subprocess.run(list(map(str, command + options)), cwd=helpers.ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert [row["entities"] for row in read_rows(output)] == expected
    run = srsly.read_json(beside(output, "summary.json"))["run"]
    assert (run["workers"], run["threads"]) == (2, 1)


@pytest.mark.parametrize(
    "asked, found, expected_pool",
    [
        ((100, None, None, 0.0), (2, 2, 0.0), (2, 1, 0.0)),
        ((1, None, None, 0.0), (8, 8, 0.0), (1, 8, 0.0)),
        ((100, None, 4, 0.0), (8, 8, 0.0), (2, 4, 0.0)),
        ((100, 3, None, 0.0), (8, 8, 0.0), (3, 2, 0.0)),
        ((100, 1, None, 0.0), (32, 16, 0.0), (1, 16, 0.0)),
        ((100, None, None, 1.0), (64, 64, 8.0), (8, 8, 1.0)),
        ((100, None, None, 0.5), (16, 16, 1.0), (2, 8, 0.5)),
    ],
)
def test_cores_and_gpus_are_divided(asked, found, expected_pool):
    assert choose_pool(*asked, *found) == expected_pool


@pytest.mark.parametrize(
    "asked, found, message",
    [
        ((100, 3, None, 1.0), (16, 16, 2.0), "3 workers with 1 GPUs each are asked for, but Ray finds 2 GPUs"),
        ((100, None, None, 1.0), (16, 16, 0.0), "Ray finds 0 GPUs"),
        ((100, 4, 3, 0.0), (8, 8, 0.0), "4 workers with 3 threads each are asked for, but Ray finds 8 cores"),
        ((100, 1, 6, 0.0), (8, 4, 0.0), "at most 4 on a machine"),
    ],
)
def test_more_than_there_is_is_refused(asked, found, message):
    with pytest.raises(UserError, match=message):
        choose_pool(*asked, *found)


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


@pytest.fixture
def bad_jsonl(tmp_path):
    path = tmp_path / "bad.jsonl"
    good = b'{"id": "good", "text": "Ada lives here ."}'
    path.write_bytes(b"\n".join([good, b"", *(line for line, _, _ in BAD_LINES), good]) + b"\n")
    return path


def test_bad_lines_are_told_with_place_and_reason(tmp_path, compiled_path, bad_jsonl):
    output = tmp_path / "out.jsonl"
    worker = make_worker(compiled_path, bad_jsonl, output, id_field="id")
    rows, errors = run_worker(worker, bad_jsonl, output, chunk_size=4)
    assert [row["id"] for row in rows] == ["good", "good"]
    assert len(errors) == len(BAD_LINES)
    for number, (error, (_, id_, reason)) in enumerate(zip(errors, BAD_LINES), start=3):
        assert (error["file"], error["line"], error.get("id")) == (str(bad_jsonl), number, id_)
        assert reason in error["reason"]


def test_bad_rows_and_files(tmp_path, compiled_path):
    table, folder, output = tmp_path / "in.parquet", tmp_path / "folder", tmp_path / "out.jsonl"
    texts = pyarrow.array([b"Ada .", None, b"\xff", b"Bergen ."], pyarrow.binary())
    parquet.write_table(pyarrow.table({"text": texts.view(pyarrow.string())}), table)
    rows, errors = run_worker(make_worker(compiled_path, table, output), table, output)
    assert [row["id"] for row in rows] == ["1", "4"]
    assert [(error["record"], error["reason"]) for error in errors] == [
        (2, "field 'text' is null, expected a string"),
        (3, "byte 1 is not UTF-8"),
    ]
    write_input(folder, ["Ada .", "Bergen ."])
    (folder / "0" / "001.txt").write_bytes(b"ok \xff")
    rows, errors = run_worker(make_worker(compiled_path, folder, output), folder, output)
    assert [row["id"] for row in rows] == ["0/000.txt", "1/001.txt"]
    assert errors[0]["file"].endswith("001.txt") and errors[0]["reason"] == "byte 4 is not UTF-8"


def test_names_that_are_not_utf8(tmp_path, compiled_path):
    folder, output = tmp_path / os.fsdecode(b"folder-\xff"), tmp_path / "out.jsonl"
    try:
        write_input(folder, ["Ada .", "Bergen ."])
        (folder / "0" / os.fsdecode(b"caf\xe9.txt")).write_text("Karl .")
        (folder / "1" / "002.txt").write_bytes(b"\xff")
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    rows, errors = run_worker(make_worker(compiled_path, folder, output), folder, output)
    assert [row["id"] for row in rows] == ["0/000.txt", "1/001.txt"]
    assert [(error["id"], error["reason"]) for error in errors] == [
        ("0/caf\\xe9.txt", "the file's name is not UTF-8"),
        ("1/002.txt", "byte 1 is not UTF-8"),
    ]
    assert [error["file"] for error in errors] == [f"{tmp_path}/folder-\\xff/{error['id']}" for error in errors]
    srsly.json_dumps(describe_input(folder)).encode("utf8")  # It goes into the summary.


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
    assert annotate(str(compiled_path), bad_jsonl, output, id_field="id", chunk_size=3)["failures"] == len(BAD_LINES)
    assert output.stat().st_mtime_ns == written


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


def long_doc(nlp, texts, n_words):
    words = [token.text for text in texts for token in nlp.make_doc(text)]
    return Doc(nlp.vocab, words=(words * (n_words // len(words) + 1))[:n_words])


@pytest.mark.parametrize("n_words", [1, 15, 700, 3000])
def test_long_documents_are_those_at_once(n_words, nlp, texts, monkeypatch):
    monkeypatch.setattr("scripts.compiled_transformer.model.WINDOWS_AT_ONCE", 2)
    at_once = nlp(long_doc(nlp, texts, n_words))
    in_pieces = annotate_long(nlp, long_doc(nlp, texts, n_words), get_cutting(nlp))
    assert helpers.get_entities(in_pieces) == helpers.get_entities(at_once)
    assert n_words < 700 or len(at_once.ents) > 10


def test_vectors_of_long_documents_are_those_at_once(compiled_path, texts, monkeypatch):
    nlp = spacy.load(compiled_path, config={"components.transformer.threads": 2})
    monkeypatch.setattr("scripts.compiled_transformer.model.WINDOWS_AT_ONCE", 3)
    at_once = nlp(long_doc(nlp, texts, 1000))
    in_pieces = nlp.get_pipe("sentencizer")(long_doc(nlp, texts, 1000))
    vectors = list(nlp.get_pipe("transformer").stream(in_pieces))
    assert len(vectors) > 3
    numpy.testing.assert_array_equal(numpy.concatenate(vectors), at_once.tensor)


def test_long_documents_with_overlapping_windows(compiled_path, texts, monkeypatch):
    strided = {"spans": "strided", "window": 40, "stride": 30}
    nlp = spacy.load(compiled_path, config={f"components.transformer.{name}": value for name, value in strided.items()})
    monkeypatch.setattr("scripts.compiled_transformer.model.WINDOWS_AT_ONCE", 3)
    at_once = nlp(long_doc(nlp, texts, 1000))
    in_pieces = annotate_long(nlp, long_doc(nlp, texts, 1000), get_cutting(nlp))
    assert helpers.get_entities(in_pieces) == helpers.get_entities(at_once)


def test_long_documents_in_a_corpus(tmp_path, compiled_path, nlp, texts, monkeypatch):
    monkeypatch.setattr("scripts.compiled_transformer.model.WINDOWS_AT_ONCE", 2)
    source, output = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    mixed = [texts[0], " ".join(texts), texts[1], " ".join(texts[5:]), " ".join(texts[9:])]
    write_input(source, mixed)
    rows, _ = run_worker(make_worker(compiled_path, source, output, long_words=200), source, output)
    assert [row["entities"] for row in rows] == [get_rows(nlp(text)) for text in mixed]
    for row in rows:
        assert all(row["text"][entity["start"] : entity["end"]] == entity["text"] for entity in row["entities"])


def test_components_that_see_the_whole_document_are_not_cut(compiled_path):
    nlp = spacy.load(compiled_path)
    nlp.add_pipe("entity_ruler")
    with pytest.raises(CuttingError, match="entity_ruler"):
        get_cutting(nlp)


def test_layers_of_ner_that_see_the_whole_document_are_not_cut(compiled_path):
    nlp = spacy.load(compiled_path)
    model = nlp.get_pipe("ner").model.get_ref("tok2vec")
    assert get_context("ner", model) == 1  # The default pipeline's token shapes.
    with pytest.raises(CuttingError, match="reduce_mean"):
        get_context("ner", chain(model, list2ragged(), reduce_mean()))
    with pytest.raises(CuttingError, match="does not listen"):
        get_context("ner", expand_window(1))


def test_seams_open_no_entity():
    entities = [(0, 3, "PER"), (5, 9, "ORG"), (9, 12, "LOC")]
    assert [find_seam(entities, 0, last) for last in (12, 11, 10, 9, 8, 6, 5, 4, 2)] == [12, 9, 9, 9, 5, 5, 5, 4, 0]
    assert find_seam([(4, 90, "PER")], 4, 50) == 4


@pytest.mark.parametrize(
    "arguments, expected_parts",
    [
        (["nowhere", "in.txt", "out.jsonl"], ["There is no pipeline at nowhere"]),
        (["PIPELINE", "nowhere.txt", "out.jsonl"], ["There is no input at nowhere.txt"]),
        (["PIPELINE", "in.csv", "out.jsonl"], ["unknown ending", ".parquet"]),
        (["PIPELINE", "in.txt", "out.csv"], ["unknown ending", ".spacy"]),
        (["PIPELINE", "in.txt", "out.jsonl", "--id-field", "x"], ["has no fields", "--id-field x"]),
        (["PIPELINE", "empty.txt", "out.jsonl"], ["holds no documents"]),
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
    parquet.write_table(pyarrow.table({"number": [1]}), "real.parquet")
    arguments = [str(compiled_path) if argument == "PIPELINE" else argument for argument in arguments]
    helpers.assert_refused(helpers.run_command(annotate_cli, *arguments), *expected_parts)


@pytest.mark.parametrize(
    "damage, cause",
    [
        (lambda footer: b"\xff" * len(footer), OSError),
        (lambda footer: footer.replace(b"text", b"\xffext"), UnicodeDecodeError),
    ],
)
def test_damaged_end_of_a_parquet_file(damage, cause, tmp_path):
    path = tmp_path / "in.parquet"
    write_input(path, ["Ada lives here ."])
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    path.write_bytes(data[:start] + damage(data[start:-8]) + data[-8:])
    with pytest.raises(UserError, match="in.parquet is not a Parquet file, or damaged: .*[^.]\\.$") as raised:
        list(open_input(path, "text", None).plan(10))
    assert type(raised.value.__cause__) is cause


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


def test_other_options_are_refused(tmp_path, compiled_path, jsonl):
    output = tmp_path / "out.jsonl"
    journal = Journal(output)
    journal.start({"--chunk-size": 5, "--stats": False})
    with pytest.raises(UserError, match="Another run is writing"):
        Journal(output).start({"--chunk-size": 5, "--stats": False})
    journal.close()
    # No part is finished yet.
    journal.start({"--chunk-size": 6, "--stats": False})
    journal.commit(0, open_output(output, False), [], {"number": 0})
    journal.close()
    with pytest.raises(UserError, match="another --chunk-size.*delete the folder"):
        Journal(output).start({"--chunk-size": 5, "--stats": False})
    journal.start({"--chunk-size": 6, "--stats": False})


def test_a_text_that_kills_every_worker_ends_the_run(tmp_path, compiled_path, jsonl):
    worker = make_worker(compiled_path, jsonl, tmp_path / "out.jsonl", text_field="body")
    worker.journal.start({})
    chunk = next(worker.input.plan(10))
    for _ in range(5):
        worker.journal.count_attempt(chunk.number)
    assert "workers died 5 times at records 1 to 10" in worker.process(chunk)["problem"]


@pytest.mark.slow
def test_stats(tmp_path, compiled_path, jsonl, texts, expected, ray_here):
    reports = []
    for chunk_size in (7, 100):
        output = tmp_path / f"out{chunk_size}.parquet"
        annotate(str(compiled_path), jsonl, output, text_field="body", stats=True, chunk_size=chunk_size, workers=1)
        reports.append([beside(output, f"stats.{ending}").read_text() for ending in ("json", "html")])
    assert reports[0] == reports[1]
    report = json.loads(reports[0][0])
    counts = {label: numbers["entities"] for label, numbers in report["labels"].items()}
    labels = [entity["label"] for entities in expected for entity in entities]
    assert counts == {label: labels.count(label) for label in set(labels)}
    assert "http-equiv" not in reports[0][1] and "<mark" in reports[0][1] and "src=" not in reports[0][1]


def start(compiled_path, source, output):
    command = [sys.executable, "-m", "scripts.annotate", compiled_path, source, output, "--text-field", "body"]
    options = ["--chunk-size", 25, "--workers", 2, "--threads", 1]
    return subprocess.Popen(
        list(map(str, command + options)), cwd=helpers.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for_parts(process, output, n_parts):
    """Wait until parts are done, or the process has ended."""
    while process.poll() is None and len(list(beside(output, "parts").glob("*.done"))) < n_parts:
        time.sleep(0.02)


def find_workers(parent):
    """RETURNS (List[int]): Ray's actors among the descendants of a process."""
    parents = {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, young = [], {parent}
    while young:
        young = {child for child, its_parent in parents.items() if its_parent in young}
        found.extend(young)
    return [child for child in found if b"MapWorker" in read_command_line(child)]


def read_command_line(process):
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_runs_go_on(tmp_path, compiled_path, texts, expected):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rounds = 60
    srsly.write_jsonl(source, [{"body": text} for text in texts * rounds])
    driver = start(compiled_path, source, output)
    wait_for_parts(driver, output, 1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert not output.exists()
    done = {path.name: path.stat().st_mtime_ns for path in beside(output, "parts").glob("*.done")}
    assert done

    driver = start(compiled_path, source, output)
    # Orphans of the first driver may finish a part: what tells that this one works are its own workers.
    while driver.poll() is None and not find_workers(driver.pid):
        time.sleep(0.02)
    wait_for_parts(driver, output, len(list(beside(output, "parts").glob("*.done"))) + 1)
    kept = {path.name: path.stat().st_mtime_ns for path in beside(output, "parts").glob("*.done")}
    workers = find_workers(driver.pid)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert driver.wait() == 0
    assert workers
    assert done.items() <= kept.items()  # What was finished was not done again.
    rows = read_rows(output)
    assert [row["id"] for row in rows] == [str(number + 1) for number in range(rounds * N_TEXTS)]
    assert [row["entities"] for row in rows] == expected * rounds
