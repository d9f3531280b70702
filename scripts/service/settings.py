"""How a service listens, batches and limits. Plain data, which goes to other processes."""

import socket
from typing import NamedTuple

MAX_HEAD = 64 * 2**10  # Bytes of a request's first line and headers.


class Limits(NamedTuple):
    """What one request may cost, and how many may wait."""

    characters: int = 100_000  # of a text
    texts: int = 256  # of a request
    queue: int = 256  # requests that wait or run
    seconds: float = 60.0  # for an answer
    memory: int = 512 * 2**20  # bytes of bodies, texts and answers together


class ServiceSettings(NamedTuple):
    """Everything that a service is told.

    host (str): Address to listen on.
    port (int): Port to listen on, 0 for a free one.
    workers (int): Replicas, which are loaded pipelines, each in a process of its own. They share the cores.
    gpus_per_worker (float): GPUs of each, also a part of one, 0 for the CPU.
    encoder_only (bool): Answer token vectors instead of entities.
    batch_wordpieces (int): Most wordpieces of a batch, 0 to run each request alone.
    limits (Limits): What a request may be.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    gpus_per_worker: float = 0.0
    encoder_only: bool = False
    batch_wordpieces: int = 4096
    limits: Limits = Limits()

    @property
    def long_workers(self) -> int:
        """Count the replicas that run nothing but long documents.

        RETURNS (int): A fourth of the workers, at least one; on GPUs none, as each would need one of its own.
        """
        return 0 if self.gpus_per_worker else max(1, self.workers // 4)


def get_family(host: str) -> socket.AddressFamily:
    """Tell the family of the addresses that a host is of: IPv6 or IPv4."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
