"""The service does what its description at /openapi.json says."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("ray")
jsonschema = pytest.importorskip("jsonschema")  # openapi-spec-validator brings it.
validator = pytest.importorskip("openapi_spec_validator")

from .service_process import TIMEOUT

pytestmark = pytest.mark.slow


@pytest.fixture(params=["service", "encoder_service"])
def described(request):
    """A service, and another one that answers token vectors."""
    return request.getfixturevalue(request.param)


def test_description_is_valid(described):
    validator.validate(json.loads(described.ask("GET", "/openapi.json")[1]))


@pytest.mark.parametrize(
    "body",
    [
        {"text": "a"},
        {"texts": ["a"]},
        {"text": "a", "scores": True},
        {"texts": ["a"], "scores": False},
        {"text": "a", "scores": 1},
        {"text": "a", "scores": None},
        {"scores": True},
        {"text": "a", "texts": ["a"]},
        {"text": None},
        {},
        {"texts": "a"},
        [],
    ],
)
def test_bodies_are_described(service, body):
    """What the schema allows is answered, and nothing else."""
    description = json.loads(service.ask("GET", "/openapi.json")[1])
    schema = description["paths"]["/entities"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    is_valid = jsonschema.Draft202012Validator(schema).is_valid(body)
    assert service.post("/entities", body)[0] == (200 if is_valid else 422)


def test_requests_made_from_the_description(described):
    """Schemathesis makes valid and invalid ones, and compares the answers with what is described."""
    pytest.importorskip("schemathesis")
    url = f"{described.url}/openapi.json"
    options = [
        "--checks",
        "all",
        "--max-examples",
        "25",
        "--seed",
        "0",
        "--no-color",
        "--request-timeout",
        str(TIMEOUT),
    ]
    command = [sys.executable, "-m", "schemathesis.cli", "run", url, *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=5 * TIMEOUT)
    assert result.returncode == 0, result.stdout + result.stderr
