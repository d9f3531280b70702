"""How far two pipelines agree: their annotations of the same Docs, each kind by itself. It takes no gold."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from thinc.types import Floats2d

from .annotations import CATEGORIES, Item

BOOTSTRAP_DRAWS = 2000
Annotations = Dict[str, List[Item]]  # of a Doc: by kind, its items


class Agreement(NamedTuple):
    """The agreement on one kind of annotation.

    For entities, spans, sentences it is F1 of one pipeline against the other; for what each token or Doc has one of, that
    is the share of equal ones.
    """

    value: float  # between 0 and 1
    interval: Tuple[float, float]  # 95%, bootstrapped over the Docs
    equal_docs: float  # share of the Docs in which all items are equal
    items: int  # of the reference
    largest_difference: Optional[float] = None  # of a category's score


def compare_annotations(reference: Sequence[Annotations], candidate: Sequence[Annotations]) -> Dict[str, Agreement]:
    """Compare what two pipelines annotate in the same Docs.

    reference (Sequence[Annotations]): Of each Doc.
    candidate (Sequence[Annotations]): The same of the other pipeline.
    RETURNS (Dict[str, Agreement]): By each kind that one of them annotates.
    """
    pairs = list(zip(reference, candidate, strict=True))
    kinds = sorted({kind for pair in pairs for annotations in pair for kind in annotations})
    by_kind = {kind: [tuple(items.get(kind, []) for items in pair) for pair in pairs] for kind in kinds}
    return {
        kind: (compare_categories if kind == CATEGORIES else compare_kind)(of_kind) for kind, of_kind in by_kind.items()
    }


def compare_kind(pairs: Sequence[Tuple[List[Item], ...]]) -> Agreement:
    """Compare one kind of annotation.

    pairs (Sequence[Tuple[List[Item], ...]]): The items of both pipelines in each Doc.
    """
    sets = [tuple({freeze(item) for item in items} for items in pair) for pair in pairs]
    # Twice the items in common, and the items of both: their quotient is F1.
    counts = numpy.asarray([(2 * len(one & other), len(one) + len(other)) for one, other in sets], dtype="float64")
    return Agreement(
        value=float(divide(counts.sum(axis=0, keepdims=True))[0]),
        interval=bootstrap(counts),
        equal_docs=sum(one == other for one, other in sets) / len(sets),
        items=sum(len(one) for one, _ in sets),
    )


def compare_categories(pairs: Sequence[Tuple[List[Item], ...]]) -> Agreement:
    """Compare the decisions on categories, and how far their scores are apart.

    pairs (Sequence[Tuple[List[Item], ...]]): The label, decision and score of each category, of both pipelines in each Doc.
    """
    decisions = [tuple([item[:2] for item in items] for items in pair) for pair in pairs]
    scores = [tuple({label: score for label, _, score in items} for items in pair) for pair in pairs]
    differences = [abs(one[label] - other[label]) for one, other in scores for label in one.keys() & other.keys()]
    return compare_kind(decisions)._replace(largest_difference=max(differences, default=0.0))


def freeze(item: Any) -> Any:
    """Make an item that came through JSON hashable."""
    return tuple(item) if isinstance(item, list) else item


def divide(counts: Floats2d) -> numpy.ndarray:
    """Compute agreements; where there is nothing to agree on, it is 1."""
    common, both = counts.T
    return numpy.where(both > 0, common / numpy.maximum(both, 1), 1.0)


def bootstrap(counts: Floats2d, seed: int = 0) -> Tuple[float, float]:
    """Draw Docs with replacement (Berg-Kirkpatrick et al. 2012).

    counts (Floats2d): *Shape:* (n_docs, 2).
    RETURNS (Tuple[float, float]): Lower and upper end of the 95% interval.
    """
    n_docs = len(counts)
    weights = numpy.random.default_rng(seed).multinomial(n_docs, [1 / n_docs] * n_docs, size=BOOTSTRAP_DRAWS)
    low, high = numpy.percentile(divide(weights @ counts), [2.5, 97.5])
    return float(low), float(high)


def name_kind(kind: str) -> str:
    """Name a kind of annotation for people."""
    return kind.replace("_", " ")
