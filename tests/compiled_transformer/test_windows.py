"""Docs are cut into windows as spacy-transformers' own code does it."""

import numpy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy_transformers.span_getters import get_doc_spans, get_sent_spans, get_strided_spans

from scripts.compiled_transformer.windows import get_strided_windows, get_windows

from .strategies import MANY, VOCAB, documents, windows_of_tokens


@MANY
@given(st.integers(0, 300), windows_of_tokens())
def test_strided_windows_are_those_of_spacy_transformers(n_tokens, cuts):
    doc = Doc(VOCAB, words=["a"] * n_tokens)
    expected = [(span.start, span.end) for span in get_strided_spans([doc], *cuts)[0]]
    assert list(get_strided_windows(n_tokens, *cuts)) == expected


@given(st.lists(documents(), max_size=4), windows_of_tokens())
def test_windows_are_numbered_through_the_batch(docs, cuts):
    offsets_ = numpy.cumsum([0] + [len(doc) for doc in docs])
    getters = {
        "strided": lambda docs: get_strided_spans(docs, *cuts),
        # The reference makes an empty window of an empty Doc.
        "doc": lambda docs: [[span for span in spans if len(span)] for spans in get_doc_spans(docs)],
    }
    for name, get_spans in getters.items():
        expected = [
            (span.start + offset, span.end + offset)
            for spans, offset in zip(get_spans(docs), offsets_.tolist())
            for span in spans
        ]
        assert get_windows(docs, name, *cuts) == expected


@given(st.lists(st.lists(st.integers(1, 9), max_size=5), max_size=4))
def test_sentence_windows_are_those_of_spacy_transformers(lengths_of_docs):
    docs = []
    for lengths in lengths_of_docs:
        starts = [number == 0 for length in lengths for number in range(length)]
        docs.append(Doc(VOCAB, words=["a"] * len(starts), sent_starts=starts))
    offset, expected = 0, []
    for doc, spans in zip(docs, get_sent_spans(docs)):
        expected.extend((span.start + offset, span.end + offset) for span in spans)
        offset += len(doc)
    assert get_windows(docs, "sent", 1, 1) == expected
    assert len(expected) == sum(map(len, lengths_of_docs))
