"""The service: answers, limits, batches, stopping, the page, and pipelines that get their token vectors from it."""

import base64
import html
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy
import psutil
import pytest
import spacy
import srsly
from numpy.testing import assert_allclose

pytest.importorskip("ray")
grpc = pytest.importorskip("grpc")  # ray[serve] brings it.

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.artefact import MANIFEST
from scripts.compiled_transformer.remote import OCTETS, pack_doc
from scripts.serve import serve_cli

from .. import helpers

pytestmark = pytest.mark.slow
TIMEOUT = 300  # A hang has to fail; the limit is far from what a slow machine takes.
SECRET = "Zanzibarova"  # A word that must not be in any log.
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


class Service:
    """A service in a process of its own, as a user starts it."""

    def __init__(self, *arguments: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="serve-"))  # Not `tmp_path`: names of sockets must be short.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.serve", *map(str, arguments), "--port", "0"],
            cwd=helpers.ROOT,
            env={**os.environ, "RAY_TMPDIR": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: List[str] = []
        for line in self.process.stdout:
            self.output.append(line)
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                return
        raise AssertionError("".join(self.output))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Optional[bytes] = None, headers: Optional[Dict[str, str]] = None
    ) -> Tuple[int, bytes, Dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read(), dict(response.headers)
        finally:
            connection.close()

    def post(self, path: str, value: Any) -> Tuple[int, Any]:
        status, body, _ = self.ask("POST", path, json.dumps(value).encode("utf8"))
        return status, json.loads(body)

    def read_metric(self, name: str) -> float:
        """RETURNS (float): The sum over all labels."""
        text = self.ask("GET", "/metrics")[1].decode("utf8")
        return sum(float(value) for value in re.findall(rf"^entity_service_{name}(?:{{.*}})? (\S+)$", text, re.M))

    def wait_for(self, name: str, least: float) -> None:
        """Wait until a number is so large."""
        end = time.monotonic() + TIMEOUT
        while self.read_metric(name) < least:
            assert time.monotonic() < end, f"{name} did not reach {least}"

    def find_processes(self, name: str = "") -> List[psutil.Process]:
        """RETURNS (List[psutil.Process]): The processes that the service started, with the name in their command."""
        processes = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in processes if name in " ".join(process.cmdline())]

    def stop(self) -> int:
        """RETURNS (int): The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        self.output.append(self.process.communicate(timeout=TIMEOUT)[0])
        return self.process.returncode

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *error: Any) -> None:
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder)


class Answer(NamedTuple):
    """What a request in a thread of its own gets."""

    thread: threading.Thread
    result: List[Any]

    def get(self) -> Tuple[int, Any]:
        self.thread.join(TIMEOUT)
        return self.result[0]


def send(service: Service, value: Any) -> Answer:
    result: List[Any] = []
    thread = threading.Thread(target=lambda: result.append(service.post("/entities", value)), daemon=True)
    thread.start()
    return Answer(thread, result)


@pytest.fixture(scope="module")
def texts(dev_corpus, test_corpus) -> List[str]:
    return [doc.text for path in (dev_corpus, test_corpus) for doc in helpers.read_docs(path)]


@pytest.fixture(scope="module")
def expected(compiled_path, texts) -> List[spacy.tokens.Doc]:
    docs = list(spacy.load(compiled_path).pipe(texts))
    assert sum(len(doc.ents) for doc in docs) > 50
    return docs


@pytest.fixture(scope="module")
def expected_entities(expected) -> List[List[Dict[str, Any]]]:
    return [
        [{"start": ent.start_char, "end": ent.end_char, "label": ent.label_, "text": ent.text} for ent in doc.ents]
        for doc in expected
    ]


@pytest.fixture(scope="module")
def service(compiled_path) -> Iterator[Service]:
    with Service(compiled_path, "--workers", 2, "--max-characters", 20000, "--max-texts", 50) as service:
        yield service


@pytest.fixture(scope="module")
def small_service(compiled_path) -> Iterator[Service]:
    """One whose queue is short, and which may be stopped."""
    options = ["--max-queue", 2, "--max-texts", 2000, "--batch-wordpieces", 512, "--timeout", 120]
    with Service(compiled_path, *options) as service:
        yield service


@pytest.fixture(scope="module")
def encoder_service(compiled_path) -> Iterator[Service]:
    with Service(compiled_path, "--encoder-only") as service:
        yield service


@pytest.fixture
def long_request(texts) -> Dict[str, List[str]]:
    """A request that runs for seconds, in many batches."""
    return {"texts": [text for _ in range(60) for text in texts]}


# Answers


def test_one_text(service, texts, expected_entities):
    for text, entities in zip(texts[:5], expected_entities):
        assert service.post("/entities", {"text": text}) == (200, {"entities": entities})


def test_many_texts(service, texts, expected_entities):
    status, answer = service.post("/entities", {"texts": [*texts, "", " \n"]})
    assert status == 200
    assert [result["entities"] for result in answer["results"]] == [*expected_entities, [], []]
    assert service.post("/entities", {"texts": []}) == (200, {"results": []})


def test_offsets_count_characters_of_any_script(service):
    text = "😀 Ünïcode\u2029 \u0000 日本 Karl"
    status, answer = service.post("/entities", {"text": text})
    assert status == 200
    assert all(text[entity["start"] : entity["end"]] == entity["text"] for entity in answer["entities"])


def test_concurrent_clients_lose_nothing(service, texts, expected_entities):
    """32 clients, requests of one text and of several, in batches together."""
    before = service.read_metric("batch_requests_count"), service.read_metric("batch_requests_sum")

    def ask(number: int) -> None:
        size = 1 + number % 3
        part = [(number + step) % len(texts) for step in range(size)]
        status, answer = service.post("/entities", {"texts": [texts[index] for index in part]})
        assert status == 200, answer
        assert [result["entities"] for result in answer["results"]] == [expected_entities[index] for index in part]

    with ThreadPoolExecutor(32) as executor:
        list(executor.map(ask, range(160)))
    batches = service.read_metric("batch_requests_count") - before[0]
    assert service.read_metric("batch_requests_sum") - before[1] == 160
    assert batches < 160  # Some ran together.


def test_health_and_description(service):
    status, body, _ = service.ask("GET", "/health")
    assert status == 200
    assert json.loads(body) == {"status": "ok", "pipeline": "en_pipeline 0.0.0", "workers": 2}
    description = json.loads(service.ask("GET", "/openapi.json")[1])
    assert sorted(description["paths"]) == ["/entities", "/health", "/metrics"]
    assert {"200", "400", "413", "422", "503"} <= set(description["paths"]["/entities"]["post"]["responses"])


def test_metrics_count_requests_but_not_unknown_paths(service):
    service.ask("GET", "/made-up")
    text = service.ask("GET", "/metrics")[1].decode("utf8")
    assert 'entity_service_requests_total{path="other",status="404"}' in text
    assert "made-up" not in text
    assert "# TYPE entity_service_request_seconds histogram" in text


# Errors


@pytest.mark.parametrize(
    "body, status, parts",
    [
        (b"{", 400, ["not JSON"]),
        (b"", 400, ["not JSON"]),
        (b"\xff\xfe", 400, ["not JSON"]),
        (b'{"text": "\\ud800"}', 400, ["not JSON"]),
        (b'"text"', 422, ["The body"]),
        (b'{"text": 3}', 422, ["text", "string"]),
        (b'{"text": ["a"]}', 422, ["text", "string"]),
        (b'{"texts": "a"}', 422, ["texts", "array"]),
        (b'{"texts": ["a", null]}', 422, ["texts.1", "string"]),
        (b'{"texts": ["a"], "more": 1}', 422, ["more"]),
        (b"{}", 422, ["either"]),
        (b'{"text": null}', 422, ["either"]),
        (b'{"text": "a", "texts": ["a"]}', 422, ["either"]),
        (json.dumps({"text": "a" * 20001}).encode(), 413, ["20001", "20000"]),
        (json.dumps({"texts": ["a"] * 51}).encode(), 413, ["51", "50"]),
        (b" " * (33 * 2**20), 413, ["MiB"]),
    ],
)
def test_bad_bodies(service, body, status, parts):
    found, answer, _ = service.ask("POST", "/entities", body)
    message = json.loads(answer)["error"]
    assert found == status, message
    assert all(part in message for part in parts), message
    assert message.endswith(".")


def test_errors_do_not_repeat_the_text(service):
    for body in ({"text": [SECRET]}, {"texts": SECRET}):
        assert SECRET not in str(service.post("/entities", body))


def test_wrong_method_and_path(service):
    status, body, headers = service.ask("GET", "/entities")
    assert (status, headers["allow"]) == (405, "POST")
    assert json.loads(body)["error"] == "/entities: Method Not Allowed. Use POST."
    status, body, _ = service.ask("POST", "/entity", b"{}")
    assert status == 404
    assert "/entities" in json.loads(body)["error"]


def test_only_this_machine_can_ask(service):
    """The service does not listen to others. Ray, which runs programs that it is sent, needs a token where it does."""
    connections = [found for process in service.find_processes() for found in process.net_connections()]
    listeners = [found.laddr for found in connections if found.status == psutil.CONN_LISTEN]
    assert ("127.0.0.1", service.port) in listeners
    others = [address for address in listeners if address.ip not in ("127.0.0.1", "::ffff:127.0.0.1")]
    assert len(others) < len(listeners) - 1
    for address in others:
        with grpc.insecure_channel(f"127.0.0.1:{address.port}") as channel:
            with pytest.raises(grpc.RpcError) as error:
                channel.unary_unary("/ray.serve.ASGIService/HandleRequest")(b"", timeout=TIMEOUT)
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_user_errors(tmp_path, reference_path, service):
    helpers.assert_refused(helpers.run_command(serve_cli, tmp_path), "no pipeline", tmp_path)
    helpers.assert_refused(helpers.run_command(serve_cli, reference_path), "no compiled transformer", "optimize")


def test_port_in_use(service, compiled_path):
    result = helpers.run_command(serve_cli, compiled_path, "--port", service.port)
    helpers.assert_refused(result, "Can't listen", service.port)


def test_damaged_pipeline(compiled_path, tmp_path):
    folder = shutil.copytree(compiled_path, tmp_path / "damaged")
    (folder / "transformer" / "encoder.onnx").write_bytes(b"damaged")
    command = [sys.executable, "-m", "scripts.serve", str(folder), "--port", "0"]
    process = subprocess.run(command, cwd=helpers.ROOT, capture_output=True, text=True, timeout=TIMEOUT)
    assert process.returncode == 1
    assert "encoder.onnx" in process.stdout
    assert "Traceback" not in process.stdout + process.stderr


# Load


def test_full_queue_and_clients_that_go_away(small_service, long_request, texts):
    """Two requests fill the queue: the third is told to come back. The second goes away, and is never run."""
    first = send(small_service, long_request)
    small_service.wait_for("requests_in_progress", 1)
    second = http.client.HTTPConnection("127.0.0.1", small_service.port, timeout=TIMEOUT)
    second.request("POST", "/entities", json.dumps({"text": texts[0]}))
    small_service.wait_for("requests_in_progress", 2)
    status, body, headers = small_service.ask("POST", "/entities", json.dumps({"text": texts[1]}).encode())
    assert status == 503, body
    assert headers["retry-after"] == "1"
    assert json.loads(body)["error"].endswith(".")
    second.close()
    small_service.wait_for("gone_clients_total", 1)
    status, answer = first.get()
    assert status == 200
    assert len(answer["results"]) == len(long_request["texts"])
    assert small_service.read_metric("texts_total") == len(long_request["texts"])
    assert small_service.read_metric("requests_in_progress") == 0
    assert small_service.post("/entities", {"text": texts[1]})[0] == 200


def test_long_text_is_not_overtaken_for_ever(service, texts):
    """It fills a batch alone, and there are always short ones that would fit better."""
    is_answered = threading.Event()

    def ask(number: int) -> None:
        while not is_answered.is_set():
            assert service.post("/entities", {"text": texts[number]})[0] == 200

    with ThreadPoolExecutor(16) as executor:
        try:
            short = [executor.submit(ask, number) for number in range(16)]
            service.wait_for("requests_in_progress", 8)
            assert service.post("/entities", {"text": " ".join(10 * texts)[:20000]})[0] == 200
        finally:
            is_answered.set()
    assert not any(future.exception() for future in short)


def test_long_text_before_a_short_one(small_service, texts):
    """More than a batch holds: it goes alone, and what comes after it, in its request or another, is answered."""
    asked = [" ".join(10 * texts)[:20000], texts[0]]
    status, answer = small_service.post("/entities", {"texts": asked})
    assert status == 200
    assert answer["results"][1] == small_service.post("/entities", {"text": texts[0]})[1]


def test_worker_dies(small_service, long_request):
    """Another one takes its place and answers what it was working on."""
    answer = send(small_service, long_request)
    small_service.wait_for("requests_in_progress", 1)
    (worker,) = small_service.find_processes("entities:Worker")
    worker.kill()
    status, results = answer.get()
    assert status == 200, results
    assert len(results["results"]) == len(long_request["texts"])
    assert small_service.find_processes("entities:Worker") != [worker]


def test_front_dies(small_service, texts):
    """It is started again, at the same port."""
    (front,) = small_service.find_processes("entities:Front")
    front.kill()
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            assert small_service.post("/entities", {"text": texts[0]})[0] == 200
            return
        except (ConnectionError, http.client.HTTPException):
            assert time.monotonic() < end


def test_stop_finishes_what_is_running_and_logs_no_text(small_service, long_request):
    long_request["texts"][0] = f"{SECRET} met Karl."
    answer = send(small_service, long_request)
    small_service.wait_for("requests_in_progress", 1)
    assert small_service.stop() == 0
    status, results = answer.get()
    assert status == 200
    assert len(results["results"]) == len(long_request["texts"])
    assert SECRET not in "".join(small_service.output)
    logs = [path for path in small_service.folder.rglob("*") if path.is_file()]
    assert logs
    assert not [path for path in logs if SECRET.encode() in path.read_bytes()]
    with pytest.raises(ConnectionError):
        small_service.ask("GET", "/health")


def test_slow_and_unfinished_bodies(compiled_path):
    """They are refused, and don't keep the service from stopping."""
    head = b"POST /entities HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"
    with Service(compiled_path, "--timeout", 1) as service:
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as gone:
            gone.sendall(head)
        service.wait_for("gone_clients_total", 1)
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as slow:
            slow.sendall(head)
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
            slow.sendall(head)
            assert service.stop() == 0


