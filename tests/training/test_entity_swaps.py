"""Entities with the words of others: what is annotated stays right, whatever is swapped."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import Corpus, Example

from scripts.training.entity_swaps import make_entity_swaps

from ..helpers import get_entities, read_docs

NLP = spacy.blank("en")


def make_example(doc, gold_tokens=True):
    words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
    return Example(Doc(doc.vocab, words=words, spaces=spaces) if gold_tokens else NLP.make_doc(doc.text), doc)


def list_mentions(docs):
    return {(entity.label_, entity.text) for doc in docs for entity in doc.ents}


def test_texts_keep_what_is_around_their_entities(train_corpus):
    docs = read_docs(train_corpus, NLP.vocab)
    augment = make_entity_swaps(1.0)
    for _ in range(2):
        found = [next(augment(NLP, make_example(doc))).reference for doc in docs]
    mentions = list_mentions(docs)
    n_changed = 0
    for before, after in zip(docs, found):
        assert [entity.label_ for entity in after.ents] == [entity.label_ for entity in before.ents]
        assert list_mentions([after]) <= mentions
        assert remove_entities(after) == remove_entities(before)
        n_changed += after.text != before.text
    assert n_changed > len([doc for doc in docs if doc.ents]) / 2


def remove_entities(doc):
    """RETURNS (List): The other tokens, with the space after each, and how many sentences there are."""
    outside = [(token.text, token.whitespace_) for token in doc if not token.ent_type_]
    return outside, len(list(doc.sents))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Ada", "New York", "IBM", "the", "x"]), st.sampled_from(["PER", "LOC", ""]), st.booleans()
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 99),
)
def test_any_texts(parts, seed):
    """Entities side by side, at the start and at the end, of one word and of two, with and without spaces after them."""
    words, spaces, tags = [], [], []
    for text, label, space in parts:
        inside = text.split()
        words += inside
        spaces += [True] * (len(inside) - 1) + [space]
        tags += [f"B-{label}", *[f"I-{label}"] * (len(inside) - 1)] if label else ["O"] * len(inside)
    doc = Doc(NLP.vocab, words=words, spaces=spaces, ents=tags)
    augment = make_entity_swaps(1.0, seed)
    (example,) = augment(NLP, make_example(doc))
    assert [token.text for token in example.predicted] == [token.text for token in example.reference]
    assert not example.predicted.ents
    assert [entity.label_ for entity in example.reference.ents] == [entity.label_ for entity in doc.ents]
    assert list_mentions([example.reference]) <= list_mentions([doc])
    # Only the last word of an entity may have another space after it than it had.
    assert [bool(entity[-1].whitespace_) for entity in example.reference.ents] == [
        bool(entity[-1].whitespace_) for entity in doc.ents
    ]


def test_share_of_the_texts(train_corpus):
    examples = [make_example(doc) for doc in read_docs(train_corpus, NLP.vocab) if doc.ents]
    for level in (0.0, 0.5):
        augment = make_entity_swaps(level)
        same = sum(next(augment(NLP, example)) is example for example in examples)
        assert same / len(examples) == pytest.approx(1 - level, abs=0.15)


def test_incomplete_annotation_is_left_alone():
    doc = Doc(NLP.vocab, words=["Ada", "met", "Karl"], ents=["B-PER", "O", None])
    augment = make_entity_swaps(1.0)
    example = make_example(doc)
    assert list(augment(NLP, example)) == [example]


def test_raw_text_is_tokenized_again():
    doc = Doc(NLP.vocab, words=["Ada's", "brother", "Karl"], spaces=[True, True, False], ents=["O", "O", "B-PER"])
    (example,) = make_entity_swaps(1.0)(NLP, make_example(doc, gold_tokens=False))
    assert [token.text for token in example.predicted] == ["Ada", "'s", "brother", "Karl"]
    assert get_entities(example.reference) == [(2, 3, "PER")]


def test_in_a_config(train_corpus):
    block = {
        "@readers": "spacy.Corpus.v1",
        "path": str(train_corpus),
        "gold_preproc": True,
        "augmenter": {"@augmenters": "compiled-transformers.SwapEntities.v1", "level": 0.4},
    }
    (corpus,) = spacy.registry.resolve({"corpus": block}).values()
    assert isinstance(corpus, Corpus)
    first, second = ([example.reference.text for example in corpus(NLP)] for _ in range(2))
    assert len(first) == len(second) and first != second  # Each epoch has others.


def test_level_is_a_share():
    with pytest.raises(ValueError, match="level of entity swaps is 40"):
        make_entity_swaps(40)
