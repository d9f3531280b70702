"""The contract: the compiled fp32 pipeline gives the reference's token vectors and entities, however it is called."""

import functools
import itertools
import shutil
from typing import Callable, Dict, List, NamedTuple

import numpy
import pytest
import spacy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Config

from .. import helpers

TOLERANCE = 1e-4  # Float32 sums in another order; the vectors are about 1 in size.

SPAN_GETTERS = {
    "strided 128 by 96": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96},
    "strided 64 by 48": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 64, "stride": 48},
    "strided 20 by 7": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 20, "stride": 7},
    "strided 16 by 16": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 16, "stride": 16},
    "strided 1 by 1": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 1, "stride": 1},
    "doc": {"@span_getters": "spacy-transformers.doc_spans.v1"},
    "sent": {"@span_getters": "spacy-transformers.sent_spans.v1"},
}


class Pair(NamedTuple):
    """A reference pipeline and what was compiled from it."""

    reference: Language
    compiled: Language

    def assert_equal(self, make_docs: Callable[[Language], List[Doc]]) -> List[Doc]:
        """Both give the same vectors and entities.

        make_docs (Callable[[Language], List[Doc]]): Makes Docs that have no annotations yet.
        RETURNS (List[Doc]): What the compiled pipeline made of them.
        """
        expected = helpers.annotate_with_reference(self.reference, make_docs(self.reference))
        docs = list(self.compiled.pipe(make_docs(self.compiled)))
        for doc, expected_doc, vectors in zip(docs, expected, get_reference_vectors(self.reference, expected)):
            assert doc.text == expected_doc.text
            assert [sent.start for sent in doc.sents] == [sent.start for sent in expected_doc.sents]
            assert doc.tensor.shape == vectors.shape
            assert_allclose(doc.tensor, vectors, atol=TOLERANCE, rtol=0)
            assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
        return docs


def get_reference_vectors(nlp: Language, docs: List[Doc]) -> List[numpy.ndarray]:
    """RETURNS (List[numpy.ndarray]): The pooled vectors that the ner component of a reference reads."""
    layer = next(node for node in nlp.get_pipe("ner").model.walk() if node.has_ref("listener"))
    width = nlp.get_pipe("transformer").model.get_dim("nO")
    # It can't pool a batch of empty Docs.
    return [layer.predict([doc])[0] if len(doc) else numpy.zeros((0, width)) for doc in docs]


@pytest.fixture(scope="module")
def pair(reference_path, compiled_path) -> Pair:
    return Pair(spacy.load(reference_path), spacy.load(compiled_path))


@pytest.fixture(scope="module")
def get_pair(reference_path, tmp_path_factory) -> Callable[[str], Pair]:
    """The reference as if it had been trained with other windows, and what is compiled from that."""

    @functools.lru_cache(maxsize=None)
    def get(spans: str) -> Pair:
        workspace = tmp_path_factory.mktemp("windows")
        path = shutil.copytree(reference_path, workspace / "reference")
        config = Config().from_disk(path / "config.cfg", interpolate=False)
        config["components"]["transformer"]["model"]["get_spans"] = SPAN_GETTERS[spans]
        config.to_disk(path / "config.cfg")
        return Pair(spacy.load(path), spacy.load(helpers.compile_reference(path, workspace)))

    return get


@pytest.fixture(scope="module")
def gold(dev_corpus, test_corpus) -> List[Doc]:
    """Docs that the reference was trained on, so that it finds entities in them."""
    return helpers.read_docs(dev_corpus) + helpers.read_docs(test_corpus)


def test_docs_of_the_sample(pair, gold):
    docs = pair.assert_equal(lambda nlp: [helpers.bare(doc, nlp.vocab) for doc in gold])
    assert sum(len(doc.ents) for doc in docs) > 50


def test_raw_text_of_the_sample(pair, gold):
    """Here spaCy's tokenizer makes the tokens, and the sentencizer the sentences."""
    docs = pair.assert_equal(lambda nlp: [nlp.make_doc(doc.text) for doc in gold])
    assert sum(len(doc.ents) for doc in docs) > 50
    assert sum(len(list(doc.sents)) for doc in docs) > 2 * len(docs)


def test_default_reads_a_sentence_at_a_time(pair, get_pair):
    """Nothing of one sentence is in the vectors of another, as it is in strided windows."""
    texts = ["The river floods often. Ada met Karl.", "The river floods often. Snow covers the road."]
    for nlp, is_same in ((pair.compiled, True), (get_pair("strided 128 by 96").compiled, False)):
        one, other = (nlp(text) for text in texts)
        assert [sent.start for sent in one.sents] == [sent.start for sent in other.sents] == [0, 5]
        assert numpy.allclose(one.tensor[:5], other.tensor[:5], atol=TOLERANCE if is_same else 0.01) == is_same


