"""The compiled transformer as a spaCy component: saving, processes, threads, settings, errors, and who may train."""

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List

import numpy
import pytest
import spacy
import srsly
from numpy.testing import assert_allclose, assert_array_equal
from spacy.cli.train import train
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config, load_model_from_config
from thinc.api import Adam

from scripts import compiled_transformer  # noqa: F401
from scripts.compilation import build_openvino
from scripts.compilation.artefact_writer import finish_artefact
from scripts.compilation.export import export_onnx
from scripts.compilation.reference import load_reference
from scripts.compilation.swap import assemble, save_skeleton
from scripts.compiled_transformer import engines
from scripts.compiled_transformer.artefact import MANIFEST
from scripts.compiled_transformer.cpu import available_cores, get_threads
from scripts.compiled_transformer.model import build_compiled_transformer
from scripts.compiled_transformer.wordpieces import LENGTH_STEP, round_up

from .. import helpers

ENGINES = ("onnxruntime", "openvino")
TIMEOUT = 300  # A hang has to fail; the limit is far from what a slow machine takes.


@pytest.fixture(scope="module")
def openvino_path(reference_path, tmp_path_factory) -> Path:
    """Folder of the reference pipeline, compiled to OpenVINO in fp32."""
    workspace = tmp_path_factory.mktemp("openvino")
    reference = load_reference(reference_path)
    (workspace / "artefact").mkdir()
    export_onnx(reference.encoder, workspace / "exported.onnx")
    build_openvino.build_float(workspace / "exported.onnx", workspace / "artefact", half_size=False)
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    artefact = finish_artefact(reference, workspace / "artefact", "openvino", "fp32", options)
    save_skeleton(reference, workspace / "skeleton")
    assemble(workspace / "skeleton", artefact, reference.transformer.name, workspace / "pipeline")
    return workspace / "pipeline"


@pytest.fixture(scope="module")
def paths(compiled_path, openvino_path) -> Dict[str, Path]:
    """Compiled pipelines by engine."""
    return dict(zip(ENGINES, (compiled_path, openvino_path)))


@pytest.fixture(scope="module")
def texts(dev_corpus, test_corpus) -> List[str]:
    return [doc.text for path in (dev_corpus, test_corpus) for doc in helpers.read_docs(path)]


@pytest.fixture(scope="module")
def expected(compiled_path, texts) -> List[Doc]:
    docs = list(spacy.load(compiled_path).pipe(texts))
    assert sum(len(doc.ents) for doc in docs) > 50
    return docs


@pytest.fixture
def folder(compiled_path, tmp_path) -> Path:
    """A copy of the compiled pipeline, to change."""
    return shutil.copytree(compiled_path, tmp_path / "compiled")


def assert_same(docs: List[Doc], expected: List[Doc]) -> None:
    """The same entities and the very same vectors."""
    assert [helpers.get_entities(doc) for doc in docs] == [helpers.get_entities(doc) for doc in expected]
    for doc, expected_doc in zip(docs, expected):
        assert_array_equal(doc.tensor, expected_doc.tensor)


