"""Two pipelines are timed in turn."""

from scripts.benchmarking.process import PipelineProcess
from scripts.benchmarking.timing import compare_latency

from ..helpers import read_docs


def test_every_text_is_timed_in_every_round(reference_path, compiled_path, dev_corpus):
    texts = [doc.text for doc in read_docs(dev_corpus)[:3]]
    with PipelineProcess(reference_path) as reference, PipelineProcess(compiled_path) as compiled:
        for milliseconds in compare_latency(reference, compiled, texts, 2):
            assert milliseconds.shape == (2, 3)
            assert milliseconds.min() > 0
