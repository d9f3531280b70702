"""Do entities with a confidence of 90% turn out right in 90% of cases?"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy
from spacy.attrs import ENT_IOB
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import minibatch
from thinc.types import Floats1d

from ..compiled_transformer.confidence import SPANS_KEY, Evidence
from ..compiled_transformer.transitions import Entities
from .corpora import copy_for_prediction
from .pipelines import find_recognizers

BINS = 15  # Of equal width, as in the paper.
DRAWS = 300  # Of what is right, for the error that is left to chance.
DOCS_AT_ONCE = 64  # Whose token vectors are in memory.


class Found(NamedTuple):
    """The entities that a recognizer found in annotated Docs.

    evidence (List[Evidence]): What their confidence is computed from, by batch.
    is_right (numpy.ndarray): *Shape:* (n_entities,). Whether gold has the entity, with the same tokens and label.
    """

    evidence: List[Evidence]
    is_right: numpy.ndarray

    def get_confidences(self, temperature: float) -> Floats1d:
        """Compute the confidence of each entity."""
        return numpy.concatenate([part.get_probabilities(temperature) for part in self.evidence])


def find_calibrated(nlp: Language) -> Optional[str]:
    """Find the component whose confidence can be calibrated.

    RETURNS (Optional[str]): Its name. None if there is no recognizer that says how sure it is, or more than one.
    """
    names = find_recognizers(nlp)
    return names[0] if len(names) == 1 else None


def find_entities(nlp: Language, name: str, gold: Sequence[Doc]) -> Found:
    """Find the entities of annotated Docs. Those where gold has no annotation are neither right nor wrong: left out.

    nlp (Language): The pipeline.
    name (str): Its recognizer.
    gold (Sequence[Doc]): The annotated Docs.
    """
    recognizer = nlp.get_pipe(name)
    before = nlp.pipe_names[: nlp.pipe_names.index(name) + 1]
    evidence, is_right = [], []
    was_on, recognizer.scores = recognizer.scores, True
    try:
        with nlp.select_pipes(enable=before):
            docs = nlp.pipe(copy_for_prediction(doc, nlp) for doc in gold if len(doc))
            for batch in minibatch(zip((doc for doc in gold if len(doc)), docs), DOCS_AT_ONCE):
                found = [list_comparable(annotated, doc) for annotated, doc in batch]
                evidence.append(recognizer.collect_evidence([doc for _, doc in batch], found))
                for (annotated, doc), entities in zip(batch, found):
                    true = {(ent.start, ent.end, ent.label_) for ent in annotated.ents}
                    is_right.extend((start, end, doc.vocab.strings[label]) in true for start, end, label in entities)
    finally:
        recognizer.scores = was_on
    return Found(evidence, numpy.asarray(is_right, dtype=bool))


def list_comparable(annotated: Doc, doc: Doc) -> Entities:
    """List the entities of a Doc where gold is annotated."""
    is_annotated = annotated.to_array(ENT_IOB) != 0
    return Entities(
        (span.start, span.end, span.label) for span in doc.spans[SPANS_KEY] if is_annotated[span.start : span.end].all()
    )


def make_reliability(confidences: Floats1d, is_right: numpy.ndarray) -> List[Dict[str, float]]:
    """Group entities by their confidence, in `BINS` bins of equal width.

    RETURNS (List[Dict[str, float]]): Of each bin that is not empty: how many "entities", their mean "confidence", and how
        many of them are right, as their "accuracy".
    """
    # A bin has its upper end, (0, 1/15] and so on, as in the paper.
    numbers = numpy.clip(numpy.ceil(confidences * BINS).astype(int) - 1, 0, BINS - 1)
    return [
        {
            "entities": int((numbers == number).sum()),
            "confidence": float(confidences[numbers == number].mean()),
            "accuracy": float(is_right[numbers == number].mean()),
        }
        for number in numpy.unique(numbers)
    ]


def get_calibration_error(reliability: Sequence[Dict[str, float]]) -> float:
    """Compute the expected calibration error: the mean of |accuracy - confidence| over bins, weighted by their entities.

    ECE = sum over bins B of |B| / n * |accuracy(B) - confidence(B)|: equation 3 of Guo, Pleiss, Sun and Weinberger
    (2017), On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599, with their 15 bins.

    reliability (Sequence[Dict[str, float]]): From `make_reliability`.
    RETURNS (float): Between 0 and 1; 0 without entities.
    """
    n = sum(row["entities"] for row in reliability)
    return sum(row["entities"] * abs(row["accuracy"] - row["confidence"]) for row in reliability) / max(n, 1)


def get_chance_error(confidences: Floats1d) -> float:
    """Compute the calibration error that these entities would have on average if their confidence were exact.

    It is not 0: of ten entities with a confidence of 0.85, eight or nine are right, or by chance fewer or more.
    """
    generator = numpy.random.default_rng(0)
    draws = (generator.random(len(confidences)) < confidences for _ in range(DRAWS))
    return float(numpy.mean([get_calibration_error(make_reliability(confidences, is_right)) for is_right in draws]))


def describe_calibration(found: Found, temperature: float) -> Dict[str, Any]:
    """Compare the confidence of entities with how many of them are right.

    temperature (float): That of the recognizer.
    RETURNS (Dict[str, Any]): The calibration error with temperature 1 ("ece_before") and with the recognizer's
        ("ece_after"), that of exact confidences ("ece_by_chance"), and the bins with the recognizer's temperature.
    """
    confidences = found.get_confidences(temperature)
    before = make_reliability(found.get_confidences(1.0), found.is_right)
    after = make_reliability(confidences, found.is_right)
    return {
        "entities": len(found.is_right),
        "temperature": temperature,
        "ece_before": get_calibration_error(before),
        "ece_after": get_calibration_error(after),
        "ece_by_chance": get_chance_error(confidences),
        "reliability": after,
    }


def measure_calibration(nlp: Language, gold: Sequence[Doc]) -> Optional[Dict[str, Any]]:
    """Measure how well a compiled pipeline knows how sure it may be.

    nlp (Language): The pipeline.
    gold (Sequence[Doc]): Annotated Docs.
    RETURNS (Optional[Dict[str, Any]]): See `describe_calibration`. None if it finds no entities, or gives no confidence.
    """
    name = find_calibrated(nlp)
    if name is None:
        return None
    found = find_entities(nlp, name, gold)
    return describe_calibration(found, nlp.get_pipe(name).temperature) if len(found.is_right) else None
