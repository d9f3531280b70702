"""Agreement of two pipelines, and the gate that goes by it where there is no gold."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from scripts.common.agreement import compare_annotations
from scripts.common.annotations import collect
from scripts.compilation.gate import MIN_AGREEMENT, Gate, gather_evidence

VOCAB = spacy.blank("en").vocab


def make_doc(**annotations):
    words = ["Ada", "met", "Karl", "in", "Oslo", "."]
    return Doc(VOCAB, words=words, **annotations)


def agree(one, other):
    return {kind: found.value for kind, found in compare_annotations([collect(one)], [collect(other)]).items()}


def test_every_kind_of_annotation_is_compared():
    full = {
        "tags": ["NNP", "VBD", "NNP", "IN", "NNP", "."],
        "pos": ["PROPN", "VERB", "PROPN", "ADP", "PROPN", "PUNCT"],
        "morphs": ["Number=Sing", "Tense=Past", "", "", "", ""],
        "lemmas": ["Ada", "meet", "Karl", "in", "Oslo", "."],
        "heads": [1, 1, 1, 1, 3, 1],
        "deps": ["nsubj", "ROOT", "obj", "prep", "pobj", "punct"],
        "ents": ["B-PER", "O", "B-PER", "O", "B-LOC", "O"],
    }
    one, other = make_doc(**full), make_doc(**full)
    for doc in (one, other):
        doc.spans["sc"] = [Span(doc, 0, 3, label="MEETING")]
        doc.cats = {"news": 0.9, "sports": 0.1}
    assert set(agree(one, other)) == set(MIN_AGREEMENT) - {"sentences"}
    assert set(agree(one, other).values()) == {1.0}
    other[1].tag_, other[2].lemma_, other[4].dep_ = "VBN", "Carl", "obl"
    other.spans["sc"] = [Span(other, 0, 2, label="MEETING")]
    other.cats = {"news": 0.4, "sports": 0.1}
    other.ents = [Span(other, 0, 1, label="PER"), Span(other, 4, 5, label="LOC")]
    found = agree(one, other)
    assert found["tags"] == found["lemmas"] == found["dependencies"] == pytest.approx(5 / 6)
    assert found["spans"] == 0 and found["categories"] == 0.5
    assert found["entities"] == pytest.approx(2 * 2 / 5)  # F1: two in common, three and two
    assert found["parts_of_speech"] == found["morphs"] == 1


def test_scores_of_categories_are_compared():
    def make(**cats):
        doc = make_doc()
        doc.cats = cats
        return [collect(doc)]

    (found,) = compare_annotations(make(news=0.7, sports=0.6), make(news=0.45, sports=0.65)).values()
    assert found.value == 0.5 and found.largest_difference == pytest.approx(0.25)
    # They sum up to 1, so the best one is assigned, though none is above a half.
    (found,) = compare_annotations(make(a=0.4, b=0.35, c=0.25), make(a=0.36, b=0.39, c=0.25)).values()
    assert found.value == pytest.approx(1 / 3) and found.largest_difference == pytest.approx(0.04)
    (found,) = compare_annotations(make(a=0.4, b=0.35, c=0.25), make(a=0.38, b=0.37, c=0.25)).values()
    assert found.value == 1 and found.equal_docs == 1


def test_sentences_are_compared_by_their_starts():
    starts = [True, False, False, True, False, False]
    one, other = make_doc(sent_starts=starts), make_doc(sent_starts=[True, *[False] * 5])
    assert agree(one, one) == {"sentences": 1.0}
    assert agree(one, other) == {"sentences": 0.0}


def test_what_only_one_annotates_is_seen():
    assert agree(make_doc(ents=["B-PER", *["O"] * 5]), make_doc()) == {"entities": 0.0}
    assert agree(make_doc(), make_doc(ents=["B-PER", *["O"] * 5])) == {"entities": 0.0}


items = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("AB")), max_size=6)


@given(st.lists(st.tuples(items, items), min_size=1, max_size=6))
def test_agreement_is_f1_and_its_interval_holds_it(pairs):
    one, other = ([{"entities": of_doc} if of_doc else {} for of_doc in side] for side in zip(*pairs))
    for found in compare_annotations(one, other).values():
        common = sum(len(set(a) & set(b)) for a, b in pairs)
        both = sum(len(set(a)) + len(set(b)) for a, b in pairs)
        assert found.value == pytest.approx(2 * common / both)
        assert 0 <= found.interval[0] <= found.interval[1] <= 1
    assert all(found.value == 1 for found in compare_annotations(one, one).values())


@pytest.mark.parametrize("kind", ["tags", "dependencies", "entities", "categories"])
def test_harmful_candidate_is_rejected_without_gold(kind):
    """Whatever the pipeline annotates: 100 items each, of which one or twenty differ."""
    score = (0.9,) if kind == "categories" else ()
    reference = [{kind: [(number, "A", *score)]} for number in range(100)]

    def change(n):
        return [{kind: [(number, "B" if number < n else "A", *score)]} for number in range(100)]

    gate, before = Gate(), gather_evidence([], reference)
    assert gate.judge(before, gather_evidence([], change(1)))["passed"]
    verdict = gate.judge(before, gather_evidence([], change(20)))
    assert not verdict["passed"] and f"{kind} agree in 0.8000" in verdict["reason"]
    assert verdict["agreement"][kind]["value"] == pytest.approx(0.8)
    assert Gate(min_agreement={kind: 0.7}).judge(before, gather_evidence([], change(20)))["passed"]
