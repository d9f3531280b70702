"""What the service counts, for Prometheus."""

import time
from typing import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WORDPIECES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters and histograms of one process.

    count_waiting (Callable[[], int]): Says how many requests wait or run.
    count_held (Callable[[], int]): Says how many bytes requests hold.
    """

    def __init__(self, count_waiting: Callable[[], int], count_held: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        names = {"namespace": "entity_service", "registry": self.registry}
        self.requests = Counter("requests", "Answered requests by path and HTTP status", ["path", "status"], **names)
        self.seconds = Histogram("request_seconds", "From a request to its answer", ["path"], buckets=SECONDS, **names)
        self.texts = Counter("texts", "Texts that were answered", **names)
        self.gone = Counter("gone_clients", "Clients that went away before their answer", **names)
        self.batch_requests = Histogram("batch_requests", "Requests that ran together", buckets=REQUESTS, **names)
        self.batch_wordpieces = Histogram(
            "batch_wordpieces", "Wordpieces that ran together", buckets=WORDPIECES, **names
        )
        Gauge("requests_in_progress", "Requests that wait or run", **names).set_function(count_waiting)
        Gauge("held_bytes", "Bytes of bodies, texts and answers", **names).set_function(count_held)

    def write(self) -> bytes:
        """Write all numbers in Prometheus' text format."""
        return generate_latest(self.registry)


class CountRequests:
    """Count requests and their time, around an ASGI app.

    Unknown paths are counted as one, or anybody could make as many as they like.
    """

    def __init__(self, app, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope, receive, send) -> None:
        start = time.perf_counter()
        is_counted = False

        def count(status: int) -> None:
            nonlocal is_counted
            is_counted = True
            path = scope["route"].path if "route" in scope else "other"
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - start)

        async def send_and_count(message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, send_and_count)
        except Exception:
            if not is_counted:
                count(500)  # Starlette makes this answer further out.
            raise
