"""The page with the sample, in a browser: whatever an id, a text or a label holds is shown and not run."""

import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import spacy
from spacy.tokens import Doc, Span

from scripts.annotation.statistics import Statistics, render

HOSTILE = [
    "<script>document.title = 'ran'</script>",
    "<img src=x onerror=\"document.title = 'ran'\">",
    "</h2></mark></title><svg onload=\"document.title = 'ran'\">",
    "\"' & {label} {title} &lt;b&gt;",
]
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
OPTIONS += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]


def open_in_browser(page, folder):
    """Open a page in Chromium. RETURNS (str): What has become of it after its scripts have run."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    path = folder / "page.html"
    path.write_text(page, encoding="utf8")
    command = [program, "--headless", *OPTIONS, f"--user-data-dir={folder / 'browser'}", "--virtual-time-budget=5000"]
    result = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=300, check=True
    )
    return result.stdout


class Reader(HTMLParser):
    """Read which elements a page has, and the text in those that name something."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.texts = set(), [], {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in ("h2", "mark", "span"):
            self.texts.setdefault(tag, []).append("")
        self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open and self.open[-1] in self.texts:
            self.texts[self.open[-1]][-1] += data


def make_statistics():
    """Count documents whose ids, texts and labels are all hostile."""
    statistics = Statistics(detailed=True)
    vocab = spacy.blank("en").vocab
    for hostile in HOSTILE:
        doc = Doc(vocab, words=[hostile, "lives", hostile])
        doc.ents = [Span(doc, 0, 1, hostile)]
        statistics.add(hostile, doc)
    return statistics


def test_names_are_shown_and_not_run(tmp_path):
    page = open_in_browser(render(Statistics.from_json(make_statistics().to_json())), tmp_path)
    found = Reader(page)
    assert [text.strip() for text in found.texts["h2"]] == HOSTILE
    assert [text.strip() for text in found.texts["mark"]] == HOSTILE
    assert [text.strip() for text in found.texts["span"]] == HOSTILE
    assert found.tags <= {"html", "head", "meta", "title", "body", "figure", "h2", "div", "mark", "span", "br"}
    assert "<title>displaCy</title>" in page


@pytest.mark.parametrize("hostile", HOSTILE[:3])
def test_the_browser_would_run_them(hostile, tmp_path):
    """So that the test above proves something."""
    page = f"<!DOCTYPE html><html><head><title>displaCy</title></head><body><h2>{hostile}</h2></body></html>"
    assert "<title>ran</title>" in open_in_browser(page, tmp_path)