def test_ner_reads_shapes_beside_the_vectors(pair, gold):
    """The listener is one of two layers whose vectors are concatenated."""
    docs = pair.assert_equal(lambda nlp: [nlp.make_doc(doc.text) for doc in gold])
    expected = list(pair.reference.pipe(doc.text for doc in gold))
    found, wanted = (
        numpy.concatenate(nlp.get_pipe("ner").model.get_ref("tok2vec").layers[0].predict(annotated))
        for nlp, annotated in ((pair.compiled, docs), (pair.reference, expected))
    )
    assert_allclose(found, wanted, atol=TOLERANCE, rtol=0)
    width = pair.compiled.get_pipe("transformer").model.get_dim("nO")
    assert_array_equal(found[:, :width], numpy.concatenate([doc.tensor for doc in docs]))
    assert found.shape[1] > width and found[:, width:].any()


@pytest.mark.parametrize("spans", SPAN_GETTERS)
def test_windows_are_those_of_the_reference(get_pair, gold, spans):
    docs = get_pair(spans).assert_equal(lambda nlp: [helpers.bare(doc, nlp.vocab) for doc in gold])
    assert sum(len(doc.ents) for doc in docs) > 10


def test_windows_differ(get_pair, gold):
    """Else the test above would prove nothing."""
    longest = Doc.from_docs(gold[:2])
    assert 64 < len(longest) <= 128
    tensors = {}
    for spans in SPAN_GETTERS:
        nlp = get_pair(spans).compiled
        tensors[spans] = nlp(helpers.bare(longest, nlp.vocab)).tensor
    for one, other in itertools.combinations(SPAN_GETTERS, 2):
        # The first is longer than the Doc.
        expected = {one, other} == {"strided 128 by 96", "doc"}
        assert numpy.allclose(tensors[one], tensors[other], atol=0.01) == expected


@pytest.mark.parametrize("spans", ["strided 64 by 48", "strided 20 by 7"])
def test_long_document(get_pair, train_corpus, spans):
    """Thousands of tokens; in the second case more windows than are worked on at once for memory's sake."""
    words = [token.text for doc in helpers.read_docs(train_corpus) for token in doc][:8000]
    (doc,) = get_pair(spans).assert_equal(lambda nlp: [Doc(nlp.vocab, words=words)])
    assert len(doc.ents) > 100


LONG_TOKEN = "x" * 2000
ODD_TEXTS: Dict[str, str] = {
    "empty": "",
    "one space": " ",
    "only white space": " \n\n\t  \n ",
    "white space inside": "Ada  Byron \n\n met\tKarl   Marx .\n",
    "white space around": "\n Lady Hester Vaughan \n",
    "one character": "a",
    "emoji": "Ada 😀😀 met 👩‍👩‍👧 in 🇳🇴 Bergen ✈️ .",
    "combining characters": "Jose\u0301 and Zoe\u0308 left Bogota\u0301 , e\u0301\u0327\u0323 .",
    "characters that normalization changes": "ﬁnance in İstanbul , ½ of ① and Ⅷ , ﷺ .",
    "characters without a wordpiece": "\u200b\u200d soft\u00adhyphen \ufeff zero\u200bwidth \u0000 null",
    "long token": f"Ada met {LONG_TOKEN} in Bergen .",
    "only a long token": LONG_TOKEN,
    "special tokens": "Ada [SEP] met [CLS] Karl [PAD] in [MASK] Bergen [UNK] .[SEP]",
    "only special tokens": "[CLS] [SEP] [PAD]",
    "Chinese and Japanese": "東京都 is in 日本 , 中国的首都是北京。カタカナ",
    "Arabic and Hindi": "مدينة القاهرة and नई दिल्ली .",
    "contractions": "I cannot say, we're gonna leave, don't wanna, y'all'd've, gimme, lemme.",
    "punctuation": "... !!! ?-?-? (((a))) \"b\" 'c' -- — … 3.14 1,000,000 a/b/c e.g. U.K.",
    "web": "See https://example.org/a?b=c&d=e#f or write to a.b+c@example.org :-) <3",
}


@pytest.mark.parametrize("name", ODD_TEXTS)
def test_odd_text(pair, name):
    pair.assert_equal(lambda nlp: [nlp.make_doc(ODD_TEXTS[name])])


