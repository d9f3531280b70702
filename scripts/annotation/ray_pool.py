"""Run workers on Ray: on this machine, or on a cluster that is running already."""

import contextlib
import gc
import json
import logging
import threading
from typing import Any, Dict, Iterator, List, NamedTuple

from ..common.console import UserError
from ..common.ray_start import join_cluster, run_ray_here
from ..compiled_transformer.cpu import available_cores
from .annotator import Annotator, AnnotatorSettings
from .records import Chunk
from .settings import PoolSettings

OBJECT_STORE_BYTES = 100_000_000  # Only places and counts go through it; texts are read and written by the workers.
MOST_BLOCKS = 1_000  # Ray keeps an object for each.
JOIN_SECONDS = 30
MOST_DEATHS = 10  # Of workers that die in a row while they start.


class Pool(NamedTuple):
    """Workers and what each of them gets."""

    workers: int
    threads: int
    gpus: float


@contextlib.contextmanager
def start_ray(most_workers: int, settings: PoolSettings) -> Iterator[Pool]:
    """Start Ray on this machine, or join a cluster, as long as the block lasts; if this process has it, use that.

    most_workers (int): Workers for which there is something to do.
    settings (PoolSettings): The workers that are asked for.
    YIELDS (Pool): The workers to use.
    RAISES (UserError): If Ray is not installed, the cluster can't be reached, or has not what is asked for.
    """
    # Ray counts CPUs to place workers; more of them than cores may be asked for.
    n_cpus = max(available_cores(), (settings.workers or 1) * (settings.threads or 1))
    running = join_cluster(settings.address) if settings.address else run_ray_here(OBJECT_STORE_BYTES, n_cpus)
    with running:
        try:
            yield get_pool(most_workers, settings)
        finally:
            join_threads()


def join_threads() -> None:
    """Wait for the threads that Ray Data leaves behind: one that reaches for Ray after its end would end this process."""
    for thread in threading.enumerate():
        if thread.name.startswith(("StreamingExecutor", "ray-data")):
            thread.join(JOIN_SECONDS)


def get_pool(most_workers: int, settings: PoolSettings) -> Pool:
    """Choose the workers for what a running Ray has."""
    import ray
    import ray.data

    # Ray Data says what it plans; the command has its own progress bar.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False
    ray.data.DataContext.get_current().max_consecutive_actor_init_deaths = MOST_DEATHS
    resources = ray.cluster_resources()
    most_cores = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    return choose_pool(most_workers, settings, int(resources.get("CPU", 0)), most_cores, resources.get("GPU", 0.0))


def choose_pool(most_workers: int, settings: PoolSettings, n_cores: int, most_cores: int, n_gpus: float) -> Pool:
    """Divide cores and GPUs among workers.

    most_workers (int): Workers for which there is something to do: fewer of them get more threads each.
    settings (PoolSettings): The workers that are asked for.
    n_cores (int): Cores of all machines.
    most_cores (int): Cores of the largest machine, which is as many as a worker can have.
    n_gpus (float): GPUs of all machines.
    RETURNS (Pool): The workers.
    RAISES (UserError): If there are too few of them, for which Ray would wait for ever.
    """
    workers, threads, gpus = settings.workers, settings.threads, settings.gpus_per_worker
    if workers is None:
        workers = int(n_gpus / gpus) if gpus else max(1, n_cores // (threads or 1))
    if not workers or workers * gpus > n_gpus:
        raise UserError(
            f"{workers or 'One or more'} workers with {gpus:g} GPUs each are asked for, but Ray finds {n_gpus:g} GPUs. "
            "Ask for fewer with `--workers` or `--gpus-per-worker`."
        )
    workers = min(workers, most_workers)
    threads = threads or max(1, min(n_cores // workers, most_cores))
    if workers * threads > n_cores or threads > most_cores:
        raise UserError(
            f"{workers} workers with {threads} threads each are asked for, but Ray finds {n_cores} cores, at most "
            f"{most_cores} on a machine. "
            "Ask for fewer with `--workers` or `--threads`."
        )
    return Pool(workers, threads, gpus)


def run_chunks(
    chunks: List[Chunk], pool: Pool, settings: AnnotatorSettings, keep_order: bool
) -> Iterator[Dict[str, Any]]:
    """Annotate chunks in a pool of actors; Ray starts a worker that dies again, and gives its chunks out again.

    chunks (List[Chunk]): The chunks that are not done yet.
    pool (Pool): The workers.
    settings (AnnotatorSettings): What the workers annotate, and with what.
    keep_order (bool): Yield the results in the order of the chunks, rather than as they come.
    YIELDS (Dict[str, Any]): The results of the workers, see `Annotator.process`.
    RAISES (UserError): If workers die again and again.
    """
    import ray
    import ray.data

    ray.data.DataContext.get_current().execution_options.preserve_order = keep_order
    rows = [{"chunk": json.dumps(chunk)} for chunk in chunks]
    dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS)).map_batches(
        Annotator,
        fn_constructor_args=(settings, pool.threads, pool.gpus > 0),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=pool.workers),
        num_cpus=pool.threads,
        num_gpus=pool.gpus or None,
    )
    results = iter(dataset.iter_rows())
    try:
        for row in results:
            yield json.loads(row["entry"])
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(
            f"Workers failed again and again: {reason.rstrip('.')}. Finished parts are kept: find out why, for instance "
            "too little memory, and give the same command again."
        ) from error
    finally:
        # A run that was given up stops when it is freed, and it holds itself alive.
        del results, dataset
        gc.collect()
