"""Run workers on Ray: on this machine, or on a cluster that is running already."""

import contextlib
import gc
import json
import logging
import os
import threading
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from ..common.console import UserError
from ..common.project import ROOT
from ..compiled_transformer.cpu import available_cores
from .records import Chunk

INSTALL = "pip install -r requirements-scale.txt"
OBJECT_STORE_BYTES = 100_000_000  # Only places and counts go through it; texts are read and written by the workers.
MOST_BLOCKS = 1_000  # Ray keeps an object for each.
JOIN_SECONDS = 30
MOST_DEATHS = 10  # Of workers that die in a row while they start.

# Read when Ray is imported. No usage statistics, no messages and progress bars of its own.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


class Pool(NamedTuple):
    """Workers and what each of them gets."""

    workers: int
    threads: int
    gpus: float


@contextlib.contextmanager
def start_ray(
    address: Optional[str], most_workers: int, workers: Optional[int], threads: Optional[int], gpus: float
) -> Iterator[Pool]:
    """Start Ray on this machine, or join a cluster, as long as the block lasts; if this process has it, use that.

    address (Optional[str]): Address of a cluster; without one Ray is started here, for this run only.
    most_workers (int): Workers for which there is something to do.
    workers (Optional[int]): Number of workers; by default one for each core, or for each GPU's share.
    threads (Optional[int]): Threads of a worker; by default the cores, divided among the workers.
    gpus (float): GPUs of a worker, also a part of one.
    YIELDS (Pool): The workers to use.
    RAISES (UserError): If Ray is not installed, the cluster can't be reached, or has not what is asked for.
    """
    os.environ.update(ENVIRONMENT)
    if address is None:
        # Without it Ray listens on all interfaces, whatever address it is given, and runs what anybody sends.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(f"Ray can't be imported ({error}). Install it: {INSTALL}") from error
    if ray.is_initialized() and address is None:
        yield get_pool(ray, most_workers, workers, threads, gpus)
        return
    options: Dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
    if address is None:
        # The raylet and its workers inherit it.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        options.update(address="local", _node_ip_address="127.0.0.1", object_store_memory=OBJECT_STORE_BYTES)
        # Ray counts CPUs to place workers; more of them than cores may be asked for.
        options["num_cpus"] = max(available_cores(), (workers or 1) * (threads or 1))
    else:
        options = {**options, "address": address, "runtime_env": {"env_vars": {"PYTHONPATH": str(ROOT)}}}
        del options["include_dashboard"]
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"Ray does not start, or there is none at {address}: {error}") from error
    try:
        yield get_pool(ray, most_workers, workers, threads, gpus)
    finally:
        join_threads()
        ray.shutdown()


def join_threads() -> None:
    """Wait for the threads that Ray Data leaves behind: one that reaches for Ray after its end would end this process."""
    for thread in threading.enumerate():
        if thread.name.startswith(("StreamingExecutor", "ray-data")):
            thread.join(JOIN_SECONDS)


def get_pool(ray: Any, most_workers: int, workers: Optional[int], threads: Optional[int], gpus: float) -> Pool:
    """RETURNS (Pool): The workers for what a running Ray has."""
    # Ray Data says what it plans; the command has its own progress bar.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False
    ray.data.DataContext.get_current().max_consecutive_actor_init_deaths = MOST_DEATHS
    resources = ray.cluster_resources()
    most_cores = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    n_cores, n_gpus = int(resources.get("CPU", 0)), resources.get("GPU", 0.0)
    return choose_pool(most_workers, workers, threads, gpus, n_cores, most_cores, n_gpus)


def choose_pool(
    most_workers: int,
    workers: Optional[int],
    threads: Optional[int],
    gpus: float,
    n_cores: int,
    most_cores: int,
    n_gpus: float,
) -> Pool:
    """Divide cores and GPUs among workers.

    most_workers (int): Workers for which there is something to do: fewer of them get more threads each.
    n_cores (int): Cores of all machines.
    most_cores (int): Cores of the largest machine, which is as many as a worker can have.
    n_gpus (float): GPUs of all machines.
    RETURNS (Pool): The workers.
    RAISES (UserError): If there are too few of them, for which Ray would wait for ever.
    """
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


def run_chunks(chunks: List[Chunk], pool: Pool, settings: Dict[str, Any], keep_order: bool) -> Iterator[Dict[str, Any]]:
    """Annotate chunks in a pool of actors; Ray starts a worker that dies again, and gives its chunks out again.

    chunks (List[Chunk]): The chunks that are not done yet.
    pool (Pool): The workers.
    settings (Dict[str, Any]): Settings of the workers.
    keep_order (bool): Yield the results in the order of the chunks, rather than as they come.
    YIELDS (Dict[str, Any]): The results of the workers, see `Annotator.process`.
    RAISES (UserError): If workers die again and again.
    """
    import ray
    import ray.data

    from .annotator import Annotator

    ray.data.DataContext.get_current().execution_options.preserve_order = keep_order
    rows = [{"chunk": json.dumps(chunk)} for chunk in chunks]
    dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS)).map_batches(
        Annotator,
        fn_constructor_args=(settings,),
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
