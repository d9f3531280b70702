"""The runtime needs nothing that training needs."""

import shutil

import numpy
import pytest
from numpy.testing import assert_allclose

from .. import helpers
from .checks import ENGINES, run_script

WITHOUT_TORCH = """
import importlib.metadata as metadata
import json, sys

BLOCKED = ("torch", "transformers", "spacy_transformers", "spacy_curated_transformers")

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
# spaCy looks for plugins in the metadata of what is installed.
installed = metadata.distributions
metadata.distributions = lambda **options: (
    found for found in installed(**options) if found.name.replace("-", "_") not in BLOCKED
)
import spacy

path, code, texts = json.loads(sys.argv[1])
# As a wheel has it: a package without the project around it.
sys.path.insert(0, code)
import compiled_transformer
nlp = spacy.load(path)
docs = list(nlp.pipe(texts))
assert not [name for name in sys.modules if name.split(".")[0] in (*BLOCKED, "scripts")]
entities = [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs]
print(json.dumps([entities, [doc.tensor.tolist() for doc in docs]]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_of_training_is_needed(paths, texts, expected, engine, tmp_path):
    """Where torch, transformers and spacy-transformers can't be imported, it loads and annotates the same."""
    runtime = helpers.ROOT / "scripts" / "compiled_transformer"
    shutil.copytree(runtime, tmp_path / runtime.name)
    argument = [str(paths[engine]), str(tmp_path), texts]
    entities, tensors = run_script(tmp_path / "script.py", WITHOUT_TORCH, argument)
    assert [[tuple(entity) for entity in doc] for doc in entities] == [helpers.get_entities(doc) for doc in expected]
    for tensor, doc in zip(tensors, expected):
        assert_allclose(numpy.asarray(tensor, dtype="float32"), doc.tensor, atol=1e-4)
