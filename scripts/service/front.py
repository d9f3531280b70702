"""The front: takes HTTP requests, gathers them into batches, and gives the batches to the replicas.

It listens itself, and not through the HTTP proxy of Ray Serve: that one would make an actor call of every request,
which takes more CPU time than a sentence takes in the pipeline. Here only a batch is an actor call.
"""

import asyncio
import math
import socket
from functools import partial
from pathlib import Path
from typing import Any, List, Sequence

import uvicorn
from ray import serve
from ray.exceptions import RayError
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ReplicaState

from ..common.texts import find_long_run
from .api import make_app
from .batcher import Batcher
from .memory import Memory, Share, give_back_large_blocks, make_answer_refusal
from .metrics import Metrics
from .protocol import IDLE_SECONDS, Protocol
from .replica import AnswerTooLong
from .requests import BUSY, Refused
from .served_pipeline import ServedPipeline
from .settings import ServiceSettings, get_family
from .wordpiece_counts import read_counter

DRAIN_SECONDS = 1  # For clients to see that their connections end with the next answer, when it stops.
GRACE = 5  # Seconds to send the last answers then.
BACKLOG = 2048
BATCHES_PER_REPLICA = 2  # One runs, the next one is there already.
MANY = 10_000  # Characters whose wordpieces are counted aside, so that the other requests don't wait.
LONG_DOCUMENT = 2048  # Wordpieces of a document that runs where short ones don't wait for it.
LONG_RUN = 500  # Characters without white space that make a document one: spaCy's tokenizer is quadratic in them.
HEALTH_SECONDS = 5  # For Ray Serve to say how many replicas there are.


class Front:
    """Ray Serve runs it as a deployment with one replica.

    replicas (DeploymentHandle): The replicas.
    long_replicas (DeploymentHandle): Those that run long documents; may be the same.
    pipeline (ServedPipeline): The pipeline that they have loaded.
    """

    def __init__(
        self,
        replicas: DeploymentHandle,
        long_replicas: DeploymentHandle,
        pipeline: ServedPipeline,
        settings: ServiceSettings,
    ) -> None:
        self.pipeline = pipeline
        self.settings = settings
        give_back_large_blocks()
        self.memory = Memory(settings.limits.memory)
        self.metrics = Metrics(lambda: self._waiting, lambda: self.memory.held)
        self._waiting = self._long_waiting = 0
        self._replicas = replicas
        self._count_wordpieces = read_counter(Path(pipeline.artefact))
        self._batcher = self._long_batcher = self._make_batcher(replicas, settings.workers)
        if settings.long_workers:
            self._long_batcher = self._make_batcher(long_replicas, settings.long_workers)

    def _make_batcher(self, replicas: DeploymentHandle, workers: int) -> Batcher:
        slots = workers * BATCHES_PER_REPLICA
        return Batcher(partial(self._ask, replicas), self.settings.batch_wordpieces, slots, self.metrics)

    async def reconfigure(self, _) -> None:
        """Open the port as soon as a replica is there. Ray Serve calls it at every start, also after a crash.

        RAISES (OSError): If it can't be opened.
        """
        settings = self.settings
        await self._ask(self._replicas, [])
        listener = socket.create_server(
            (settings.host, settings.port), family=get_family(settings.host), backlog=BACKLOG
        )
        config = uvicorn.Config(
            make_app(self),
            http=Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=math.ceil(settings.limits.seconds) + GRACE,
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def drain(self) -> None:
        """Take no more connections, and finish what is running."""
        Protocol.is_draining = True
        await asyncio.sleep(DRAIN_SECONDS)
        self._server.should_exit = True
        await self._serving

    async def count_ready(self) -> int:
        """Ask Ray Serve how many replicas have loaded the pipeline and live.

        RETURNS (int): 0 also if Ray Serve does not answer, and when the service stops.
        """
        if Protocol.is_draining:
            return 0
        try:
            status = await asyncio.wait_for(asyncio.to_thread(serve.status), HEALTH_SECONDS)
        except (RayError, asyncio.TimeoutError):
            return 0
        replicas = status.applications[self._replicas.app_name].deployments[self._replicas.deployment_name]
        return replicas.replica_states.get(ReplicaState.RUNNING, 0)

    async def answer(self, documents: Sequence[Any], texts: List[str], share: Share) -> List[bytes]:
        """Answer a request's documents.

        texts (List[str]): Their texts.
        share (Share): Holds the answers.
        RETURNS (List[bytes]): The answer to each.
        RAISES (Refused): If too many requests wait already, it takes too long, or the pipeline fails.
        """
        if not documents:
            return []
        self.refuse_if_full()
        seconds = self.settings.limits.seconds
        self._waiting += 1
        try:
            return await asyncio.wait_for(self._run(documents, texts, share), seconds)
        except asyncio.TimeoutError:
            raise Refused(504, f"There was no answer within {seconds:g} seconds. Send less, or try later.") from None
        finally:
            self._waiting -= 1

    def refuse_if_full(self) -> None:
        """Refuse a request if too many wait already."""
        if self._waiting >= self.settings.limits.queue:
            raise Refused(503, f"{self._waiting} requests are waiting already. Try again in a second.", BUSY)

    async def _run(self, documents: Sequence[Any], texts: List[str], share: Share) -> List[bytes]:
        if sum(map(len, texts)) < MANY:
            lengths = self._count_wordpieces(texts)
        else:
            lengths = await asyncio.to_thread(self._count_wordpieces, texts)
        if not self._is_long(texts, lengths):
            return await self._batcher.run(documents, lengths, share.grow_answer)
        if self._long_waiting >= max(1, self.settings.limits.queue // 2):
            raise Refused(503, f"{self._long_waiting} long texts are waiting already. Try again in a second.", BUSY)
        self._long_waiting += 1
        try:
            return await self._long_batcher.run(documents, lengths, share.grow_answer)
        finally:
            self._long_waiting -= 1

    def _is_long(self, texts: List[str], lengths: List[int]) -> bool:
        if max(lengths) > LONG_DOCUMENT:
            return True
        return self.pipeline.has_spacy_tokenizer and any(find_long_run(text, LONG_RUN) for text in texts)

    async def _ask(self, replicas: DeploymentHandle, documents: List[Any]) -> List[bytes]:
        try:
            return await replicas.run.remote(documents)
        except AnswerTooLong as error:
            raise make_answer_refusal(self.memory.max_answer) from error
