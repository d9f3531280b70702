"""How the service describes itself at /openapi.json."""

from typing import Any, Dict, Type

from pydantic import BaseModel

from .requests import (
    EntitiesRequest,
    Error,
    ManyEntitiesRequest,
    TextEntities,
    TextRequest,
    TextsEntities,
    TextsRequest,
    TextsVectors,
)

ERRORS = {
    400: "Not JSON",
    408: "The body came too slowly",
    413: "Too many texts, one too long or with too many characters without white space, or too long an answer",
    422: "Wrong fields or types",
    500: "The pipeline failed",
    503: "Too many requests are waiting; the header Retry-After says for how many seconds to wait",
    504: "It took too long",
}
ERROR_RESPONSES: Dict[Any, Dict[str, Any]] = {
    status: {"model": Error, "description": text} for status, text in ERRORS.items()
}
EXAMPLES = {
    "text": {"value": {"text": "Ada met Karl."}},
    "texts": {"value": {"texts": ["Ada met Karl.", "Karl is in London."]}},
}


def describe_body(*kinds: Type[BaseModel]) -> Dict[str, Any]:
    """Describe a body that is of one of several kinds."""
    schema = {"oneOf": [kind.model_json_schema() for kind in kinds]}
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "examples": EXAMPLES}}}
    }


ENTITIES: Dict[str, Any] = {
    "responses": {200: {"model": TextEntities | TextsEntities}, **ERROR_RESPONSES},
    "openapi_extra": describe_body(EntitiesRequest, ManyEntitiesRequest),
}
# The bytes that pipelines with the setting `remote` send are between two copies of this project.
VECTORS: Dict[str, Any] = {
    "responses": {200: {"model": TextsVectors}, **ERROR_RESPONSES},
    "openapi_extra": describe_body(TextRequest, TextsRequest),
}
HEALTH: Dict[str, Any] = {"responses": {503: {"model": Error, "description": "No worker can answer"}}}
METRICS: Dict[str, Any] = {"responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}}
