"""Pipelines that get their token vectors from a service."""

import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Tuple

import numpy
import pytest
import spacy
import srsly
from numpy.testing import assert_allclose

pytest.importorskip("ray")

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.artefact import MANIFEST
from scripts.compiled_transformer.remote import OCTETS, pack_doc

from .. import helpers
from .service_process import TIMEOUT

pytestmark = pytest.mark.slow
PROGRAM = """
import json, sys
import spacy
import scripts.compiled_transformer
path, url, texts = json.load(sys.stdin)
nlp = spacy.load(path, config={"components.transformer.remote": url})
docs = list(nlp.pipe(texts, batch_size=5))
print(json.dumps({
    "entities": [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs],
    "vectors": [doc.tensor.tolist() for doc in docs],
    "engines": [name for name in ("onnxruntime", "openvino") if name in sys.modules],
}))
"""


def test_two_processes_share_an_encoder(encoder_service, compiled_path, texts, expected):
    """Same entities and vectors as local, and no engine in the processes that ask."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=helpers.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    asked = json.dumps([str(compiled_path), encoder_service.url, ["", *texts]])
    with ThreadPoolExecutor(2) as executor:
        outputs = list(executor.map(lambda process: process.communicate(asked, timeout=TIMEOUT)[0], processes))
    for output in outputs:
        answer = json.loads(output.splitlines()[-1])
        assert answer["entities"] == [[], *([list(ent) for ent in helpers.get_entities(doc)] for doc in expected)]
        for vectors, doc in zip(answer["vectors"][1:], expected):
            assert_allclose(numpy.asarray(vectors), doc.tensor, atol=1e-3)
        assert answer["engines"] == []


def test_light_pipeline_needs_no_encoder(encoder_service, compiled_path, texts, expected, tmp_path):
    """Saved with the setting, it is a few files; from disk and from bytes it does the same."""
    nlp = spacy.load(compiled_path, config={"components.transformer.remote": encoder_service.url})
    nlp.to_disk(tmp_path / "light")
    assert [path.name for path in (tmp_path / "light" / "transformer").iterdir()] == [MANIFEST]
    light = spacy.load(tmp_path / "light")
    again = spacy.util.load_model_from_config(light.config).from_bytes(light.to_bytes())
    for pipeline in (light, again):
        docs = pipeline.pipe(texts)
        assert [helpers.get_entities(doc) for doc in docs] == [helpers.get_entities(doc) for doc in expected]


def test_one_document_at_a_time_and_in_processes(encoder_service, compiled_path, texts, expected):
    """A fork must not use its parent's connections."""
    nlp = spacy.load(compiled_path, config={"components.transformer.remote": encoder_service.url})
    wanted = [helpers.get_entities(doc) for doc in expected]
    assert [helpers.get_entities(nlp(text)) for text in texts[:3]] == wanted[:3]
    assert [helpers.get_entities(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=4)] == wanted


def test_vectors_of_texts_for_people(encoder_service, texts, expected):
    status, answer = encoder_service.post("/vectors", {"texts": texts[:2]})
    assert status == 200
    for result, doc in zip(answer["results"], expected):
        assert result["tokens"] == [token.text for token in doc]
        assert_allclose(numpy.asarray(result["vectors"]), doc.tensor, atol=1e-3)
    assert encoder_service.post("/entities", {"text": "a"})[0] == 404


@pytest.mark.parametrize("settings", [{"window": 20, "stride": 10}, {"spans": "doc"}])
def test_another_encoder_is_refused(encoder_service, compiled_path, texts, settings):
    """Wrong vectors would be wrong entities: other windows, and other files in the manifest."""
    config = {f"components.transformer.{key}": value for key, value in settings.items()}
    nlp = spacy.load(compiled_path, config={"components.transformer.remote": encoder_service.url, **config})
    with pytest.raises(ValueError, match="another encoder"):
        nlp(texts[0])


