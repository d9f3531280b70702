"""Serve a compiled pipeline over HTTP: entities of texts, or token vectors for other pipelines.

The data flow of a request: HTTP -> front (limits, batches of wordpieces) -> replica (one loaded pipeline) -> JSON
"""

import contextlib
import signal
import socket
import sys
import threading
from typing import Iterator

import typer
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .common.console import UserError, exit_on_user_error
from .common.texts import MAX_RUN
from .compiled_transformer.cpu import available_cores
from .service.settings import MAX_HEAD, Limits, ServiceSettings, get_family

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve_cli(
    # fmt: off
    pipeline: str = Arg(..., help="Folder of the compiled pipeline, or name of its installed package"),
    host: str = Opt("127.0.0.1", "--host", help="Address to listen on; 0.0.0.0 for all of this machine's"),
    port: int = Opt(8000, "--port", "-p", min=0, max=65535, help="Port to listen on; 0 takes a free one"),
    workers: int = Opt(
        1, "--workers", "-w", min=1, help="Loaded pipelines, which share the cores; another takes long texts"
    ),
    gpus_per_worker: float = Opt(0, "--gpus-per-worker", min=0, help="GPUs of a worker, also a part; 0: the CPU"),
    encoder_only: bool = Opt(False, "--encoder-only", help="Answer token vectors, for the setting 'remote'"),
    batch_wordpieces: int = Opt(4096, "--batch-wordpieces", min=0, help="Most in a batch; 0 runs each request alone"),
    max_characters: int = Opt(
        100_000, "--max-characters", min=1, help=f"Longest text; at most {MAX_RUN} characters of it without white space"
    ),
    max_texts: int = Opt(256, "--max-texts", min=1, help="Most texts of a request"),
    max_queue: int = Opt(256, "--max-queue", min=1, help="Requests that may wait or run; more are answered with 503"),
    timeout: float = Opt(
        60, "--timeout", min=0.001, help="Seconds for an answer; a worker that takes longer for a batch is replaced"
    ),
    max_memory: int = Opt(
        512,
        "--max-memory",
        min=1,
        help=f"MiB that bodies and answers may take together, one answer a fourth; headers have {MAX_HEAD // 1024} KiB",
    ),
    # fmt: on
):
    """Serve a compiled pipeline over HTTP until SIGTERM or Ctrl+C, then finish what is running.

    POST /entities, a page at /, GET /health, /live and /metrics, a description at /openapi.json. With --encoder-only
    POST /vectors instead of the first two. Only programs on this machine can ask, unless --host says otherwise.
    """
    with exit_on_user_error():
        serve(
            pipeline,
            ServiceSettings(
                host=host,
                port=port,
                workers=workers,
                gpus_per_worker=gpus_per_worker,
                encoder_only=encoder_only,
                batch_wordpieces=batch_wordpieces,
                limits=Limits(max_characters, max_texts, max_queue, timeout, max_memory * 2**20),
            ),
        )


def serve(pipeline: str, settings: ServiceSettings) -> None:
    """Serve a pipeline until a signal stops it. Call it in the main thread.

    pipeline (str): Folder or name of an installed package.
    settings (ServiceSettings): How to listen, batch and limit.
    RAISES (UserError): If Ray is missing, the pipeline can't be loaded, or the port can't be opened.
    """
    try:
        from .service import deployment
        from .service.served_pipeline import find_served_pipeline
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "scripts":
            raise
        raise UserError(
            f"{error.name} is not installed, which serving needs. Install it: pip install -r requirements-scale.txt"
        ) from error
    served = find_served_pipeline(pipeline, settings.encoder_only)
    stopped = threading.Event()
    threads = max(1, available_cores() // settings.workers)
    with (
        reserve_port(settings.host, settings.port) as port,
        deployment.run(served, settings._replace(port=port), threads=threads, blocked_signals=STOP_SIGNALS),
    ):
        # After Ray, which has handlers of its own.
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: stopped.set())
        address = f"[{settings.host}]" if ":" in settings.host else settings.host
        msg.good(f"Serving {served.title} at http://{address}:{port}")
        stopped.wait()
        msg.info("Stopping: what is running is finished first")


@contextlib.contextmanager
def reserve_port(host: str, port: int) -> Iterator[int]:
    """Bind a port inside the block without listening there, so that no other program is given it before the front listens.

    YIELDS (int): The port, or a free one for 0.
    RAISES (UserError): If nothing can listen there.
    """
    with socket.socket(get_family(host)) as reserved:
        # The front, which sets it too, can bind the port again. Only a socket that listens is in its way, as another service's.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reserved.bind((host, port))
        except OSError as error:
            raise UserError(
                f"Can't listen on {host}, port {port}: {error.strerror}. Choose another --port or --host."
            ) from error
        port = reserved.getsockname()[1]
        if sys.platform != "linux":  # Others allow it only where both sockets may listen, and then two services could.
            reserved.close()
        yield port


if __name__ == "__main__":
    typer.run(serve_cli)
