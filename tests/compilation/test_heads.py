"""Without gold, what harms any one head is rejected, and what doesn't passes."""

import pytest
import srsly

from scripts.optimize import optimize_cli

from .. import heads
from ..helpers import read_docs, run_command
from .searches import HARMFUL, SAFE, make_quick


@pytest.fixture(scope="module")
def texts(train_corpus, tmp_path_factory):
    """Texts, and nothing but texts: single sentences, in which a few tokens decide the category."""
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    sentences = [sent.text for doc in read_docs(train_corpus)[:60] for sent in doc.sents]
    path.write_text("\n".join(sentences), encoding="utf8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "head, kinds",
    [
        ("ner", {"entities"}),
        ("tagger", {"tags"}),
        ("parser", {"dependencies", "sentences"}),
        ("textcat", {"categories"}),
    ],
)
def test_harmful_candidate_is_rejected_by_agreement_alone(head, kinds, tiny_encoder, texts, tmp_path, monkeypatch):
    heads.make_pipeline(tiny_encoder, tmp_path / "reference", head)
    make_quick(monkeypatch, [HARMFUL, SAFE])
    output = tmp_path / "compiled"
    result = run_command(optimize_cli, tmp_path / "reference", output, "--text", texts)
    assert result.exit_code == 0, result.output
    report = srsly.read_json(tmp_path / "compiled-metrics" / "optimize.json")
    assert report["compared"]["with_gold"] == 0 and report["reference"]["ents_f"] is None
    harmful, safe = report["candidates"][:2]
    assert set(safe["agreement"]) == set(harmful["agreement"]) == kinds
    assert safe["status"] in ("passed", "chosen")
    assert all(found["value"] == 1 and found["items"] > 10 for found in safe["agreement"].values())
    assert harmful["status"] == "rejected"
    assert min(found["value"] for found in harmful["agreement"].values()) < 0.95
    assert "agree in" in harmful["reason"] and "is asked for" in harmful["reason"]
    if head == "textcat":
        assert harmful["agreement"]["categories"]["largest_difference"] > 0.1
        assert safe["agreement"]["categories"]["largest_difference"] < 1e-3
