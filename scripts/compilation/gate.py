"""Did the compiled pipeline lose entities? Entity F1 against gold, as spaCy's scorer computes it."""

from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

import numpy
from spacy.attrs import ENT_IOB
from spacy.scorer import PRFScore
from spacy.tokens import Doc
from thinc.types import Ints2d

Entity = Tuple[int, int, str]
BOOTSTRAP_DRAWS = 2000


class EntityScores(NamedTuple):
    """Entity scores of a pipeline on a corpus."""

    ents_f: float
    by_label: Dict[str, float]
    entities: List[Set[Entity]]  # of each Doc: start and end token, label
    counts: Ints2d  # (n_docs, 3): true positives, false positives and false negatives of each Doc

    def count_identical(self, other: "EntityScores") -> int:
        """Count the Docs in which both pipelines find exactly the same entities."""
        return sum(mine == theirs for mine, theirs in zip(self.entities, other.entities, strict=True))


def score_entities(gold: Sequence[Doc], predicted: Sequence[Sequence[Sequence]]) -> EntityScores:
    """Score predicted entities.

    gold (Sequence[Doc]): Annotated Docs.
    predicted (Sequence[Sequence[Sequence]]): For each Doc the predicted [start, end, label].
    RETURNS (EntityScores): Micro-averaged F1 and F1 by label, as `spacy.scorer.get_ner_prf`: an entity found where gold
        has no annotation is neither right nor wrong.
    """
    total = PRFScore()
    labels: Dict[str, PRFScore] = {}
    entities, counts = [], []
    for doc, found_entities in zip(gold, predicted, strict=True):
        annotated = doc.to_array(ENT_IOB) != 0
        true = {(ent.start, ent.end, ent.label_) for ent in doc.ents}
        all_found = {(start, end, label) for start, end, label in found_entities}
        found = {entity for entity in all_found if annotated[entity[0] : entity[1]].all()}
        total.score_set(found, true)
        for label in {label for _, _, label in true | found}:
            labels.setdefault(label, PRFScore()).score_set(
                {entity for entity in found if entity[2] == label}, {entity for entity in true if entity[2] == label}
            )
        entities.append(all_found)
        counts.append((len(found & true), len(found - true), len(true - found)))
    by_label = {label: score.fscore for label, score in sorted(labels.items())}
    return EntityScores(total.fscore, by_label, entities, numpy.asarray(counts))


class Gate(NamedTuple):
    """What a candidate may lose against the reference, in F1 between 0 and 1."""

    max_f1_drop: float = 0.003
    max_label_drop: float = 0.02

    def judge(self, reference: EntityScores, candidate: EntityScores) -> Dict[str, Any]:
        """Decide whether a candidate keeps the entities.

        RETURNS (Dict[str, Any]): "passed" and a "reason" for people, "ents_f", "drop", "drop_interval" (95%, paired
            bootstrap over the Docs), "label_drops", and "identical_docs" (share).
        """
        drop = get_drop(reference.ents_f, candidate.ents_f)
        label_drops = {
            label: get_drop(score, candidate.by_label.get(label, 0.0)) for label, score in reference.by_label.items()
        }
        low, high = get_drop_interval(reference.counts, candidate.counts)
        worst = max(label_drops, key=label_drops.get)
        identical, n_docs = candidate.count_identical(reference), len(reference.entities)
        if drop > self.max_f1_drop:
            reason = f"loses entities: F1 falls by {drop:.4f} to {candidate.ents_f:.4f}, allowed is {self.max_f1_drop}"
        elif label_drops[worst] > self.max_label_drop:
            reason = f"loses {worst}: its F1 falls by {label_drops[worst]:.4f}, allowed is {self.max_label_drop}"
        else:
            reason = f"F1 {describe_drop(drop)}, {identical:,} of {n_docs:,} docs have the very same entities"
        return {
            "passed": drop <= self.max_f1_drop and label_drops[worst] <= self.max_label_drop,
            "reason": reason,
            "ents_f": candidate.ents_f,
            "drop": drop,
            "drop_interval": [low, high],
            "label_drops": label_drops,
            "identical_docs": identical / n_docs,
        }


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


def get_f1(counts: Ints2d) -> numpy.ndarray:
    """counts (Ints2d): *Shape:* (n, 3). True positives, false positives and false negatives."""
    true, false, missed = counts.T
    return 2 * true / numpy.maximum(2 * true + false + missed, 1)
