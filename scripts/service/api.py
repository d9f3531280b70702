"""The HTTP interface: paths, answers and errors."""

import asyncio
import json
import sys
from typing import Any, Awaitable, Callable, Dict, List, Type

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ..compiled_transformer.remote import OCTETS
from .description import ENTITIES, HEALTH, METRICS, VECTORS
from .memory import HoldMemory, Share, make_refusal
from .metrics import CountRequests
from .page import PAGE, render
from .replica import ScoredText
from .requests import (
    BUSY,
    MAX_BODY,
    AnyEntitiesRequest,
    AnyRequest,
    Health,
    Refused,
    WorkersHealth,
    read_docs,
    read_texts,
)

NO_SCORES = (
    "scores: this pipeline does not say how sure it is of entities: that takes one whose ner has `use_upper = false`, and "
    "no component that merges tokens. Ask without."
)
CLIENT_CLOSED = 499  # Nobody reads it; the name comes from nginx.


def make_app(front) -> FastAPI:
    """Make the app of a front.

    front (Front): Answers documents, and has the pipeline, the settings and the metrics.
    RETURNS (FastAPI): The app, which describes itself at /openapi.json.
    """
    app = FastAPI(title=front.pipeline.title, version="1", redoc_url=None, docs_url=None, redirect_slashes=False)
    limits, metrics = front.settings.limits, front.metrics
    app.add_middleware(HoldMemory, memory=front.memory, seconds=limits.seconds)
    app.add_middleware(CountRequests, metrics=metrics)
    app.add_middleware(AnswerHead)

    async def run(request: Request, documents: List[Any], texts: List[str]) -> List[bytes]:
        answers = await unless_gone(request, front.answer(documents, texts, request.scope["share"]))
        metrics.texts.inc(len(texts))
        return answers

    async def read_body(request: Request) -> bytearray:
        front.refuse_if_full()
        share = request.scope["share"]
        try:
            return await asyncio.wait_for(read_chunks(request, share), limits.seconds)
        except asyncio.TimeoutError:
            raise Refused(408, f"The body did not come within {limits.seconds:g} seconds. Send less at once.") from None
        except ClientDisconnect:
            raise Refused(CLIENT_CLOSED, "The client went away.") from None
        except asyncio.CancelledError:
            if not share.is_evicted:
                raise
            asyncio.current_task().uncancel()
            raise make_refusal(front.memory) from None

    async def answer_texts(request: Request, kind: Type[AnyRequest]) -> "tuple[AnyRequest, List[bytes]]":
        asked = read_texts(await read_body(request), kind, limits, front.pipeline.has_spacy_tokenizer)
        is_scored = isinstance(asked, AnyEntitiesRequest) and asked.scores
        if is_scored and not front.pipeline.scores_entities:
            raise Refused(422, NO_SCORES)
        texts = [asked.text] if asked.texts is None else asked.texts
        share = request.scope["share"]
        share.release()  # The body is gone. Its texts take up to four bytes for each of a character.
        share.grow(sum(map(sys.getsizeof, texts)))
        return asked, await run(request, [ScoredText(text) for text in texts] if is_scored else texts, texts)

    if front.settings.encoder_only:

        @app.post("/vectors", **VECTORS)
        async def vectors(request: Request) -> Response:
            """Answer token vectors of texts; of Docs, when a pipeline with the setting `remote` asks."""
            if request.headers.get("content-type") == OCTETS:
                pipeline = front.pipeline
                docs = read_docs(await read_body(request), pipeline.encoder_id, pipeline.encoder, limits)
                answers = await run(request, docs, [doc["text"] for doc in docs])
                return Response(b"".join(answers), media_type=OCTETS)
            _, answers = await answer_texts(request, AnyRequest)
            return make_json(b'{"results":[', b",".join(answers), b"]}")

    else:

        @app.post("/entities", **ENTITIES)
        async def entities(request: Request) -> Response:
            """Answer entities of `text`, or `results` with those of each of `texts`. Offsets count characters."""
            asked, answers = await answer_texts(request, AnyEntitiesRequest)
            if asked.texts is None:
                return make_json(b'{"entities":', answers[0], b"}")
            return make_json(b'{"results":[', b",".join(b'{"entities":%s}' % answer for answer in answers), b"]}")

        @app.get("/", include_in_schema=False)
        async def page() -> HTMLResponse:
            return HTMLResponse(PAGE)

        @app.post("/displacy", include_in_schema=False)
        async def displacy(request: Request) -> HTMLResponse:
            """Answer the text of the page as HTML, with its entities marked."""
            asked, answers = await answer_texts(request, AnyEntitiesRequest)
            if asked.text is None:
                raise Refused(422, 'Send "text".')
            return HTMLResponse(render(asked.text, json.loads(answers[0])))

    @app.get("/live")
    async def live() -> Health:
        """Say that the front takes requests, whether a worker can answer them or not."""
        return Health(status="ok", pipeline=front.pipeline.title)

    @app.get("/health", **HEALTH)
    async def health() -> WorkersHealth:
        """Say how many workers can answer."""
        ready = await front.count_ready()
        if not ready:
            raise Refused(
                503, "No worker is ready. One is being started; if it fails, the service's log says why.", BUSY
            )
        return WorkersHealth(status="ok", pipeline=front.pipeline.title, workers=ready)

    @app.get("/metrics", response_class=PlainTextResponse, **METRICS)
    async def get_metrics() -> Response:
        """Write numbers in Prometheus' text format."""
        return Response(metrics.write(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.exception_handler(Refused)
    async def refuse(request: Request, error: Refused) -> Response:
        if error.status == CLIENT_CLOSED:
            metrics.gone.inc()
        return make_error(error.status, str(error), error.headers)

    @app.exception_handler(HTTPException)
    async def refuse_path(request: Request, error: HTTPException) -> Response:
        paths = ", ".join(sorted({route.path for route in app.routes}))
        hint = f"Use {error.headers['Allow']}" if error.status_code == 405 else f"There are: {paths}"
        return make_error(error.status_code, f"{request.url.path}: {error.detail}. {hint}.", error.headers)

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> Response:
        return make_error(500, "The pipeline failed on this request. The service's log says where.")

    return app


class AnswerHead:
    """Answer HEAD as GET, around an ASGI app. uvicorn leaves out the body."""

    def __init__(self, app: Callable) -> None:
        self.app = app

    async def __call__(self, scope: Dict[str, Any], receive: Callable, send: Callable) -> None:
        await self.app({**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope, receive, send)


async def read_chunks(request: Request, share: Share) -> bytearray:
    """Read a body as it comes.

    share (Share): Holds it.
    RETURNS (bytearray): The body.
    RAISES (Refused): If it is too large, before all of it is in memory.
    """
    body = bytearray()
    share.is_reading = True
    try:
        async for chunk in request.stream():
            body += chunk
            share.grow(len(chunk))
            if len(body) > MAX_BODY:
                raise Refused(413, f"The body is larger than {MAX_BODY // 2**20} MiB. Send less at once.")
    except BaseException:
        body.clear()  # The exception holds it until Python's next garbage collection.
        raise
    share.is_reading = False
    return body


async def unless_gone(request: Request, answer: Awaitable[List[bytes]]) -> List[bytes]:
    """Wait for an answer, or give it up if the client goes away meanwhile.

    RAISES (Refused): If the client went away.
    """
    work = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(wait_until_gone(request))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise Refused(CLIENT_CLOSED, "The client went away.")
    finally:
        gone.cancel()
        work.cancel()
        del gone, work  # An exception of theirs would hold this frame, and this frame them and the texts.


async def wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def make_json(*parts: bytes) -> Response:
    return Response(b"".join(parts), media_type="application/json")


def make_error(status: int, message: str, headers=None) -> Response:
    body = json.dumps({"error": message}, ensure_ascii=False).encode("utf8")
    return Response(body, status_code=status, media_type="application/json", headers=dict(headers or {}))
