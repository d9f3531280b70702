"""How the service describes itself at /openapi.json."""

from typing import Any, Dict

from .requests import Error, TextEntities, TextRequest, TextsEntities, TextsRequest, TextsVectors

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
JSON_BODY = {
    "application/json": {
        "schema": {"oneOf": [TextRequest.model_json_schema(), TextsRequest.model_json_schema()]},
        "examples": {
            "text": {"value": {"text": "Ada met Karl."}},
            "texts": {"value": {"texts": ["Ada met Karl.", "Karl is in London."]}},
        },
    }
}

ENTITIES: Dict[str, Any] = {
    "responses": {200: {"model": TextEntities | TextsEntities}, **ERROR_RESPONSES},
    "openapi_extra": {"requestBody": {"required": True, "content": JSON_BODY}},
}
# The bytes that pipelines with the setting `remote` send are between two copies of this project.
VECTORS: Dict[str, Any] = {
    "responses": {200: {"model": TextsVectors}, **ERROR_RESPONSES},
    "openapi_extra": {"requestBody": {"required": True, "content": JSON_BODY}},
}
HEALTH: Dict[str, Any] = {"responses": {503: {"model": Error, "description": "No worker can answer"}}}
METRICS: Dict[str, Any] = {"responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}}