def test_odd_texts_in_one_batch(pair, gold):
    """Empty Docs between others must not shift anything."""
    texts = [text for doc, odd in zip(gold, ODD_TEXTS.values()) for text in (odd, doc.text)]
    pair.assert_equal(lambda nlp: [nlp.make_doc(text) for text in [*texts, "", ""]])


def test_only_empty_docs(pair):
    pair.assert_equal(lambda nlp: [nlp.make_doc("") for _ in range(3)])


@settings(max_examples=25)
@given(texts=st.lists(st.text(st.characters(codec="utf8"), max_size=40), min_size=1, max_size=5))
def test_any_text(pair, texts):
    pair.assert_equal(lambda nlp: [nlp.make_doc(text) for text in texts])


def test_wordpiece_over_several_tokens(pair):
    """Tokens that were cut inside of a wordpiece share its vector."""
    words, spaces = ["th", "e", "river", "a", "n", "d"], [False, True, True, False, False, False]
    (doc,) = pair.assert_equal(lambda nlp: [Doc(nlp.vocab, words=words, spaces=spaces)])
    assert_allclose(doc.tensor[0], doc.tensor[1])
    assert_allclose(doc.tensor[3], doc.tensor[4])
    assert not numpy.allclose(doc.tensor[0], doc.tensor[3])


def test_white_space_has_no_vector(pair):
    doc = pair.compiled("Ada  met \n\n Karl")
    assert [bool(vector.any()) for vector in doc.tensor] == [not token.is_space for token in doc]


# However it is called


@pytest.fixture(scope="module")
def texts(gold) -> List[str]:
    """Documents from one token to several windows long."""
    return [doc.text for doc in gold] + list(ODD_TEXTS.values()) + [" ".join(doc.text for doc in gold[:6])]


@pytest.fixture(scope="module")
def alone(compiled_path, texts) -> List[Doc]:
    nlp = spacy.load(compiled_path)
    return [nlp(text) for text in texts]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(data=st.data(), batch_size=st.integers(1, 60), batch_wordpieces=st.integers(1, 6000))
def test_batches_and_order_change_nothing(pair, texts, alone, data, batch_size, batch_wordpieces):
    order = data.draw(st.permutations(range(len(texts))))
    attrs = pair.compiled.get_pipe("transformer").model.attrs
    default = attrs["batch_wordpieces"]
    attrs["batch_wordpieces"] = batch_wordpieces
    try:
        docs = list(pair.compiled.pipe([texts[index] for index in order], batch_size=batch_size))
    finally:
        attrs["batch_wordpieces"] = default
    for doc, index in zip(docs, order):
        assert helpers.get_entities(doc) == helpers.get_entities(alone[index])
        assert_allclose(doc.tensor, alone[index].tensor, atol=TOLERANCE)


@pytest.mark.parametrize("batch_wordpieces", [1, 64, 100_000])
def test_budget_changes_nothing(compiled_path, texts, alone, batch_wordpieces):
    """Set at load; 1 runs every window by itself, 100,000 all of them at once."""
    nlp = spacy.load(compiled_path, config={"components.transformer.batch_wordpieces": batch_wordpieces})
    for doc, expected in zip(nlp.pipe(texts), alone):
        assert helpers.get_entities(doc) == helpers.get_entities(expected)


# Windows with more wordpieces than the encoder has positions


@pytest.mark.parametrize("spans", ["doc", "sent", "strided"])
def test_nothing_is_truncated(compiled_path, spans):
    """Many wordpieces a token; the reference gives zeros where it truncates."""
    config = {"components.transformer.spans": spans, "components.transformer.window": 4000}
    nlp = spacy.load(compiled_path, config={**config, "components.transformer.stride": 4000})
    words = [f"word{number}xyz" for number in range(1500)]
    doc = nlp(Doc(nlp.vocab, words=words, sent_starts=[number % 700 == 0 for number in range(1500)]))
    assert numpy.isfinite(doc.tensor).all()
    assert doc.tensor.any(axis=1).all()


def test_reference_truncates(get_pair):
    """What the test above is good for."""
    reference, compiled = get_pair("doc")
    words = ["the"] * 1000
    expected = reference(Doc(reference.vocab, words=words))
    assert not get_reference_vectors(reference, [expected])[0][helpers.MAX_LENGTH :].any()
    assert compiled(Doc(compiled.vocab, words=words)).tensor.any(axis=1).all()


def test_longest_window_without_a_split(get_pair):
    """As many wordpieces as the encoder has positions."""
    get_pair("doc").assert_equal(lambda nlp: [Doc(nlp.vocab, words=["the"] * (helpers.MAX_LENGTH - 2))])
