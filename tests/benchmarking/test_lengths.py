"""Cost against the length of a document."""

from spacy.tokens import Doc
from spacy.vocab import Vocab

from scripts import compiled_transformer  # noqa: F401
from scripts.benchmarking.lengths import REFERENCE_LONGEST, compare_length, list_lengths, make_documents
from scripts.benchmarking.process import PipelineProcess

from ..helpers import read_docs


def test_lengths():
    assert list_lengths(100) == [100]
    assert list_lengths(99_999) == [100, 1000, 10_000]
    assert list_lengths(1_000_000)[-1] == 1_000_000


def test_documents_of_a_length(dev_corpus):
    docs = read_docs(dev_corpus)
    longest = max(len(sent) for doc in docs for sent in doc.sents)
    for length, n in ((100, 30), (1000, 3), (5000, 1)):
        documents = make_documents(docs, length)
        assert len(documents) == n
        words = [len(Doc(Vocab(), words=text.split())) for text in documents]
        assert max(words) < length + longest
    assert make_documents(docs, 100)[0].startswith(next(docs[0].sents).text)


def test_document_that_is_too_long_for_the_reference(reference_path, compiled_path, dev_corpus):
    with PipelineProcess(reference_path) as reference, PipelineProcess(compiled_path) as compiled:
        before, after = compare_length(reference, compiled, read_docs(dev_corpus), REFERENCE_LONGEST + 1, rounds=3)
    assert before == {}
    assert after["words"] > REFERENCE_LONGEST
    assert after["peak_memory_mb"] > 50
    assert after["kib_per_word"] > 0
