"""Did the compiled pipeline lose anything? Entity F1 against gold, and agreement with the reference, with or without gold."""

from collections import defaultdict
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from spacy.attrs import ENT_IOB
from spacy.tokens import Doc
from thinc.types import Ints2d

from ..common.agreement import BOOTSTRAP_DRAWS, Agreement, Annotations, compare_annotations, name_kind

# By kind of annotation. Harmless changes, such as int8 of a well trained pipeline, stay above; see docs/how-it-is-decided.md.
MIN_AGREEMENT = {
    "entities": 0.95,
    "spans": 0.95,
    "tags": 0.98,
    "parts_of_speech": 0.98,
    "morphs": 0.98,
    "lemmas": 0.98,
    "dependencies": 0.95,
    "sentences": 0.95,
    "categories": 0.95,
}


class EntityScores(NamedTuple):
    """Entity scores of a pipeline on a corpus.

    ents_f (float): Micro-averaged F1.
    by_label (Dict[str, float]): F1 by label.
    counts (Ints2d): *Shape:* (n_docs, 3). True positives, false positives and false negatives of each Doc.
    label_counts (Dict[str, Ints2d]): The same by label.
    """

    ents_f: float
    by_label: Dict[str, float]
    counts: Ints2d
    label_counts: Dict[str, Ints2d]


class Evidence(NamedTuple):
    """What the gate looks at."""

    scores: Optional[EntityScores]  # None without gold, or for a pipeline that finds no entities
    annotations: List[Annotations]  # of each Doc


def score_entities(gold: Sequence[Doc], predicted: Sequence[Sequence[Sequence]]) -> EntityScores:
    """Score predicted entities.

    gold (Sequence[Doc]): Annotated Docs.
    predicted (Sequence[Sequence[Sequence]]): For each Doc the predicted [start, end, label].
    RETURNS (EntityScores): Micro-averaged F1 and F1 by label, as `spacy.scorer.get_ner_prf`: an entity found where gold
        has no annotation is neither right nor wrong.
    """
    label_counts: Dict[str, Ints2d] = defaultdict(lambda: numpy.zeros((len(gold), 3), dtype="int64"))
    for number, (doc, found_entities) in enumerate(zip(gold, predicted, strict=True)):
        annotated = doc.to_array(ENT_IOB) != 0
        true = {(ent.start, ent.end, ent.label_) for ent in doc.ents}
        all_found = {(start, end, label) for start, end, label in found_entities}
        found = {entity for entity in all_found if annotated[entity[0] : entity[1]].all()}
        for column, entities in enumerate((found & true, found - true, true - found)):
            for _, _, label in entities:
                label_counts[label][number, column] += 1
    by_label = {label: float(get_f1(counts.sum(axis=0))) for label, counts in sorted(label_counts.items())}
    total = sum(label_counts.values(), numpy.zeros((len(gold), 3), dtype="int64"))
    return EntityScores(float(get_f1(total.sum(axis=0))), by_label, total, dict(label_counts))


