"""Services for the tests of this folder. They run pipelines that are made on the spot."""

from typing import Any, Dict, Iterator, List

import pytest
import spacy

from .. import helpers
from ..isolation import TRAINING, start_without
from .service_process import ROOM, Service

SMALL = ("--max-queue", 2, "--max-texts", 2000, "--batch-wordpieces", 512, "--timeout", 120)


@pytest.fixture(scope="package", autouse=True)
def deployed(tmp_path_factory) -> Iterator[None]:
    """A service runs where torch is not installed, which takes each process seconds to import."""
    with start_without(tmp_path_factory.mktemp("deployed"), TRAINING):
        yield


@pytest.fixture(scope="module")
def texts(dev_corpus, test_corpus) -> List[str]:
    return [doc.text for path in (dev_corpus, test_corpus) for doc in helpers.read_docs(path)]


@pytest.fixture(scope="module")
def expected(compiled_path, texts) -> List[spacy.tokens.Doc]:
    docs = list(spacy.load(compiled_path).pipe(texts))
    assert sum(len(doc.ents) for doc in docs) > 50
    return docs


@pytest.fixture(scope="module")
def expected_entities(expected) -> List[List[Dict[str, Any]]]:
    return [
        [{"start": ent.start_char, "end": ent.end_char, "label": ent.label_, "text": ent.text} for ent in doc.ents]
        for doc in expected
    ]


@pytest.fixture(scope="package")
def service(compiled_path) -> Iterator[Service]:
    with Service(compiled_path, "--workers", 2, "--max-characters", 20000, "--max-texts", 50) as service:
        yield service


@pytest.fixture(scope="package")
def small_service(compiled_path) -> Iterator[Service]:
    """One whose queue is short, and whose processes may be killed."""
    with Service(compiled_path, *SMALL) as service:
        yield service


@pytest.fixture(scope="package")
def encoder_service(compiled_path) -> Iterator[Service]:
    with Service(compiled_path, "--encoder-only", "--max-memory", ROOM) as service:
        yield service


@pytest.fixture
def long_request(texts) -> Dict[str, List[str]]:
    """A request that runs for seconds, in many batches."""
    return {"texts": [text for _ in range(60) for text in texts]}