def read_files(folder: Path) -> Dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_component(folder: Path) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The files of a compiled transformer by name, the manifest as what it says."""
    files = read_files(folder)
    return {**files, MANIFEST: json.loads(files[MANIFEST])}


def run_script(script: Path, code: str, argument: Any) -> Any:
    """Run code in a Python of its own, in the project's root.

    script (Path): Where to write the code: processes that it starts read it again.
    argument (Any): Gets to it as JSON.
    RETURNS (Any): What it printed last, read as JSON.
    """
    script.write_text(code)
    # Without what the tests set to be quick, which would hide a hang.
    environment = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    process = subprocess.run(
        [sys.executable, script, json.dumps(argument)],
        cwd=helpers.ROOT,
        env={**environment, "PYTHONPATH": str(helpers.ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


# Saving and loading


@pytest.mark.parametrize("engine", ENGINES)
def test_round_trip_through_disk(paths, texts, tmp_path, engine):
    nlp = spacy.load(paths[engine])
    docs = list(nlp.pipe(texts))
    nlp.to_disk(tmp_path / "saved")
    assert read_component(tmp_path / "saved" / "transformer") == read_component(paths[engine] / "transformer")
    assert_same(list(spacy.load(tmp_path / "saved").pipe(texts)), docs)
    assert_same(list(nlp.from_disk(tmp_path / "saved").pipe(texts)), docs)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("used", [False, True])
def test_round_trip_through_bytes(paths, texts, engine, used):
    """Before and after the engine was started. Nothing reads the folder afterwards."""
    nlp = spacy.load(paths[engine])
    expected = list(spacy.load(paths[engine]).pipe(texts))
    if used:
        nlp(texts[0])
    data = nlp.to_bytes()
    other = load_model_from_config(nlp.config).from_bytes(data)
    assert_same(list(other.pipe(texts)), expected)
    # spaCy's sentencizer writes a set: its characters come in any order.
    assert other.to_bytes(exclude=["sentencizer"]) == nlp.to_bytes(exclude=["sentencizer"])


def test_round_trip_of_the_component(compiled_path, texts, expected, tmp_path):
    """The files on disk and in bytes are the same ones."""
    nlp, other = spacy.load(compiled_path), spacy.load(compiled_path)
    component = nlp.get_pipe("transformer")
    component.to_disk(tmp_path / "component")
    files = srsly.msgpack_loads(component.to_bytes())
    assert files == read_files(tmp_path / "component")
    assert set(files) == {"engine.json", "tokenizer.json", "encoder.onnx"}
    for fresh in (
        other.get_pipe("transformer").from_bytes(component.to_bytes()),
        other.get_pipe("transformer").from_disk(tmp_path / "component"),
    ):
        assert fresh is other.get_pipe("transformer")
        assert_same(list(other.pipe(texts)), expected)


def test_round_trip_of_the_model(compiled_path, texts, expected):
    """As thinc saves it, with the settings."""
    nlp = spacy.load(compiled_path, config={"components.transformer.window": 20, "components.transformer.stride": 20})
    model = nlp.get_pipe("transformer").model
    fresh = build_compiled_transformer().from_bytes(model.to_bytes())
    assert fresh.attrs == model.attrs
    assert fresh.get_dim("nO") == model.get_dim("nO")
    docs = list(nlp.pipe(texts))
    for vectors, doc in zip(fresh.predict(docs), docs):
        assert_allclose(vectors, doc.tensor, atol=1e-4)


def test_exclude_leaves_files_out(compiled_path, tmp_path):
    component = spacy.load(compiled_path).get_pipe("transformer")
    component.to_disk(tmp_path / "part", exclude=["encoder.onnx", "vocab"])
    assert set(read_files(tmp_path / "part")) == {"engine.json", "tokenizer.json"}
    assert set(srsly.msgpack_loads(component.to_bytes(exclude=["engine.json"]))) == {"encoder.onnx", "tokenizer.json"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("used", [False, True])
def test_saving_over_its_own_folder(paths, texts, tmp_path, engine, used):
    folder = shutil.copytree(paths[engine], tmp_path / "compiled")
    before = read_files(folder)
    nlp = spacy.load(folder)
    docs = list(spacy.load(paths[engine]).pipe(texts))
    if used:
        nlp(texts[0])
    nlp.to_disk(folder)
    assert read_component(folder / "transformer") == read_component(paths[engine] / "transformer")
    assert set(read_files(folder)) == set(before)
    assert_same(list(nlp.pipe(texts)), docs)
    assert_same(list(spacy.load(folder).pipe(texts)), docs)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("used", [False, True])
def test_folder_may_go_once_the_pipeline_is_loaded(paths, texts, tmp_path, engine, used):
    """A server may replace it with another one while the first still runs."""
    folder = shutil.copytree(paths[engine], tmp_path / "compiled")
    nlp = spacy.load(folder)
    if used:
        nlp(texts[0])
    shutil.rmtree(folder)
    docs = list(spacy.load(paths[engine]).pipe(texts))
    assert_same(list(nlp.pipe(texts)), docs)
    nlp.to_disk(folder)
    assert_same(list(spacy.load(folder).pipe(texts)), docs)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda model: model.copy(), lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_models_can_be_copied(compiled_path, texts, expected, duplicate):
    """Engines can't be copied; the copy starts its own."""
    nlp = spacy.load(compiled_path)
    component = nlp.get_pipe("transformer")
    nlp(texts[0])
    model = component.model
    component.model = duplicate(model)
    assert component.encoder is not model.shims[0]
    assert_same(list(nlp.pipe(texts)), expected)
    assert component.encoder.get_engine("cpu", 1, 1) is not model.shims[0].get_engine("cpu", 1, 1)