class Gate(NamedTuple):
    """What a candidate may lose against the reference.

    max_f1_drop (float): Of entity F1 on gold, between 0 and 1.
    max_label_drop (float): Of the F1 of any one label, where the text has enough of its entities to tell: a drop whose
        95% interval reaches zero is not held against a candidate.
    min_agreement (Dict[str, float]): By kind of annotation, the least agreement with the reference, between 0 and 1.
    """

    max_f1_drop: float = 0.003
    max_label_drop: float = 0.02
    min_agreement: Dict[str, float] = MIN_AGREEMENT

    def judge(self, reference: Evidence, candidate: Evidence) -> Dict[str, Any]:
        """Decide whether a candidate keeps what the reference annotates.

        RETURNS (Dict[str, Any]): "passed", a "reason" for people, and the "agreement" by kind. Where there is gold, also
            "ents_f", "drop", "drop_interval" (95%, paired bootstrap over the Docs), "label_drops" and "label_drop_intervals".
        """
        agreement = compare_annotations(reference.annotations, candidate.annotations)
        verdict: Dict[str, Any] = {"agreement": {kind: found._asdict() for kind, found in agreement.items()}}
        problems, findings = [], []
        if reference.scores is not None and candidate.scores is not None:
            verdict.update(self._compare_scores(reference.scores, candidate.scores))
            problems.extend(self._find_drops(verdict))
            findings.append(f"F1 {describe_drop(verdict['drop'])}")
        for kind, found in agreement.items():
            least = self.min_agreement.get(kind, 0.0)
            if found.value < least:
                problems.append(f"{describe_agreement(kind, found)}, at least {least:g} is asked for")
            findings.append(describe_agreement(kind, found))
        return {
            **verdict,
            "passed": not problems,
            "reason": "; ".join(problems or findings or ["nothing is annotated"]),
        }

    def _compare_scores(self, reference: EntityScores, candidate: EntityScores) -> Dict[str, Any]:
        nothing = numpy.zeros_like(reference.counts)
        pairs = {
            label: (counts, candidate.label_counts.get(label, nothing))
            for label, counts in reference.label_counts.items()
        }
        return {
            "ents_f": candidate.ents_f,
            "drop": get_drop(reference.ents_f, candidate.ents_f),
            "drop_interval": list(get_drop_interval(reference.counts, candidate.counts)),
            "label_drops": {
                label: get_drop(score, candidate.by_label.get(label, 0.0))
                for label, score in reference.by_label.items()
            },
            "label_drop_intervals": {label: list(get_drop_interval(*pair)) for label, pair in sorted(pairs.items())},
        }

    def _find_drops(self, verdict: Dict[str, Any]) -> Iterator[str]:
        """Say what is lost on gold, beyond what is allowed."""
        if verdict["drop"] > self.max_f1_drop:
            yield (
                f"loses entities: F1 falls by {verdict['drop']:.4f} to {verdict['ents_f']:.4f}, "
                f"allowed is {self.max_f1_drop:g}"
            )
        intervals = verdict["label_drop_intervals"]
        drops = {label: drop for label, drop in verdict["label_drops"].items() if intervals[label][0] > 0}
        worst = max(drops, key=drops.get, default=None)
        if worst is not None and drops[worst] > self.max_label_drop:
            yield f"loses {worst}: its F1 falls by {drops[worst]:.4f}, allowed is {self.max_label_drop:g}"


def describe_agreement(kind: str, found: Agreement) -> str:
    """Say how far a kind of annotation agrees."""
    scores = (
        f" (scores differ by {found.largest_difference:.4f} at most)" if found.largest_difference is not None else ""
    )
    return f"{name_kind(kind)} agree in {found.value:.4f}{scores}"


def gather_evidence(gold: Sequence[Doc], annotations: List[Annotations]) -> Evidence:
    """Score what a pipeline annotates where there is gold.

    gold (Sequence[Doc]): Docs with gold entities, the first ones of those that were annotated.
    annotations (List[Annotations]): What the pipeline annotates in all Docs.
    """
    finds_entities = any("entities" in of_doc for of_doc in annotations)
    if not gold or not finds_entities:
        return Evidence(None, annotations)
    found = [[entity[:3] for entity in of_doc.get("entities", [])] for of_doc in annotations[: len(gold)]]
    return Evidence(score_entities(gold, found), annotations)


def get_drop(reference: float, candidate: float) -> float:
    """Subtract two F1 without the last digits, in which equal ones may differ."""
    return round(reference - candidate, 12)


def describe_drop(drop: float) -> str:
    if abs(drop) < 0.00005:
        return "is the same"
    return f"{'falls' if drop > 0 else 'rises'} by {abs(drop):.4f}"


def get_drop_interval(reference: Ints2d, candidate: Ints2d, seed: int = 0) -> Tuple[float, float]:
    """Bootstrap the drop in F1 over Docs, the same draws for both (Berg-Kirkpatrick et al. 2012).

    reference (Ints2d): *Shape:* (n_docs, 3). True positives, false positives and false negatives.
    candidate (Ints2d): *Shape:* (n_docs, 3). The same of the other pipeline.
    RETURNS (Tuple[float, float]): Lower and upper end of the 95% interval.
    """
    n_docs = len(reference)
    weights = numpy.random.default_rng(seed).multinomial(n_docs, [1 / n_docs] * n_docs, size=BOOTSTRAP_DRAWS)
    drops = get_f1(weights @ reference) - get_f1(weights @ candidate)
    low, high = numpy.percentile(drops, [2.5, 97.5])
    return float(low), float(high)


def get_f1(counts: numpy.ndarray) -> numpy.ndarray:
    """Compute F1.

    counts (numpy.ndarray): *Shape:* (..., 3). True positives, false positives and false negatives.
    RETURNS (numpy.ndarray): *Shape:* (...,).
    """
    true, false, missed = numpy.moveaxis(counts, -1, 0)
    return 2 * true / numpy.maximum(2 * true + false + missed, 1)
