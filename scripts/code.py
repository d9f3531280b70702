"""For spaCy's own commands: `python -m spacy evaluate training/model-compiled corpus/test.spacy --code scripts/code.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import scripts.compiled_transformer  # noqa: E402, F401
import scripts.training.layer_rates  # noqa: E402, F401
