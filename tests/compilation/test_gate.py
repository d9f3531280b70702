"""`scripts.compilation.gate`: the scores are spaCy's, and what is lost is seen."""

from types import MappingProxyType

import numpy
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from scripts.common.corpora import read_corpus
from scripts.compilation.gate import Evidence, Gate, get_drop_interval, score_entities

from ..helpers import bare, get_entities

GATE = Gate(max_f1_drop=0.003, max_label_drop=0.02)
VOCAB = Vocab()
N_WORDS = 8
TAGS = ["B-PER", "I-PER", "B-LOC", "O", "O", "B-ORG", "", ""]  # "" has no annotation.


def make_docs(n, ents=("B-PER", "I-PER", "O", "O", "B-LOC", "O", "B-MISC", "O")):
    """RETURNS (List[Doc]): Docs with a person, a location and a MISC each."""
    return [Doc(VOCAB, words=["word"] * N_WORDS, ents=list(ents)) for _ in range(n)]


def judge(reference, candidate, gate=GATE):
    """Judge by F1 alone: without annotations there is nothing to agree on."""
    return gate.judge(Evidence(reference, []), Evidence(candidate, []))


def score(gold, *, lose=MappingProxyType({})):
    """Score a pipeline that is right but for what it does not find: by label, in how many Docs.

    RETURNS (EntityScores): Its scores.
    """
    predicted = [
        [entity for entity in get_entities(doc) if number >= lose.get(entity[2], 0)] for number, doc in enumerate(gold)
    ]
    return score_entities(gold, predicted)


# Scores


def test_scores_are_those_of_spacy(reference_path, corpus_dir):
    nlp = spacy.load(reference_path)
    gold = read_corpus(corpus_dir / "dev.spacy")
    expected = nlp.evaluate([Example(bare(doc, nlp.vocab), doc) for doc in gold])
    predicted = nlp.pipe(bare(doc, nlp.vocab) for doc in gold)
    scores = score_entities(gold, [get_entities(doc) for doc in predicted])
    assert 0.1 < expected["ents_f"] < 0.95  # The corpus has Docs the pipeline was not trained on.
    assert scores.ents_f == pytest.approx(expected["ents_f"])
    by_label = {label: numbers["f"] for label, numbers in expected["ents_per_type"].items()}
    assert len(by_label) == 4
    assert scores.by_label == pytest.approx(by_label)


@st.composite
def gold_and_predicted(draw):
    """Two Docs of the same length; gold may lack the annotation of some tokens, or of all."""

    def make_doc(tags):
        # "I-" where no such entity is open, as chance has it, begins one.
        fixed = [
            f"B{tag[1:]}" if tag[:1] == "I" and (i == 0 or tags[i - 1][2:] != tag[2:]) else tag
            for i, tag in enumerate(tags)
        ]
        return Doc(VOCAB, words=["word"] * N_WORDS, ents=fixed)

    gold = draw(st.lists(st.sampled_from(TAGS), min_size=N_WORDS, max_size=N_WORDS))
    predicted = draw(st.lists(st.sampled_from(TAGS[:-2]), min_size=N_WORDS, max_size=N_WORDS))
    return make_doc(gold), make_doc(predicted)


@given(st.lists(gold_and_predicted(), min_size=1, max_size=4))
def test_scores_are_those_of_spacy_where_annotation_is_missing(pairs):
    gold, predicted = zip(*pairs)
    scores = score_entities(gold, [get_entities(doc) for doc in predicted])
    expected = get_ner_prf([Example(found, true) for true, found in pairs])
    assert scores.ents_f == pytest.approx(expected["ents_f"] or 0.0)
    for label, numbers in (expected["ents_per_type"] or {}).items():
        assert scores.by_label.get(label, 0.0) == pytest.approx(numbers["f"])
    true, false, missed = scores.counts.sum(axis=0)
    assert 2 * true / max(1, 2 * true + false + missed) == pytest.approx(scores.ents_f)


