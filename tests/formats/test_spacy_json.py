"""spaCy v2's own JSON."""

import json

import pytest

from scripts.common.console import UserError

from .made_samples import make_spacy_json_document
from .samples import as_doc, read, write


def test_paragraphs_are_documents_with_their_sentences(tmp_path):
    one = make_spacy_json_document(["Ada", "sang", "."], ["U-PER", "O", "O"])
    paragraph = one["paragraphs"][0]
    paragraph["sentences"] *= 2
    paragraph["raw"] = "Ada sang. Ada sang."
    one["paragraphs"] *= 2
    sentences = read(write(tmp_path, "train.json", json.dumps([one]).encode()), "spacy-json")
    assert [sentence.document for sentence in sentences] == [1, 1, 2, 2]
    assert [as_doc(sentence).text.strip() for sentence in sentences] == ["Ada sang."] * 4


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda tokens: tokens[0].pop("orth"), "line 1: spaCy can't convert this document"),
        (lambda tokens: tokens[0].update(ner="L-PER"), "line 1: "),
        (lambda tokens: [token.pop("ner") for token in tokens], "line 1: it has no entity annotation"),
    ],
    ids=["no word", "end without a start", "no entities"],
)
def test_broken_documents_are_refused(tmp_path, change, expected):
    document = make_spacy_json_document(["Ada", "sang"], ["U-PER", "O"])
    change(document["paragraphs"][0]["sentences"][0]["tokens"])
    with pytest.raises(UserError, match=expected):
        read(write(tmp_path, "train.json", json.dumps([document]).encode()), "spacy-json")