# Page


def test_page_brings_all_it_needs(service):
    status, body, headers = service.ask("GET", "/")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert not re.search(rb"https?://|//[a-z]+\.", body)


def test_displacy_escapes_the_text(service):
    status, body, _ = service.ask("POST", "/displacy", json.dumps({"text": "<script>1</script> & Karl"}).encode())
    assert status == 200
    assert b"<script>" not in body
    assert html.escape("<script>") in body.decode()


def test_page_in_a_browser(service, texts, expected_entities, tmp_path):
    """Type a text, press the button, look at what is highlighted; then one that is too long."""
    with Browser(tmp_path) as browser:
        browser.open(service.url)
        browser.run("get('text').value = " + json.dumps(texts[0]))
        browser.run("get('send').click()")
        browser.wait_for("document.querySelectorAll('mark').length > 0")
        marks = browser.run("[...document.querySelectorAll('mark')].map((mark) => mark.firstChild.textContent.trim())")
        assert marks == [entity["text"] for entity in expected_entities[0]]
        labels = browser.run("[...document.querySelectorAll('mark span')].map((span) => span.textContent.trim())")
        assert labels == [entity["label"] for entity in expected_entities[0]]
        # Name and label stand in one line, unless it ends between them.
        assert browser.run("[...document.querySelectorAll('mark')].every((mark) => mark.getClientRects().length <= 2)")
        browser.screenshot(Path(os.environ.get("SCREENSHOT", tmp_path / "page.png")))
        browser.run("get('text').value = 'a'.repeat(20001)")
        browser.run("get('send').click()")
        browser.wait_for("!get('error').hidden")
        assert "20001 characters" in browser.run("get('error').textContent")
        assert browser.run("document.querySelectorAll('mark').length") == 0


class Browser:
    """A headless Chromium, driven over its DevTools protocol."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if program is None:
            pytest.skip("needs Chromium: apt-get install chromium")
        websocket = pytest.importorskip("websockets.sync.client", reason="uvicorn[standard] brings websockets")
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        self.process = subprocess.Popen(
            [program, *options, f"--user-data-dir={folder}", "--remote-debugging-port=0", "--window-size=900,700"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._number = 0
        addresses = (re.search(r"ws://[^:]+:(\d+)/", line) for line in self.process.stderr)
        port = next(int(found[1]) for found in addresses if found)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        connection.request("GET", "/json")
        pages = json.loads(connection.getresponse().read())
        url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._connection = websocket.connect(url, max_size=None, open_timeout=TIMEOUT)
        self.socket = self._connection.__enter__()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error: Any) -> None:
        self._connection.__exit__(*error)
        self.process.kill()
        self.process.communicate()

    def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=TIMEOUT))
            if message.get("id") == self._number:
                return message["result"]

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && !!document.getElementById('send')")

    def run(self, code: str) -> Any:
        result = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        end = time.monotonic() + TIMEOUT
        while not self.run(condition):
            assert time.monotonic() < end, condition

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


# Token vectors for other pipelines


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
