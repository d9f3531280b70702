"""The runtime needs nothing that training needs."""

import shutil

import numpy
import pytest
from numpy.testing import assert_allclose

from .. import helpers
from ..isolation import TRAINING, run_isolated
from .checks import ENGINES

PROGRAM = """
import spacy

path, texts = json.load(sys.stdin)
# As a wheel has it: a package without the project around it.
import compiled_transformer
docs = list(spacy.load(path).pipe(texts))
assert not [name for name in sys.modules if name.split(".")[0] in (*BLOCKED, "scripts")]
entities = [[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs]
print(json.dumps([entities, [doc.tensor.tolist() for doc in docs]]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_of_training_is_needed(paths, texts, expected, engine, tmp_path):
    """Where torch, transformers and spacy-transformers can't be imported, it loads and annotates the same."""
    runtime = helpers.ROOT / "scripts" / "compiled_transformer"
    shutil.copytree(runtime, tmp_path / runtime.name)
    entities, tensors = run_isolated(
        tmp_path, PROGRAM, [str(paths[engine]), texts], blocked=TRAINING, places=[tmp_path]
    )
    assert [[tuple(entity) for entity in doc] for doc in entities] == [helpers.get_entities(doc) for doc in expected]
    for tensor, doc in zip(tensors, expected):
        assert_allclose(numpy.asarray(tensor, dtype="float32"), doc.tensor, atol=1e-4)
