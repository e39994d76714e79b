"""What the service does -> counts and seconds, as Prometheus reads them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Measured:
    """The metrics of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "oragen_requests", "Requests.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "oragen_step_seconds", "Seconds of a step of one clip.", ["step"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge("oragen_waiting_clips", "Clips in the queue.", registry=self.registry)
        self.clips = Counter(
            "oragen_clips", "Clips by how they ended.", ["state"], registry=self.registry
        )
        self.unused = Counter(
            "oragen_unused", "Voices or faces that could not be used.", ["modality", "reason"],
            registry=self.registry,
        )  # fmt: skip
