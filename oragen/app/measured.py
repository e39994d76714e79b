"""What the service does -> counts and seconds, as Prometheus reads them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oragen.app.reasons import find_kind
from oragen.predictor.prediction import Prediction

SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
NO_ROUTE: Final = "none"  # files of the page, what was refused at once, paths that there are not


class Measured:
    """The metrics of one service, in a registry of its own; labels have few values."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "oragen_requests", "Requests by route and status.", ["path", "status"],
            registry=self.registry,
        )  # fmt: skip
        # receiving, waiting, decoding, predicting and drawing
        self.seconds = Histogram(
            "oragen_step_seconds", "Seconds of a step of one clip.", ["step"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge("oragen_waiting_clips", "Clips in the queue.", registry=self.registry)
        self.arriving = Gauge(
            "oragen_arriving_clips", "Uploads that are being received.", registry=self.registry
        )
        self.clips = Counter(
            "oragen_clips", "Clips by how they ended.", ["state"], registry=self.registry
        )
        self.unused = Counter(
            "oragen_unused", "Voices or faces that could not be used.", ["modality", "reason"],
            registry=self.registry,
        )  # fmt: skip

    @contextmanager
    def time(self, step: str) -> Iterator[None]:
        """Measure a step that a block does, also where it fails."""
        with self.seconds.labels(step).time():
            yield

    def took(self, step: str, since: float) -> None:
        """Note the end of a step that began at a time of time.monotonic."""
        self.seconds.labels(step).observe(time.monotonic() - since)

    def count_failures(self, prediction: Prediction) -> None:
        """Count what could not be used of a clip."""
        for modality, report in prediction.modalities.items():
            if report.reason and (kind := find_kind(report.reason)):
                self.unused.labels(modality, kind).inc()


class CountRequests:
    """Middleware that counts requests by their route; a path would be a label without end."""

    def __init__(self, app: ASGIApp, measured: Measured) -> None:
        self._app = app
        self._measured = measured

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count it by the status that is sent."""

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", NO_ROUTE)
                self._measured.requests.labels(path, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, send_counted if scope["type"] == "http" else send)
