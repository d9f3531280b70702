"""What clients may send, and how they are told that they may not."""

from typing import Any, Dict, List, Optional, Type, TypeVar

import numpy
import srsly
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..common.texts import MAX_RUN, find_long_run
from .settings import Limits

MAX_BODY = 32 * 2**20  # Bytes


BUSY = {"Retry-After": "1"}


class Refused(Exception):
    """A request that is not answered. Its message goes to the client: one sentence, without the texts.

    status (int): HTTP status.
    """

    def __init__(self, status: int, message: str, headers: Optional[Dict[str, str]] = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class TextRequest(BaseModel):
    """One text."""

    model_config = ConfigDict(extra="forbid", strict=True)
    text: str


class TextsRequest(BaseModel):
    """Several texts."""

    model_config = ConfigDict(extra="forbid", strict=True)
    texts: List[str]


SCORES = Field(default=False, description="Say how sure the pipeline is of each entity")


class EntitiesRequest(TextRequest):
    """One text whose entities are asked for."""

    scores: bool = SCORES


class ManyEntitiesRequest(TextsRequest):
    """Several texts whose entities are asked for."""

    scores: bool = SCORES


class AnyRequest(BaseModel):
    """One text, or several: read at once, so that an error says what is wrong with the field that was sent."""

    model_config = ConfigDict(extra="forbid", strict=True)
    text: Optional[str] = None
    texts: Optional[List[str]] = None


class AnyEntitiesRequest(AnyRequest):
    """The same, where entities are asked for."""

    scores: bool = SCORES


Asked = TypeVar("Asked", bound=AnyRequest)


class Entity(BaseModel):
    start: int = Field(description="First character in the text")
    end: int = Field(description="Character after the last")
    label: str
    text: str
    score: Optional[float] = Field(
        default=None,
        description="From 0 to 1, where `scores` is true; null if no component that says how sure it is found the entity",
    )


class TextEntities(BaseModel):
    entities: List[Entity]


class TextsEntities(BaseModel):
    results: List[TextEntities] = Field(description="One for each of `texts`, in their order")


class TextVectors(BaseModel):
    tokens: List[str]
    vectors: List[List[float]] = Field(description="One for each token")


class TextsVectors(BaseModel):
    results: List[TextVectors] = Field(description="One for each text, in their order")


class Health(BaseModel):
    status: str
    pipeline: str = Field(description="Name and version")


class WorkersHealth(Health):
    workers: int = Field(description="Those that can answer")


class Error(BaseModel):
    error: str = Field(description="What was wrong, and what to do")


def read_texts(body: bytearray, kind: Type[Asked], limits: Limits, has_spacy_tokenizer: bool) -> Asked:
    """Read a JSON body.

    kind (Type[Asked]): What it may hold.
    has_spacy_tokenizer (bool): Refuse runs of characters without white space that keep it too busy.
    RAISES (Refused): If it is not JSON (400), not as it should be (422), or too much (413).
    """
    try:
        request = kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise Refused(400, f'The body is not JSON ({first["msg"]}). Send {{"text": "..."}}.') from None
        where = ".".join(str(part) for part in first["loc"]) or "The body"
        raise Refused(422, f'{where}: {first["msg"]}. Send {{"text": "..."}} or {{"texts": ["...", "..."]}}.') from None
    if len(request.model_fields_set & {"text", "texts"}) != 1 or (request.text is None and request.texts is None):
        raise Refused(422, 'Send either "text" or "texts", and not null.')
    texts = [request.text] if request.texts is None else request.texts
    check_limits(texts, limits)
    if has_spacy_tokenizer:
        check_runs(texts)
    return request


def check_limits(texts: List[str], limits: Limits) -> None:
    """Check the texts of a request.

    RAISES (Refused): If there are too many, or one is too long.
    """
    if len(texts) > limits.texts:
        raise Refused(413, f"{len(texts)} texts in one request are too many. Send up to {limits.texts} at once.")
    for number, text in enumerate(texts, 1):
        if len(text) > limits.characters:
            raise Refused(
                413,
                f"Text {number} has {len(text)} characters, more than the {limits.characters} that are allowed. "
                "Cut it, start the service with more `--max-characters`, or use `python -m scripts.annotate`.",
            )


def check_runs(texts: List[str]) -> None:
    """Check the texts of a request for runs of characters without white space.

    RAISES (Refused): If one is too long.
    """
    for number, text in enumerate(texts, 1):
        run = find_long_run(text)
        if run is not None:
            raise Refused(
                413,
                f"Text {number} has {run} characters without white space between them, more than the {MAX_RUN} that "
                "are allowed. Put white space between words, or leave out what is no text.",
            )


def read_docs(body: bytearray, encoder_id: str, encoder: str, limits: Limits) -> List[Dict[str, Any]]:
    """Read what `compiled_transformer.remote.RemoteEncoder` sends.

    encoder_id (str): Of the encoder that runs here.
    encoder (str): The same in words.
    RAISES (Refused): If it is something else (400, 422), meant for another encoder (409), or too much (413).
    """
    try:
        request = srsly.msgpack_loads(bytes(body))
    except Exception:  # Of many kinds.
        raise Refused(400, "The body is not msgpack. Run the same version of the project here and there.") from None
    try:
        expected, docs = request["encoder"], request["docs"]
        valid = all(is_packed_doc(doc) for doc in docs)
    except (TypeError, KeyError, ValueError, AttributeError):
        expected, docs, valid = None, [], False
    if not valid:
        raise Refused(422, "The body is not a list of Docs. Run the same version of the project here and there.")
    if expected != encoder_id:
        raise Refused(
            409,
            f"it runs another encoder than the one this pipeline was made with, or with other windows ({encoder}). "
            "Serve the pipeline that this one comes from.",
        )
    check_limits([doc["text"] for doc in docs], limits)
    return docs


def is_packed_doc(doc: Dict[str, Any]) -> bool:
    """Tell whether the tokens cover the text in order, with at most one space between them."""
    text = doc["text"]
    tokens = numpy.frombuffer(doc["tokens"], dtype="<i4").reshape(-1, 2).astype("int64")
    starts, ends = tokens[:, 0], tokens.sum(axis=1)
    gaps = numpy.append(starts, len(text)) - numpy.append([0], ends)
    is_covered = bool(((gaps >= 0) & (gaps <= 1)).all()) and gaps[0] == 0 and bool((tokens[:, 1] > 0).all())
    return isinstance(text, str) and is_covered and len(doc.get("sents", tokens)) == len(tokens)
