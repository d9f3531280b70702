"""A pipeline that does not say how sure it is, without a service around it."""

import asyncio
import json
import shutil

import pytest

pytest.importorskip("ray")

from spacy.util import load_config

from scripts.service.api import make_app
from scripts.service.memory import Memory
from scripts.service.metrics import Metrics
from scripts.service.page import render
from scripts.service.served_pipeline import find_served_pipeline
from scripts.service.settings import ServiceSettings


class IdleFront:
    """A front that no request gets to."""

    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.settings = ServiceSettings()
        self.memory = Memory(self.settings.limits.memory)
        self.metrics = Metrics(lambda: 0, lambda: 0)

    def refuse_if_full(self):
        pass


async def post(app, path, value):
    """RETURNS (Tuple[int, Any]): Status and answer of an ASGI app."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": json.dumps(value).encode("utf8")}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))


def use_upper(config):
    config["components"]["ner"]["model"]["use_upper"] = True


def merge_entities(config):
    config["nlp"]["pipeline"].append("merge_entities")
    config["components"]["merge_entities"] = {"factory": "merge_entities"}


@pytest.mark.parametrize("change", [use_upper, merge_entities])
def test_scores_of_a_pipeline_that_has_none(change, compiled_path, tmp_path):
    folder = shutil.copytree(compiled_path, tmp_path / "compiled")
    assert find_served_pipeline(str(folder)).scores_entities
    config = load_config(folder / "config.cfg")
    change(config)
    config.to_disk(folder / "config.cfg")
    app = make_app(IdleFront(find_served_pipeline(str(folder))))
    status, answer = asyncio.run(post(app, "/entities", {"text": "Ada", "scores": True}))
    assert status == 422
    assert answer["error"].startswith("scores: this pipeline does not say how sure it is")


def test_page_shows_scores_after_labels():
    entities = [{"start": 0, "end": 3, "label": "PER", "score": 0.914}, {"start": 8, "end": 12, "label": "LOC"}]
    page = render("Ada saw Oslo", entities)
    assert "PER 0.91<" in page and "LOC<" in page
    without = render("Ada saw Oslo", [{**entity, "score": None} for entity in entities])
    assert page.replace("PER 0.91", "PER") == without  # Colours stay too.