def test_an_encoder_of_other_files_is_refused(encoder_service, compiled_path, texts, tmp_path):
    folder = shutil.copytree(compiled_path, tmp_path / "other")
    manifest = srsly.read_json(folder / "transformer" / MANIFEST)
    manifest["files"]["encoder.onnx"] = "0" * 64
    srsly.write_json(folder / "transformer" / MANIFEST, manifest)
    nlp = spacy.load(folder, config={"components.transformer.remote": encoder_service.url})
    with pytest.raises(ValueError, match="another encoder"):
        nlp(texts[0])


def test_failing_request_fails_alone(encoder_service, compiled_path, texts, expected):
    """The encoder fails on a Doc without sentences, and runs what came with it again."""
    nlp = spacy.load(compiled_path, config={"components.transformer.remote": encoder_service.url})
    transformer = nlp.get_pipe("transformer")
    encoder_id = transformer.encoder.get_remote(transformer.model.attrs).encoder_id

    def ask(number: int) -> Tuple[int, bytes]:
        packed = pack_doc(expected[number % len(expected)])
        if number % 4 == 0:
            del packed["sents"]
        body = srsly.msgpack_dumps({"encoder": encoder_id, "docs": [packed]})
        return encoder_service.ask("POST", "/vectors", body, {"Content-Type": OCTETS})[:2]

    with ThreadPoolExecutor(16) as executor:
        answers = list(executor.map(ask, range(64)))
    metrics = encoder_service.ask("GET", "/metrics")[1].decode("utf8")
    assert 'entity_service_requests_total{path="/vectors",status="500"} 16.0' in metrics
    for number, (status, body) in enumerate(answers):
        assert status == (500 if number % 4 == 0 else 200)
        if status == 200:
            vectors = numpy.frombuffer(body, dtype="<f4").reshape(-1, transformer.encoder.manifest["width"])
            assert_allclose(vectors, expected[number % len(expected)].tensor, atol=1e-3)


@pytest.mark.parametrize(
    "body, status",
    [
        (b"\xc1", 400),
        (srsly.msgpack_dumps([1]), 422),
        (srsly.msgpack_dumps({"encoder": "a", "docs": [{"text": "ab", "tokens": b"123"}]}), 422),
        (srsly.msgpack_dumps({"encoder": "a", "docs": [{"text": "ab", "tokens": numpy.int32([0, 9]).tobytes()}]}), 422),
        (srsly.msgpack_dumps({"encoder": "a", "docs": [{"text": "ab", "tokens": numpy.int32([0, 2]).tobytes()}]}), 409),
    ],
)
def test_bad_packed_docs(encoder_service, body, status):
    found, answer, _ = encoder_service.ask("POST", "/vectors", body, {"Content-Type": OCTETS})
    assert found == status, answer
    assert json.loads(answer)["error"].endswith(".")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://a", "http://"])
def test_remote_must_be_a_url(compiled_path, url):
    with pytest.raises(ValueError, match="Setting 'remote'.*http://127.0.0.1:8000"):
        spacy.load(compiled_path, config={"components.transformer.remote": url})


def test_server_away(compiled_path, texts, monkeypatch):
    """Refused connections are tried again, and then an error says what to do; it does not hang."""
    monkeypatch.setattr("scripts.compiled_transformer.remote.TRIES", 3)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    nlp = spacy.load(compiled_path, config={"components.transformer.remote": f"http://127.0.0.1:{port}"})
    with pytest.raises(ConnectionError, match=f"{port} does not answer.*Start it with"):
        nlp(texts[0])


def test_busy_server_is_asked_again_but_not_for_ever(compiled_path, texts, monkeypatch):
    asked = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(503)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(b'{"error": "Full."}')

        def log_message(self, *_):
            pass

    monkeypatch.setattr("scripts.compiled_transformer.remote.TRIES", 3)
    with HTTPServer(("127.0.0.1", 0), Busy) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        nlp = spacy.load(
            compiled_path, config={"components.transformer.remote": f"http://127.0.0.1:{busy.server_port}"}
        )
        with pytest.raises(ConnectionError, match="too busy.*Full"):
            nlp(texts[0])
        busy.shutdown()
    assert len(asked) == 3
