"""Quantization that watches the entities."""

import numpy
import pytest
import spacy

from scripts import compiled_transformer  # noqa: F401
from scripts.common.corpora import read_corpus
from scripts.compilation.gate import score_entities
from scripts.compilation.validation import PipelineScorer

from ..helpers import bare


@pytest.mark.parametrize("threads", [1, 2])
def test_engines_are_scored_by_the_pipelines_entities(compiled_path, dev_corpus, threads):
    gold = read_corpus(dev_corpus)
    nlp = spacy.load(compiled_path, config={"components.transformer.threads": threads})
    found = [
        [(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in nlp.pipe(bare(doc, nlp.vocab) for doc in gold)
    ]
    expected = [tuple(counts) for counts in score_entities(gold, found).counts.tolist()]
    engine = nlp.get_pipe("transformer").encoder.get_engine("cpu", threads, 1)
    scorer = PipelineScorer(
        spacy.load(compiled_path, config={"components.transformer.threads": threads}), "transformer", gold
    )
    indices = list(range(len(gold)))
    assert scorer(engine, indices) == expected
    assert scorer(engine, indices[3:4]) == expected[3:4]
    found_none = scorer(lambda inputs: numpy.zeros_like(engine(inputs)), indices)
    assert sum(true_positives for true_positives, _, _ in found_none) < sum(counts[0] for counts in expected)