def test_every_doc_needs_a_prediction():
    with pytest.raises(ValueError):
        score_entities(make_docs(3), [[], []])


# Verdict


def test_the_same_entities_pass():
    gold = make_docs(20)
    verdict = judge(score(gold, lose={"PER": 5}), score(gold, lose={"PER": 5}))
    assert verdict["passed"]
    assert verdict["reason"] == "F1 is the same"
    assert verdict["drop"] == 0
    assert verdict["label_drops"] == {"LOC": 0, "MISC": 0, "PER": 0}
    assert verdict["drop_interval"] == [0, 0]


def test_a_small_drop_passes_and_is_named():
    gold = make_docs(400)
    verdict = judge(score(gold), score(gold, lose={"PER": 2}))
    assert verdict["passed"]
    assert verdict["drop"] == pytest.approx(1 - 2 * 1198 / (2 * 1198 + 2))
    assert verdict["reason"] == "F1 falls by 0.0008"


def test_a_gain_passes_and_is_named():
    gold = make_docs(20)
    verdict = judge(score(gold, lose={"PER": 5}), score(gold))
    assert verdict["passed"]
    assert verdict["drop"] < 0
    assert "F1 rises by 0.0435" in verdict["reason"]


def test_a_drop_over_all_labels_is_rejected():
    gold = make_docs(400)
    candidate = score(gold, lose={"PER": 3, "LOC": 3, "MISC": 3})
    verdict = judge(score(gold), candidate)
    assert max(verdict["label_drops"].values()) < GATE.max_label_drop
    assert not verdict["passed"]
    assert verdict["ents_f"] == candidate.ents_f
    assert verdict["reason"] == "loses entities: F1 falls by 0.0038 to 0.9962, allowed is 0.003"


def make_docs_with_few_miscs():
    """The first Doc with a MISC is number 400."""
    return make_docs(400, ents=("B-PER", "O", "B-PER", "O", "B-PER", "O", "B-PER", "O")) + make_docs(20)


def test_a_drop_of_one_label_is_rejected_by_name():
    gold = make_docs_with_few_miscs()
    lost = score(gold, lose={"MISC": 404})
    verdict = judge(score(gold), lost)
    assert verdict["drop"] < GATE.max_f1_drop
    assert not verdict["passed"]
    assert verdict["reason"] == "loses MISC: its F1 falls by 0.1111, allowed is 0.02"
    low, high = verdict["label_drop_intervals"]["MISC"]
    assert 0 < low < 0.1111 < high
    assert verdict["label_drop_intervals"]["PER"] == [0, 0]
    assert judge(score(gold), lost, Gate(GATE.max_f1_drop, max_label_drop=0.12))["passed"]


def test_a_drop_of_one_label_that_chance_gives_passes():
    """One entity of twenty: it says nothing about the next twenty."""
    gold = make_docs_with_few_miscs()
    verdict = judge(score(gold), score(gold, lose={"MISC": 401}))
    assert verdict["label_drops"]["MISC"] > GATE.max_label_drop
    assert verdict["label_drop_intervals"]["MISC"][0] == 0
    assert verdict["passed"]


def test_a_label_that_vanishes_hides_the_smaller_drop_of_no_other():
    """The largest drop may be chance, and a smaller one not."""
    gold = make_docs_with_few_miscs() + make_docs(1, ents=("B-RARE", *["O"] * (N_WORDS - 1)))
    verdict = judge(score(gold), score(gold, lose={"MISC": 404, "RARE": 421}))
    assert verdict["label_drops"]["RARE"] == 1
    assert verdict["reason"].startswith("loses MISC")


def test_what_is_allowed_passes():
    gold = make_docs(100, ents=("B-PER", "O", "O", "O", "O", "O", "O", "O"))
    reference, candidate = score(gold), score(gold, lose={"PER": 50})
    drop = 1 - 2 * 50 / 150
    assert judge(reference, candidate, Gate(max_f1_drop=drop, max_label_drop=drop))["passed"]
    assert not judge(reference, candidate, Gate(max_f1_drop=drop - 1e-6, max_label_drop=drop))["passed"]
    assert not judge(reference, candidate, Gate(max_f1_drop=drop, max_label_drop=drop - 1e-6))["passed"]


