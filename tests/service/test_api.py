"""What a client gets: answers, descriptions, numbers and errors."""

import json

import pytest
import spacy

pytest.importorskip("ray")

from .service_process import send

pytestmark = pytest.mark.slow
SECRET = "Zanzibarova"  # A word that must not be in any error.


def test_one_text(service, texts, expected_entities):
    for text, entities in zip(texts[:5], expected_entities):
        assert service.post("/entities", {"text": text}) == (200, {"entities": entities})


def test_many_texts(service, texts, expected_entities):
    status, answer = service.post("/entities", {"texts": [*texts, "", " \n"]})
    assert status == 200
    assert [result["entities"] for result in answer["results"]] == [*expected_entities, [], []]
    assert service.post("/entities", {"texts": []}) == (200, {"results": []})


def test_scores_that_are_asked_for(service, compiled_path, texts, expected_entities):
    """In each request anew, and with those of requests that don't ask in one batch."""
    nlp = spacy.load(compiled_path, config={"components.ner.scores": True})
    expected = [[float(score) for score in doc.spans["ner"].attrs["scores"]] for doc in nlp.pipe(texts)]
    plain = [send(service, {"texts": texts}) for _ in range(4)]
    scored = [send(service, {"texts": texts, "scores": True}) for _ in range(4)]
    for answer in plain:
        assert [result["entities"] for result in answer.get()[1]["results"]] == expected_entities
    for answer in scored:
        entities = [result["entities"] for result in answer.get()[1]["results"]]
        scores = [[entity.pop("score") for entity in of_text] for of_text in entities]
        assert entities == expected_entities
        assert scores == [pytest.approx(of_text, abs=2e-4) for of_text in expected]
    assert service.post("/entities", {"text": texts[0]}) == (200, {"entities": expected_entities[0]})


def test_vectors_have_no_scores(encoder_service):
    status, answer = encoder_service.post("/vectors", {"text": "Ada", "scores": True})
    assert status == 422
    assert answer["error"].startswith("scores:")


def test_offsets_count_characters_of_any_script(service):
    text = "😀 Ünïcode\u2029 \u0000 日本 Karl"
    status, answer = service.post("/entities", {"text": text})
    assert status == 200
    assert all(text[entity["start"] : entity["end"]] == entity["text"] for entity in answer["entities"])


def test_health_and_description(service):
    status, body, _ = service.ask("GET", "/health")
    assert status == 200
    assert json.loads(body) == {"status": "ok", "pipeline": "en_pipeline 0.0.0", "workers": 2}
    description = json.loads(service.ask("GET", "/openapi.json")[1])
    assert sorted(description["paths"]) == ["/entities", "/health", "/live", "/metrics"]
    assert {"200", "400", "413", "422", "503"} <= set(description["paths"]["/entities"]["post"]["responses"])


def test_head_and_trailing_slashes(service):
    """HEAD is GET without a body. Another path is not redirected, to nobody's host."""
    for path in ("/", "/live", "/health", "/metrics", "/openapi.json"):
        status, body, headers = service.ask("HEAD", path)
        assert (status, body) == (200, b"")
        assert headers["content-type"] == service.ask("GET", path)[2]["content-type"]
    status, body, headers = service.ask("POST", "/entities/", b"{}", {"Host": "elsewhere"})
    assert status == 404
    assert "location" not in headers
    assert json.loads(body)["error"].startswith("/entities/: Not Found.")


def test_metrics_count_requests_but_not_unknown_paths(service):
    service.ask("GET", "/made-up")
    text = service.ask("GET", "/metrics")[1].decode("utf8")
    assert 'entity_service_requests_total{path="other",status="404"}' in text
    assert "made-up" not in text
    assert "# TYPE entity_service_request_seconds histogram" in text


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
        (b'{"text": "a", "texts": null}', 422, ["either"]),
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