def test_component_can_be_pickled(compiled_path, expected):
    nlp = spacy.load(compiled_path)
    component = pickle.loads(pickle.dumps(nlp.get_pipe("transformer")))
    for vectors, doc in zip(component.predict(expected), expected):
        assert_array_equal(vectors, doc.tensor)


def test_components_can_be_sourced(compiled_path, texts, expected, tmp_path):
    """Another pipeline takes the component over, and can be saved."""
    source, nlp = spacy.load(compiled_path), spacy.blank("en")
    for name in source.pipe_names:
        nlp.add_pipe(name, source=source)
    assert_same(list(nlp.pipe(texts)), expected)
    nlp.to_disk(tmp_path / "other")
    assert_same(list(spacy.load(tmp_path / "other").pipe(texts)), expected)


# Processes and threads


N_PROCESS = """
import json, multiprocessing, sys

if __name__ == "__main__":
    path, texts, start_method, calls = json.loads(sys.argv[1])
    multiprocessing.set_start_method(start_method)
    import spacy
    from scripts import compiled_transformer

    nlp = spacy.load(path)
    runs = []
    for n_process in calls:
        docs = list(nlp.pipe(texts, n_process=n_process, batch_size=4))
        runs.append([[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs])
    print(json.dumps(runs))
"""


@pytest.mark.parametrize(
    "engine, start_method, calls",
    [("onnxruntime", "fork", [2, 1, 2]), ("openvino", "fork", [2, 1, 2]), ("onnxruntime", "spawn", [1, 2])],
)
def test_two_processes(paths, texts, tmp_path, engine, start_method, calls):
    """Before and after the pipeline was used in the parent, whose threads a fork doesn't copy.

    calls (List[int]): Number of processes of one call after the other.
    """
    # Some are large enough for an engine to divide the work among its threads.
    all_texts = [*texts, *[" ".join(texts)] * 4]
    entities = [helpers.get_entities(doc) for doc in spacy.load(paths[engine]).pipe(all_texts)]
    runs = run_script(tmp_path / "script.py", N_PROCESS, [str(paths[engine]), all_texts, start_method, calls])
    assert len(runs) == len(calls)
    for found in runs:
        assert [[tuple(entity) for entity in doc] for doc in found] == entities


FIRST_CALLS = """
import json, os, signal, sys, threading

import numpy, spacy
from scripts import compiled_transformer

path, n_processes, timeout = json.loads(sys.argv[1])
encoder = spacy.load(path).get_pipe("transformer").encoder
ids = numpy.ones((2, 16), dtype="int64")
# Python changes threads as often as it can.
sys.setswitchinterval(1e-6)

def call_at_once():
    engine = encoder.get_engine("cpu", 2, 2)
    barrier = threading.Barrier(2)

    def call():
        barrier.wait()
        engine(ids, ids)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

exits = []
for _ in range(n_processes):
    process = os.fork()
    if process == 0:
        signal.alarm(timeout)
        call_at_once()
        os._exit(0)
    exits.append(os.waitpid(process, 0)[1])
print(json.dumps(exits))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_first_calls_by_two_threads_at_once(paths, tmp_path, engine):
    """OpenVINO's Python layer hung in one of five processes."""
    assert run_script(tmp_path / "script.py", FIRST_CALLS, [str(paths[engine]), 20, 60]) == [0] * 20