@given(
    true=st.integers(1, 60),
    errors=st.integers(0, 40),
    missed_before=st.integers(0, 40),
    missed_after=st.integers(0, 40),
)
def test_equal_f1_passes_a_gate_that_allows_nothing(true, errors, missed_before, missed_after):
    """Errors of another kind, the same number of them: F1 is the same, and rounding must not make it a drop."""

    def make_scores(missed):
        gold = make_docs(true + missed, ents=("B-PER", "O", "O", "O", "O", "O", "O", "O"))
        gold += make_docs(errors - missed, ents=["O"] * N_WORDS)
        found = [[(0, 1, "PER")]] * true + [[]] * missed + [[(0, 1, "PER")]] * (errors - missed)
        return score_entities(gold, found)

    before, after = make_scores(min(missed_before, errors)), make_scores(min(missed_after, errors))
    verdict = judge(before, after, Gate(max_f1_drop=0, max_label_drop=0))
    assert verdict["passed"], verdict["reason"]


def test_pipelines_that_find_nothing():
    gold = make_docs(5)
    nothing = score_entities(gold, [[]] * 5)
    assert nothing.ents_f == 0
    verdict = judge(nothing, nothing)
    assert verdict["passed"]
    assert verdict["drop_interval"] == [0, 0]
    assert judge(nothing, score(gold))["passed"]
    verdict = judge(score(gold), nothing)
    assert not verdict["passed"]
    assert verdict["drop"] == 1
    assert verdict["drop_interval"] == [1, 1]


def test_text_without_entities():
    gold = make_docs(5, ents=["O"] * N_WORDS)
    nothing = score_entities(gold, [[]] * 5)
    verdict = judge(nothing, nothing)
    assert verdict["passed"]
    assert verdict["drop_interval"] == [0, 0]
    assert verdict["label_drop_intervals"] == {}


def test_a_label_that_only_the_candidate_finds_costs_f1():
    gold = make_docs(20)
    found = [[*get_entities(doc), (2, 3, "NEW")] for doc in gold]
    verdict = judge(score(gold), score_entities(gold, found))
    assert not verdict["passed"]
    assert verdict["reason"].startswith("loses entities: F1 falls by 0.1429 to 0.8571")


# Interval


def make_counts(n, seed):
    """RETURNS (Ints2d): Counts of Docs with some errors each."""
    return numpy.random.default_rng(seed).integers(0, 6, size=(n, 3)) + [10, 0, 0]


def test_interval_of_identical_output_is_zero():
    counts = make_counts(50, seed=1)
    assert get_drop_interval(counts, counts.copy()) == (0, 0)


def test_interval_of_chance_contains_zero():
    low, high = get_drop_interval(make_counts(200, seed=1), make_counts(200, seed=2))
    assert low < 0 < high


def test_interval_of_a_loss_is_above_zero():
    reference = make_counts(200, seed=1)
    candidate = reference + [-2, 0, 2]
    low, high = get_drop_interval(reference, candidate)
    assert 0 < low < high < 0.5


def test_interval_is_the_same_each_time():
    reference, candidate = make_counts(50, seed=1), make_counts(50, seed=2)
    interval = get_drop_interval(reference, candidate)
    assert get_drop_interval(reference, candidate) == interval
    assert get_drop_interval(reference, candidate, seed=1) != interval


def test_interval_of_a_smaller_corpus_is_wider():
    widths = []
    for n in (10, 100, 1000):
        low, high = get_drop_interval(make_counts(n, seed=1), make_counts(n, seed=2))
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2] > 0


def test_interval_of_one_doc():
    counts = make_counts(1, seed=1)
    low, high = get_drop_interval(counts, counts + [0, 1, 0])
    assert low == high > 0
