"""Start Ray on this machine, run the front and the replicas on it, and stop all of it."""

import contextlib
import logging
import signal
from typing import Iterator, Sequence

from ..common.ray_start import import_ray, run_ray_here

import_ray(here=True)  # Sets what Ray Serve reads while it is imported.

import ray  # noqa: E402
from ray import serve  # noqa: E402
from ray.serve.config import HTTPOptions  # noqa: E402
from ray.serve.handle import DeploymentHandle  # noqa: E402
from ray.serve.schema import DeploymentStatus, LoggingConfig  # noqa: E402

from ..common.console import UserError  # noqa: E402
from .front import BATCHES_PER_REPLICA, Front  # noqa: E402
from .replica import Replica  # noqa: E402
from .served_pipeline import ServedPipeline  # noqa: E402
from .settings import ServiceSettings  # noqa: E402

NAME = "entities"
OBJECT_STORE = 512 * 2**20  # Bytes, for token vectors on their way from a replica to the front.
UNLIMITED = 1_000_000  # The front counts by itself.
LONG_DOCUMENTS = "LongDocuments"
LONG_NICENESS = 10  # A tenth of the CPU where the others want all of it, and what they leave otherwise.


@contextlib.contextmanager
def run(
    pipeline: ServedPipeline, settings: ServiceSettings, *, threads: int, blocked_signals: Sequence[signal.Signals]
) -> Iterator[None]:
    """Serve inside the block. When it ends, what is running is finished.

    pipeline (ServedPipeline): The pipeline.
    threads (int): Threads of each replica's engine.
    blocked_signals (Sequence[signal.Signals]): What the service's other processes must not be stopped by. A service
        manager sends a signal to all processes at once, and answers would be lost if they ended before the front.
    RAISES (UserError): If a replica can't load the pipeline, or there are too few GPUs.
    """
    with contextlib.ExitStack() as stack:
        with inherited_block(blocked_signals):
            stack.enter_context(run_ray_here(OBJECT_STORE, niceness=0))
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        gpus = ray.cluster_resources().get("GPU", 0)
        if settings.gpus_per_worker * settings.workers > gpus:
            raise UserError(
                f"{settings.workers} workers with {settings.gpus_per_worker:g} GPUs each were asked for, but Ray finds {gpus:g} "
                "GPUs here. Lower --workers or --gpus-per-worker."
            )
        front = deploy(pipeline, settings, threads)
        yield
        front.drain.remote().result()


@contextlib.contextmanager
def inherited_block(signals: Sequence[signal.Signals]) -> Iterator[None]:
    """Block signals inside the block, in this thread, and for good in the processes that are started there."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def deploy(pipeline: ServedPipeline, settings: ServiceSettings, threads: int) -> DeploymentHandle:
    """Start the replicas and the front.

    Long documents have replicas of their own: a text that takes seconds would hold up all that come after it. On GPUs
    they have not: one would need a GPU of its own.

    RETURNS (DeploymentHandle): The front, which listens. Its replicas have loaded the pipeline.
    RAISES (UserError): If they can't.
    """
    logs = LoggingConfig(log_level="ERROR", enable_access_log=False)
    serve.start(http_options=HTTPOptions(location="NoServer"), logging_config=logs)
    gpus = settings.gpus_per_worker
    make_replicas = serve.deployment(
        Replica,
        max_constructor_retry_count=1,
        health_check_period_s=1,
        max_ongoing_requests=BATCHES_PER_REPLICA,
        # The engines' threads are divided by hand, so Ray has no cores to count.
        ray_actor_options={"num_cpus": 0, "num_gpus": gpus},
        logging_config=logs,
    )
    replicas = make_replicas.options(num_replicas=settings.workers).bind(
        pipeline, threads, gpus > 0, settings.encoder_only, settings.limits
    )
    long_replicas = replicas
    if settings.long_workers:
        long_replicas = make_replicas.options(name=LONG_DOCUMENTS, num_replicas=settings.long_workers).bind(
            pipeline, threads, False, settings.encoder_only, settings.limits, LONG_NICENESS
        )
    front = serve.deployment(
        Front, max_ongoing_requests=UNLIMITED, ray_actor_options={"num_cpus": 0}, logging_config=logs, user_config={}
    ).bind(replicas, long_replicas, pipeline, settings)
    try:
        return serve.run(front, name=NAME, route_prefix=None)
    except RuntimeError as error:
        raise UserError(f"{pipeline.name} can't be served: {get_reason(error)}.") from error


def get_reason(error: RuntimeError) -> str:
    """Find out why the service did not start: the last line of the error in one of its processes."""
    deployments = serve.status().applications[NAME].deployments.values()
    failed = [found.message for found in deployments if found.status == DeploymentStatus.DEPLOY_FAILED]
    lines = [line.strip() for message in (failed or [str(error)]) for line in message.splitlines() if line.strip()]
    return lines[-1].rstrip(".")