@pytest.mark.parametrize("engine", ENGINES)
def test_four_threads_share_one_pipeline(paths, texts, expected, engine):
    """They start together, so that they also race for the engine."""
    nlp = spacy.load(paths[engine])
    results: Dict[int, List] = {}
    barrier = threading.Barrier(4)

    def annotate(number: int) -> None:
        barrier.wait()
        # Each in another order, else all of them would write the same numbers.
        order = [(index + 5 * number) % len(texts) for index in range(len(texts))]
        docs = dict(zip(order, [nlp(texts[index]) for index in order]))
        results[number] = [docs[index] for index in range(len(texts))]

    threads = [threading.Thread(target=annotate, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for docs in results.values():
        for doc, expected_doc in zip(docs, expected):
            assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
            assert_allclose(doc.tensor, expected_doc.tensor, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("engine", ENGINES)
def test_micro_batches_at_once(paths, texts, expected, engine, threads):
    """Many more of them than threads: each goes to the Docs that it came from."""
    settings = {"threads": threads, "batch_wordpieces": 50, "window": 30, "stride": 20}
    nlp = spacy.load(paths[engine], config={"components": {"transformer": settings}})
    one_by_one = [nlp(text) for text in texts]
    for doc, other in zip(nlp.pipe(texts), one_by_one):
        assert helpers.get_entities(doc) == helpers.get_entities(other)
        assert_allclose(doc.tensor, other.tensor, atol=1e-4)


@pytest.mark.skipif(available_cores() < 2, reason="needs two cores to choose from")
@pytest.mark.parametrize("limit", ["setting", "quota"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_part_of_the_cores_is_not_always_the_same_part(paths, texts, tmp_path, engine, limit):
    """Two processes with one thread each, or two containers with a core's worth of time, would else share the first core."""
    (tmp_path / "cpu.max").write_text("100000 100000" if limit == "quota" else "max 100000")
    code = """
import json, os, sys, threading
from pathlib import Path
import spacy
from scripts.compiled_transformer import cpu
path, texts, quota, threads = json.loads(sys.argv[1])
cpu.CPU_QUOTA = Path(quota)
nlp = spacy.load(path, config={"components.transformer.threads": threads})
nlp(texts[0])  # What starts looks at the cores one by one.
work = threading.Thread(target=lambda: list(nlp.pipe(texts * 20)))
work.start()
cores = set()
while work.is_alive():  # Threads are pinned only while they compute.
    for task in os.listdir("/proc/self/task"):
        try:
            cores.add(len(os.sched_getaffinity(int(task))))
        except ProcessLookupError:
            pass
print(json.dumps(sorted(cores)))
"""
    threads = None if limit == "quota" else 1
    cores = run_script(tmp_path / "script.py", code, [str(paths[engine]), texts, str(tmp_path / "cpu.max"), threads])
    assert cores == [len(os.sched_getaffinity(0))]


# Batches in a stream


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_is_the_callers(compiled_path, texts, threads):
    """With more, the next batch is encoded beside the components downstream."""
    nlp = spacy.load(compiled_path, config={"components.transformer.threads": threads})
    component = nlp.get_pipe("transformer")
    predict, used = component.predict, set()

    def predict_and_note(docs):
        used.add(threading.get_ident())
        return predict(docs)

    component.predict = predict_and_note
    entities = [[str(ent) for ent in doc.ents] for doc in nlp.pipe(texts, batch_size=2)]
    assert (used == {threading.get_ident()}) == (threads == 1)
    assert entities == [[str(ent) for ent in nlp(text).ents] for text in texts]


@pytest.mark.parametrize("threads", [1, 2])
def test_failed_batch_goes_to_the_error_handler(compiled_path, texts, threads):
    """The others come out, in order."""
    config = {"components.transformer.spans": "sent", "components.transformer.threads": threads}
    nlp = spacy.load(compiled_path, config=config, exclude=["sentencizer"])
    failed = []
    nlp.get_pipe("transformer").set_error_handler(lambda *arguments: failed.append(arguments))
    whole = [
        Doc(nlp.vocab, words=text.split(), sent_starts=[True] + [False] * (len(text.split()) - 1)) for text in texts
    ]
    without_sentences = Doc(nlp.vocab, words=["no", "sentences"])
    docs = list(nlp.pipe([*whole[:4], without_sentences, *whole[4:]], batch_size=2))
    ((name, _, batch, error),) = failed
    assert name == "transformer"
    assert without_sentences in batch and len(batch) == 2
    assert "E030" in str(error)
    assert docs == [doc for doc in whole if doc not in batch]
    assert all(doc.tensor.any() for doc in docs)


def test_errors_of_a_batch_and_of_the_stream_are_raised(compiled_path, texts):
    nlp = spacy.load(compiled_path, config={"components.transformer.spans": "sent"}, exclude=["sentencizer"])
    with pytest.raises(ValueError, match="E030"):
        list(nlp.pipe(texts, batch_size=2))

    def broken_stream():
        yield from texts[:5]
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        list(spacy.load(compiled_path).pipe(broken_stream(), batch_size=2))


def test_stream_may_be_left_early(compiled_path, texts, expected):
    nlp = spacy.load(compiled_path)
    docs = nlp.pipe(texts, batch_size=2)
    assert_same([next(docs)], expected[:1])
    docs.close()
    for doc, other in zip(nlp.pipe(texts, batch_size=3), expected):
        assert helpers.get_entities(doc) == helpers.get_entities(other)


# Settings


@pytest.mark.parametrize(
    "config",
    [{"components": {"transformer": {"threads": 1}}}, {"components.transformer.threads": 1}],
    ids=["nested", "dotted"],
)
def test_settings_can_be_overridden_at_load(compiled_path, texts, monkeypatch, config):
    started = []

    def start(manifest, files, device, threads, *others):
        started.append((device, threads))
        return engines.start_engine(manifest, files, device, threads, *others)

    monkeypatch.setattr("scripts.compiled_transformer.encoder.start_engine", start)
    monkeypatch.setattr("scripts.compiled_transformer.cpu.available_cores", lambda: 7)
    spacy.load(compiled_path)(texts[0])
    spacy.load(compiled_path, config=config)(texts[0])
    assert started == [("cpu", 7), ("cpu", 1)]


@pytest.mark.parametrize("engine", ENGINES)
def test_warmed_up_lengths_have_engines_from_the_start(paths, texts, engine, monkeypatch):
    lengths = [16, 48, 10**6]  # The last is more than the encoder has positions for.
    nlp = spacy.load(paths[engine], config={"components.transformer.warm_up_lengths": lengths})
    plain = spacy.load(paths[engine])
    sentences = [sent.text for text in texts[:8] for sent in plain(text).sents]
    expected = [plain(sentence) for sentence in sentences]
    started = []

    def start(*arguments):
        started.append(arguments[-1])
        return engines.start_engine(*arguments)

    monkeypatch.setattr("scripts.compiled_transformer.encoder.start_engine", start)
    sizes = {}
    encoder = nlp.get_pipe("transformer").encoder
    for sentence, expected_doc in zip(sentences, expected):
        n_started = len(started)
        doc = nlp(sentence)
        n_wordpieces = len(encoder.tokenizer.encode(sentence).ids)
        length = round_up(n_wordpieces, LENGTH_STEP)
        sizes.setdefault(length, set()).add(len(started) - n_started)
        assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
        assert_allclose(doc.tensor, expected_doc.tensor, atol=1e-5, rtol=0)
    assert {16, 32, 48} <= set(sizes), "texts too alike to prove anything"
    assert sizes[16] == sizes[48] == {0}
    # The engine for all other lengths is started by the first of their texts, unless it is the same.
    assert started == ([None] if engine == "openvino" else [])


@pytest.mark.parametrize(
    "content, cores", [("150000 100000", 2), ("400000 100000", 4), ("1000 100000", 1), ("max 100000", 9), (None, 9)]
)
def test_threads_stay_within_the_quota_of_a_container(tmp_path, monkeypatch, content, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(9)), raising=False)
    monkeypatch.setattr("scripts.compiled_transformer.cpu.CPU_QUOTA", tmp_path / "cpu.max")
    if content is not None:
        (tmp_path / "cpu.max").write_text(content)
    assert available_cores() == cores
    assert get_threads({"threads": None}) == cores
    assert get_threads({"threads": 3}) == 3


def test_settings_are_saved(compiled_path, tmp_path):
    config = {"components.transformer.batch_wordpieces": 99, "components.transformer.stride": 50}
    spacy.load(compiled_path, config=config).to_disk(tmp_path / "saved")
    attrs = spacy.load(tmp_path / "saved").get_pipe("transformer").model.attrs
    assert attrs["batch_wordpieces"] == 99
    assert attrs["stride"] == 50
    assert attrs["window"] == spacy.load(compiled_path).get_pipe("transformer").model.attrs["window"]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"spans": "paragraph"}, ["'spans'", "'paragraph'", "strided, doc, sent"]),
        ({"device": "tpu"}, ["'device'", "'tpu'", "cpu, cuda"]),
        ({"window": 0}, ["'window'", "is 0", "from 1 up"]),
        ({"stride": -3}, ["'stride'", "is -3", "from 1 up"]),
        ({"batch_wordpieces": 0}, ["'batch_wordpieces'", "is 0", "from 1 up"]),
        ({"threads": 0}, ["'threads'", "is 0", "from 1 up"]),
        ({"warm_up_lengths": [16, 20]}, ["'warm_up_lengths'", "has 20", "multiples of 16"]),
        ({"warm_up_lengths": [0]}, ["'warm_up_lengths'", "has 0", "multiples of 16"]),
        ({"window": 10, "stride": 11}, ["'stride'", "(11)", "'window'", "(10)"]),
        ({"window": "many"}, ["window", "many"]),
        ({"threads": 1.5}, ["threads", "1.5"]),
        ({"threads": True}, ["threads", "True"]),
    ],
    ids=str,
)
def test_invalid_settings_are_named(compiled_path, settings, message):
    with pytest.raises(ValueError) as error:
        spacy.load(compiled_path, config={"components": {"transformer": settings}})
    for part in message:
        assert part in str(error.value)


