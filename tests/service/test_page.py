"""The page, as it is sent and as a browser shows it."""

import html
import json
import os
import re
from pathlib import Path

import pytest

from .browser import Browser

pytest.importorskip("ray")

pytestmark = pytest.mark.slow
# Requests wait until the test lets them start.
COUNT_REQUESTS = """
var asked = [];
const send = window.fetch;
window.fetch = (...request) => new Promise((resolve) => asked.push(() => resolve(send(...request))));
"""
CTRL_ENTER = "get('text').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', ctrlKey: true, bubbles: true}));"


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
        browser.run("get('scores').click()")
        browser.run("get('send').click()")
        browser.wait_for("!get('send').disabled")
        scored = browser.run("[...document.querySelectorAll('mark span')].map((span) => span.textContent.trim())")
        assert [text.rpartition(" ")[0] for text in scored] == labels
        assert all(0 < float(text.rpartition(" ")[2]) <= 1 for text in scored)
        browser.run("get('text').value = 'a'.repeat(20001)")
        browser.run("get('send').click()")
        browser.wait_for("!get('error').hidden")
        assert "20001 characters" in browser.run("get('error').textContent")
        assert browser.run("document.querySelectorAll('mark').length") == 0


def test_page_says_what_happens(service, tmp_path):
    """While a request runs, and when nothing is found. Ctrl+Enter sends once, however often it is pressed."""
    with Browser(tmp_path) as browser:
        browser.open(service.url)
        browser.run(COUNT_REQUESTS)
        browser.run("get('text').value = 'a b c'")
        browser.run("for (let n = 0; n < 5; n++) " + CTRL_ENTER)
        assert browser.run("get('status').textContent") == "Looking for entities …"
        assert browser.run("get('send').disabled")
        assert browser.run("asked.length") == 1
        browser.run("asked.forEach((start) => start())")
        browser.wait_for("!get('send').disabled")
        assert browser.run("get('status').textContent") == "There are no entities in this text."
        assert browser.run("get('result').textContent.includes('a b c')")


def test_page_has_landmarks(service, tmp_path):
    with Browser(tmp_path) as browser:
        browser.open(service.url)
        tree = browser.call("Accessibility.getFullAXTree")["nodes"]
        roles = {node["role"]["value"] for node in tree}
        assert {"banner", "main", "search", "region", "status"} <= roles, roles
