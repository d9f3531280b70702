"""A corpus, what plain spaCy finds in it, and Ray on this machine."""

from typing import Iterator

import pytest
import spacy
import srsly

from scripts.annotation.settings import PoolSettings

from .. import helpers
from ..isolation import TRAINING, start_without

# `runs` imports pyarrow, which comes with Ray: tests that need it are skipped without it.


@pytest.fixture(scope="package", autouse=True)
def deployed(tmp_path_factory) -> Iterator[None]:
    """`annotate` runs where torch is not installed, which takes each process seconds to import."""
    with start_without(tmp_path_factory.mktemp("deployed"), TRAINING):
        yield


@pytest.fixture(scope="session")
def ray_here():
    """Ray in this process, which `annotate` uses instead of starting it anew each time."""
    import ray

    from scripts.annotation.ray_pool import start_ray

    with start_ray(2, PoolSettings(workers=2, threads=1)):
        yield ray


@pytest.fixture(scope="session")
def nlp(compiled_path):
    return spacy.load(compiled_path, config={"components.transformer.threads": 1})


@pytest.fixture(scope="session")
def texts(corpus_dir):
    from .runs import N_TEXTS

    docs = [doc.text for split in ("dev", "test", "train") for doc in helpers.read_docs(corpus_dir / f"{split}.spacy")]
    # Offsets are in characters, not bytes.
    return [f"Ångström 🙂 {text}" if number % 7 == 0 else text for number, text in enumerate(docs[:N_TEXTS])]


@pytest.fixture(scope="session")
def expected(nlp, texts):
    """What plain spaCy finds in the texts."""
    from .runs import get_rows

    return [get_rows(doc) for doc in nlp.pipe(texts)]


@pytest.fixture(scope="session")
def scoring_nlp(compiled_path):
    """The pipeline that says how sure it is."""
    return spacy.load(compiled_path, config={"components.transformer.threads": 1, "components.ner.scores": True})


@pytest.fixture(scope="session")
def expected_scores(scoring_nlp, texts):
    """How sure plain spaCy is of the entities."""
    return [[float(score) for score in doc.spans["ner"].attrs["scores"]] for doc in scoring_nlp.pipe(texts)]


@pytest.fixture
def jsonl(tmp_path, texts):
    path = tmp_path / "in.jsonl"
    srsly.write_jsonl(path, [{"key": f"k{number}", "body": text} for number, text in enumerate(texts)])
    return path


@pytest.fixture
def bad_jsonl(tmp_path):
    from .runs import BAD_LINES

    path = tmp_path / "bad.jsonl"
    good = b'{"id": "good", "text": "Ada lives here ."}'
    path.write_bytes(b"\n".join([good, b"", *(line for line, _, _ in BAD_LINES), good]) + b"\n")
    return path
