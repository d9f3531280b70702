"""Ray: started on this machine for one program, or a cluster that is running already."""

import contextlib
import logging
import os
import secrets
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

from .console import UserError
from .project import ROOT

INSTALL = "pip install -r requirements-scale.txt"
# No usage statistics, no metrics, no messages and progress bars of Ray's own; a machine without a GPU is no reason to
# hide one later.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# Who reaches Ray's own ports can run programs. So they are open to this machine only, as on Windows and macOS always
# (on Linux `ray.init` replaces 127.0.0.1 by the address in the network), and all of them, also those that Ray Serve
# opens to the network nevertheless, to nobody without the token.
LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def import_ray(*, here: bool) -> Any:
    """Import Ray, after the environment is set that it reads while it is imported.

    here (bool): Ray is to be started on this machine.
    RETURNS (Any): The module.
    RAISES (UserError): If it is not installed.
    """
    os.environ.update(ENVIRONMENT)
    if here:
        os.environ[LOOPBACK_ONLY] = "0"
    try:
        import ray
    except ImportError as error:
        raise UserError(f"Ray can't be imported ({error}). Install it: {INSTALL}") from error
    return ray


@contextlib.contextmanager
def run_ray_here(
    object_store_memory: int, num_cpus: Optional[int] = None, niceness: Optional[int] = None
) -> Iterator[None]:
    """Run Ray on this machine as long as the block lasts; if this process has one, use that.

    Its token is in memory only. Without one Ray would write a token into the home folder, which from then on every
    cluster that is started there asks for.

    object_store_memory (int): Bytes for what goes from one process to another.
    num_cpus (Optional[int]): CPUs that Ray counts with; by default those that it finds.
    niceness (int): How much of the CPU its workers leave to others, as `os.nice` takes it; by default what Ray is told or has.
    RAISES (UserError): If Ray is not installed, or does not start.
    """
    ray = import_ray(here=True)
    if ray.is_initialized():
        yield
        return
    # The raylet and its workers inherit all of it.
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    priority = {} if niceness is None else {"RAY_worker_niceness": str(niceness)}
    with (
        environment({MODE: "token", TOKEN: secrets.token_hex(), "PYTHONPATH": python_path, **priority}),
        no_api_server(),
        initialized(
            "Ray does not start",
            address="local",
            _node_ip_address="127.0.0.1",
            include_dashboard=False,
            object_store_memory=object_store_memory,
            num_cpus=num_cpus,
        ),
    ):
        yield


@contextlib.contextmanager
def no_api_server() -> Iterator[None]:
    """Let Ray start without its API server.

    Without a dashboard, all that it does is to ask the metadata services of several clouds where it runs, name look-up
    included, also where statistics are switched off. There is no setting for it; Ray itself knows "not started".
    """
    from ray._private import services

    start = services.start_api_server
    services.start_api_server = lambda *arguments, **options: ("", None)
    try:
        yield
    finally:
        services.start_api_server = start


@contextlib.contextmanager
def join_cluster(address: str) -> Iterator[None]:
    """Be part of a running cluster as long as the block lasts.

    Where this user has a token, in the environment or in the home folder, it is sent. That is what `ray start` asks for,
    and `ray.init` sends it only if it finds the cluster itself.

    address (str): Its address.
    RAISES (UserError): If Ray is not installed, or the cluster can't be reached.
    """
    import_ray(here=False)
    has_token = TOKEN in os.environ or TOKEN_PATH in os.environ or (Path.home() / ".ray" / "auth_token").is_file()
    mode = os.environ.get(MODE) or ("token" if has_token else "disabled")
    reason = f"Can't join a Ray cluster at {address} ({'with' if mode == 'token' else 'without'} a token)"
    with (
        environment({MODE: mode}),
        initialized(reason, address=address, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}}),
    ):
        yield


@contextlib.contextmanager
def environment(values: Dict[str, str]) -> Iterator[None]:
    """Change the environment as long as the block lasts, and have Ray read who may use it there again."""
    from ray._raylet import AuthenticationTokenLoader, Config

    def read_again() -> None:
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()

    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    read_again()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        read_again()


@contextlib.contextmanager
def initialized(complaint: str, **options: Any) -> Iterator[None]:
    """Have Ray as long as the block lasts.

    complaint (str): What is wrong if it can't be had.
    options (Any): Those of `ray.init`.
    RAISES (UserError): If it can't be had.
    """
    import ray

    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(f"{complaint}: {' '.join(str(error).split()).rstrip('.')}.") from error
    try:
        yield
    finally:
        ray.shutdown()