def test_cuda_without_a_gpu_build_is_refused(paths, texts):
    nlp = spacy.load(paths["openvino"], config={"components.transformer.device": "cuda"})
    with pytest.raises(ValueError, match="'device' is 'cuda'.*'cpu'"):
        nlp(texts[0])
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return
    nlp = spacy.load(paths["onnxruntime"], config={"components.transformer.device": "cuda"})
    with pytest.raises(ValueError, match="'device' is 'cuda'.*onnxruntime-gpu"):
        nlp(texts[0])


# Damaged and foreign artefacts


@pytest.mark.parametrize("name", ["encoder.onnx", "tokenizer.json"])
def test_changed_file_is_refused(folder, name):
    path = folder / "transformer" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{name} in .*transformer is not the file that engine.json describes"):
        spacy.load(folder)


@pytest.mark.parametrize("name", ["encoder.onnx", "tokenizer.json"])
def test_missing_file_is_named(folder, name):
    (folder / "transformer" / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing in .*transformer"):
        spacy.load(folder)


def test_missing_manifest_is_named(folder):
    (folder / "transformer" / "engine.json").unlink()
    with pytest.raises(ValueError, match="There is no engine.json in .*transformer"):
        spacy.load(folder)


def test_changed_bytes_are_refused(compiled_path):
    component = spacy.load(compiled_path).get_pipe("transformer")
    files = srsly.msgpack_loads(component.to_bytes())
    with pytest.raises(ValueError, match="encoder.onnx in the bytes is not the file"):
        component.from_bytes(srsly.msgpack_dumps({**files, "encoder.onnx": files["encoder.onnx"] + b"x"}))
    del files["encoder.onnx"]
    with pytest.raises(ValueError, match="encoder.onnx is missing in the bytes"):
        component.from_bytes(srsly.msgpack_dumps(files))


def test_failed_load_leaves_the_component_as_it_was(folder, texts, expected):
    nlp = spacy.load(folder)
    other = folder.with_name("other")
    shutil.copytree(folder / "transformer", other)
    (other / "encoder.onnx").write_bytes(b"something else")
    with pytest.raises(ValueError):
        nlp.get_pipe("transformer").from_disk(other)
    assert_same(list(nlp.pipe(texts)), expected)


def change_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "transformer" / "engine.json"
    srsly.write_json(path, {**srsly.read_json(path), **changes})


def test_unknown_engine_is_named(folder, texts):
    change_manifest(folder, engine="tensorrt")
    nlp = spacy.load(folder)
    with pytest.raises(ValueError, match="'tensorrt'.*onnxruntime, openvino"):
        nlp(texts[0])


def test_missing_engine_has_an_install_hint(folder, texts, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    change_manifest(folder, requirements=["onnxruntime==1.2.3", "tokenizers"])
    nlp = spacy.load(folder)
    with pytest.raises(ImportError, match="pip install onnxruntime==1.2.3"):
        nlp(texts[0])


def test_component_without_an_encoder_is_refused():
    nlp = spacy.blank("en")
    nlp.add_pipe("compiled_transformer")
    with pytest.raises(ValueError, match="no encoder yet"):
        nlp("Ada met Karl.")


def test_component_without_an_encoder_can_t_be_saved(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("compiled_transformer")
    with pytest.raises(ValueError, match="no encoder yet"):
        nlp.to_bytes()
    with pytest.raises(ValueError, match="no encoder yet"):
        nlp.to_disk(tmp_path / "saved")


# Training


def make_examples(nlp: Language, docs: List[Doc]) -> List[Example]:
    """RETURNS (List[Example]): Examples with the entities that are in the Docs."""
    return [Example(helpers.bare(doc, nlp.vocab), doc) for doc in docs]


def test_training_is_refused(compiled_path, dev_corpus):
    nlp = spacy.load(compiled_path)
    examples = make_examples(nlp, helpers.read_docs(dev_corpus, nlp.vocab))
    assert not nlp.get_pipe("transformer").is_trainable
    with pytest.raises(ValueError, match="can't be trained.*frozen_components.*annotating_components"):
        nlp.update(examples, sgd=Adam())
    with pytest.raises(ValueError, match="can't be trained"):
        nlp.get_pipe("transformer").model.begin_update([example.x for example in examples])


def test_others_can_be_trained_on_its_vectors(compiled_path, dev_corpus, texts):
    """As a second ner, which reads the same vectors and starts from nothing."""
    nlp = spacy.load(compiled_path)
    docs = helpers.read_docs(dev_corpus, nlp.vocab)
    before = [nlp(text).tensor for text in texts]
    examples = make_examples(nlp, docs)
    nlp.remove_pipe("ner")
    config = load_config(compiled_path / "config.cfg")["components"]["ner"]
    factory = config.pop("factory")
    nlp.add_pipe(factory, name="ner", config=config)
    optimizer = nlp.get_pipe("ner").initialize(lambda: examples, nlp=nlp) or Adam(0.005)
    losses = []
    for _ in range(15):
        losses.append(nlp.update(examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"])["ner"])
    assert losses[-1] < 0.5 * losses[0]
    for text, tensor in zip(texts, before):
        assert_array_equal(nlp(text).tensor, tensor)


def test_spacy_train_with_the_component_frozen(compiled_path, dev_corpus, texts, expected, tmp_path):
    """As users do it: `spacy train` with the compiled transformer sourced, frozen and annotating."""
    config = load_config(compiled_path / "config.cfg")
    config["components"]["transformer"] = {"source": str(compiled_path)}
    config["components"]["ner"] = {"source": str(compiled_path)}
    config["paths"].update(train=str(dev_corpus), dev=str(dev_corpus))
    reader = {"@readers": "spacy.Corpus.v1", "path": str(dev_corpus)}
    config["corpora"] = {"train": reader, "dev": reader}
    before_ner = ["sentencizer", "transformer"]
    config["training"].update(
        frozen_components=before_ner, annotating_components=before_ner, max_steps=4, eval_frequency=2
    )
    config.to_disk(tmp_path / "config.cfg")
    train(tmp_path / "config.cfg", tmp_path / "training")
    trained = tmp_path / "training" / "model-last"
    assert read_component(trained / "transformer") == read_component(compiled_path / "transformer")
    nlp = spacy.load(trained)
    ner = spacy.load(compiled_path).get_pipe("ner").to_bytes(exclude=["vocab"])
    assert nlp.get_pipe("ner").to_bytes(exclude=["vocab"]) != ner
    for text, doc in zip(texts, expected):
        assert_array_equal(nlp(text).tensor, doc.tensor)


# The whole pipeline


def test_all_components_of_a_pipeline_read_the_same_vectors(multi_head_path, texts, tmp_path):
    reference, compiled = spacy.load(multi_head_path), spacy.load(helpers.compile_reference(multi_head_path, tmp_path))
    assert compiled.pipe_names == ["sentencizer", "transformer", "tagger", "textcat", "ner"]
    all_texts = [example[0] for example in helpers.MULTI_HEAD_EXAMPLES] + texts
    docs, expected = list(compiled.pipe(all_texts)), list(reference.pipe(all_texts))
    for doc, expected_doc in zip(docs, expected):
        assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
        assert [token.tag_ for token in doc] == [token.tag_ for token in expected_doc]
        assert doc.cats == pytest.approx(expected_doc.cats, abs=1e-4)
    assert any(doc.ents for doc in docs)
    assert len({token.tag_ for doc in docs for token in doc}) > 3
    assert len({max(doc.cats, key=doc.cats.get) for doc in docs}) == 2


def test_compiling_leaves_the_reference_as_it_was(reference_path, tmp_path):
    before = read_files(reference_path)
    times = {path: path.stat().st_mtime_ns for path in reference_path.rglob("*")}
    helpers.compile_reference(reference_path, tmp_path)
    assert read_files(reference_path) == before
    assert {path: path.stat().st_mtime_ns for path in reference_path.rglob("*")} == times


WITHOUT_TORCH = """
import importlib.metadata as metadata
import json, sys

BLOCKED = ("torch", "transformers", "spacy_transformers", "curated_transformers", "spacy_curated_transformers")

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
# spaCy looks for plugins in the metadata of what is installed.
installed = metadata.distributions
metadata.distributions = lambda **options: (
    found for found in installed(**options) if found.name.replace("-", "_") not in BLOCKED
)
import spacy

path, code, texts = json.loads(sys.argv[1])
# As a wheel has it: a package without the project around it.
sys.path.insert(0, code)
import compiled_transformer
nlp = spacy.load(path)
docs = list(nlp.pipe(texts))
assert not [name for name in sys.modules if name.split(".")[0] in (*BLOCKED, "scripts")]
entities = [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs]
print(json.dumps([entities, [doc.tensor.tolist() for doc in docs]]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_of_training_is_needed(paths, texts, expected, engine, tmp_path):
    """Where torch, transformers and spacy-transformers can't be imported, it loads and annotates the same."""
    runtime = helpers.ROOT / "scripts" / "compiled_transformer"
    shutil.copytree(runtime, tmp_path / runtime.name)
    argument = [str(paths[engine]), str(tmp_path), texts]
    entities, tensors = run_script(tmp_path / "script.py", WITHOUT_TORCH, argument)
    assert [[tuple(entity) for entity in doc] for doc in entities] == [helpers.get_entities(doc) for doc in expected]
    for tensor, doc in zip(tensors, expected):
        assert_allclose(numpy.asarray(tensor, dtype="float32"), doc.tensor, atol=1e-4)
