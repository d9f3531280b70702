"""Are the pipelines that the other tests rest on what they say they are?"""

import numpy
import spacy

from scripts import compiled_transformer  # noqa: F401
from scripts.common.corpora import read_corpus

from . import helpers


def predict(path, corpus):
    nlp = spacy.load(path)
    return list(nlp.pipe(helpers.bare(doc, nlp.vocab) for doc in read_corpus(corpus)))


def test_reference_finds_most_entities(reference_path, dev_corpus, test_corpus):
    for corpus in (dev_corpus, test_corpus):
        gold = [set(helpers.get_entities(doc)) for doc in read_corpus(corpus)]
        found = [set(helpers.get_entities(doc)) for doc in predict(reference_path, corpus)]
        n_right = sum(len(a & b) for a, b in zip(gold, found))
        assert n_right > 0.7 * sum(map(len, gold))
        assert n_right > 0.7 * sum(map(len, found))


def test_encoder_truncates_no_doc_of_the_corpora(tiny_encoder, corpus_dir):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    lengths = [
        len(tokenizer(doc.text).input_ids)
        for split in ("train", "dev", "test")
        for doc in helpers.read_docs(corpus_dir / f"{split}.spacy")
    ]
    assert max(lengths) < tokenizer.model_max_length


def test_encoder_is_the_same_each_time(sample_path, tiny_encoder, tmp_path):
    helpers.make_encoder(sample_path, tmp_path)
    for path in tiny_encoder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_multi_head_learned_its_examples(multi_head_path):
    nlp = spacy.load(multi_head_path)
    assert nlp.pipe_names == ["sentencizer", "transformer", "tagger", "textcat", "ner"]
    for text, entities, tags, category in helpers.MULTI_HEAD_EXAMPLES:
        doc = nlp(text)
        assert helpers.get_entities(doc) == entities
        assert [token.tag_ for token in doc] == tags.split()
        assert max(doc.cats, key=doc.cats.get) == category


def test_compiled_finds_the_same_entities(reference_path, compiled_path, dev_corpus):
    expected = predict(reference_path, dev_corpus)
    docs = predict(compiled_path, dev_corpus)
    assert [helpers.get_entities(doc) for doc in docs] == [helpers.get_entities(doc) for doc in expected]
    assert all(numpy.abs(doc.tensor).max() > 0 for doc in docs)
