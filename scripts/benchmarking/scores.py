"""The scores that spaCy's own evaluation gives a pipeline."""

from pathlib import Path
from typing import Any, Dict

from spacy.cli.evaluate import evaluate as evaluate_pipeline

from ..common.console import UserError


def score(path: Path, corpus: Path, gpu: int) -> Dict[str, Any]:
    """Score a pipeline as `spacy evaluate` does.

    RETURNS (Dict[str, Any]): What `spacy evaluate` writes for a pipeline.
    """
    try:
        return evaluate_pipeline(str(path), corpus, use_gpu=gpu, silent=True)
    except (ImportError, OSError, ValueError) as error:  # A file is missing or damaged, or an engine not installed.
        raise UserError(f"Can't evaluate the pipeline in {path}: {str(error).rstrip('.')}. Make it again.") from error
