"""How far a training has come, and whether it goes well."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

LEAST_SCORE = 0.1  # Below it, a pipeline has learned too little for a drop to mean anything.


@dataclass
class Progress:
    """How far a training has come. All of it goes into a checkpoint."""

    step: int = 0  # steps done
    epoch: int = 0
    seconds: float = 0.0  # spent on steps, without evaluations
    words: int = 0
    samples: int = 0
    results: List[Tuple[float, int]] = field(default_factory=list)  # score and step of each evaluation
    evaluations: List[Dict[str, Any]] = field(default_factory=list)  # as metrics/training.json has them


def describe_drop(results: List[Tuple[float, int]]) -> Optional[str]:
    """Say that a pipeline has lost half of its score or more since the evaluation before.

    results (List[Tuple[float, int]]): Score and step of each evaluation.
    RETURNS (Optional[str]): What happened and what to do, None if nothing did.
    """
    if len(results) < 2:
        return None
    (before, step_before), (now, step) = results[-2:]
    if before < LEAST_SCORE or now > before / 2:
        return None
    return (
        f"The score on dev fell from {before:.3f} at step {step_before} to {now:.3f} at step {step}: the training is "
        "close to falling apart. Lower the learning rate, or warm up longer."
    )
