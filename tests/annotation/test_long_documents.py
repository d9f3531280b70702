"""Documents that are annotated piece by piece have the entities of the whole."""

import numpy
import pytest
import spacy
from spacy.tokens import Doc
from thinc.api import chain, expand_window, list2ragged, reduce_mean

pytest.importorskip("ray")


from scripts.annotation.long_documents import CuttingError, annotate_long, find_seam, get_context, get_cutting
from scripts.compiled_transformer.confidence import list_scores

from .. import helpers
from .runs import get_rows, make_worker, run_worker, write_input


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


def test_scores_of_long_documents_are_those_at_once(scoring_nlp, texts, monkeypatch):
    monkeypatch.setattr("scripts.compiled_transformer.model.WINDOWS_AT_ONCE", 2)
    at_once = scoring_nlp(long_doc(scoring_nlp, texts, 3000))
    in_pieces = annotate_long(scoring_nlp, long_doc(scoring_nlp, texts, 3000), get_cutting(scoring_nlp))
    scored, expected = (list(list_scores(doc)) for doc in (in_pieces, at_once))
    assert [row[:3] for row in scored] == [row[:3] for row in expected]
    assert len(expected) == len(at_once.ents) > 10
    numpy.testing.assert_allclose([row[3] for row in scored], [row[3] for row in expected], atol=1e-5)


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
