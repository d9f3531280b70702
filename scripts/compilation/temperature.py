"""Calibrate the confidence of a compiled pipeline's entities on dev."""

from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy
import spacy
import srsly
from spacy.tokens import Doc

from ..common.calibration import Found, describe_calibration, find_calibrated, find_entities
from ..common.corpora import choose_docs
from ..compiled_transformer.ner import TEMPERATURE

LEAST = 10  # Entities of dev that are right, and that are wrong; fewer don't say how sure to be.
MOST_WORDS = 100_000
# Steps of 2.5%.
TEMPERATURES = numpy.geomspace(0.25, 8.0, 141)
SMALLEST = 1e-12  # Of a probability, for its logarithm.


def calibrate(pipeline: Path, gold: Sequence[Doc]) -> Optional[Dict[str, Any]]:
    """Fit the temperature of a pipeline's recognizer and save it with the recognizer's weights.

    The softmax of a network that was trained to the end is too sure of itself. One number that all scores are divided by
    corrects most of that, and changes no entity: Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural
    Networks, https://arxiv.org/abs/1706.04599, section 4.2.

    pipeline (Path): Folder of a compiled pipeline, which is changed.
    gold (Sequence[Doc]): Annotated Docs of dev.
    RETURNS (Optional[Dict[str, Any]]): See `describe_calibration`. None if there is nothing to calibrate, or too few right
        or wrong entities to do it by.
    """
    nlp = spacy.load(pipeline)
    name = find_calibrated(nlp)
    if name is None or not gold:
        return None
    found = find_entities(nlp, name, choose_docs(gold, MOST_WORDS))
    if min(found.is_right.sum(), (~found.is_right).sum()) < LEAST:
        return None
    temperature = fit_temperature(found)
    path = pipeline / name / "cfg"
    srsly.write_json(path, {**srsly.read_json(path), TEMPERATURE: temperature})
    return describe_calibration(found, temperature)


def fit_temperature(found: Found) -> float:
    """Choose the temperature with which confidence predicts best whether an entity is right: least negative log-likelihood."""
    return round(float(min(TEMPERATURES, key=lambda temperature: get_loss(found, temperature))), 4)


def get_loss(found: Found, temperature: float) -> float:
    """Compute the mean negative log-likelihood of which entities are right."""
    confidences = found.get_confidences(temperature)
    likelihoods = numpy.where(found.is_right, confidences, 1 - confidences)
    return float(-numpy.log(numpy.maximum(likelihoods, SMALLEST)).mean())
