"""Clips that wait, are worked on or have ended; each ends by itself after a quarter of an hour."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from secrets import token_urlsafe
from typing import Final, Literal

from oragen.app.options import KEPT_S, ServeOptions
from oragen.app.problems import ProblemError
from oragen.predictor.prediction import Prediction
from oragen.schema.files import remove

State = Literal["waiting", "decoding", "predicting", "done", "cancelled", "failed"]
ENDED: Final = ("done", "cancelled", "failed")
RETRY_AFTER_S: Final = 5


@dataclass
class Job:
    """One clip and what became of it; changed in the thread of the event loop alone."""

    path: Path
    use_audio: bool
    use_face: bool
    key: str = field(default_factory=lambda: token_urlsafe(16))
    state: State = "waiting"
    windows_done: int = 0
    windows_total: int | None = None
    prediction: Prediction | None = None
    detail: str | None = None
    ended_at: float | None = None  # by time.monotonic
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    files: set[Path] = field(default_factory=set)  # that were made of it

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED


class Jobs:
    """All jobs of the service, in the order of their arrival."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._jobs: dict[str, Job] = {}

    def waiting(self) -> list[Job]:
        """Return the jobs that nobody has begun, the oldest first."""
        return [job for job in self._jobs.values() if job.state == "waiting"]

    def position(self, job: Job) -> int:
        """Return how many jobs come before this one."""
        waiting = self.waiting()
        return waiting.index(job) if job in waiting else 0

    def refuse_if_full(self) -> None:
        """Refuse an upload before it is received.

        Raises:
            ProblemError: so many clips are waiting already.
        """
        if len(self.waiting()) >= self._options.queue:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._options.queue} clips are waiting already. Try again in some seconds.",
                {"Retry-After": str(RETRY_AFTER_S)},
            )

    def add(self, job: Job) -> None:
        """Let a job wait.

        Raises:
            ProblemError: so many clips are waiting already.
        """
        self.refuse_if_full()
        self._jobs[job.key] = job

    def get(self, key: str) -> Job:
        """Return a job.

        Raises:
            ProblemError: there is none of that name.
        """
        self.forget_old()
        if key not in self._jobs:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                "There is no such job. Uploads and predictions are removed a quarter of an hour "
                "after their end.",
            )
        return self._jobs[key]

    def update(self, job: Job, **changes: object) -> None:
        """Change a job, and wake who waits for it."""
        for name, value in changes.items():
            setattr(job, name, value)
        if job.is_ended and job.ended_at is None:
            job.ended_at = time.monotonic()
        job.changed.set()
        job.changed = asyncio.Event()

    def cancel(self, job: Job) -> None:
        """End a job and forget all about it."""
        if not job.is_ended:
            self.update(job, state="cancelled", detail="The job was cancelled.")
        self._jobs.pop(job.key, None)
        for path in (job.path, *job.files):
            remove(path)

    def forget_old(self) -> None:
        """Remove what ended a quarter of an hour ago."""
        limit = time.monotonic() - KEPT_S
        for job in [*self._jobs.values()]:
            if job.ended_at is not None and job.ended_at < limit:
                self.cancel(job)

    async def watch(self, job: Job) -> AsyncIterator[Job]:
        """Yield the job each time it has changed, until it has ended."""
        while True:
            changed = job.changed
            yield job
            if job.is_ended:
                return
            await changed.wait()
