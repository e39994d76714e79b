"""Clips that wait, are worked on or have ended; what has ended is kept for a while."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from secrets import token_urlsafe
from typing import Final, Literal

from oragen.app.measured import Measured
from oragen.app.options import KEPT_S, ServeOptions
from oragen.app.problems import ProblemError
from oragen.predictor.prediction import Prediction
from oragen.schema.files import remove

State = Literal["waiting", "decoding", "predicting", "done", "cancelled", "failed"]
ENDED: Final = ("done", "cancelled", "failed")
RETRY_AFTER_S: Final = 5
ENDING: Final = "The service is being ended. Send the clip again when it is back."
TOO_MANY_WATCHERS: Final = (
    "Too many clips are being watched already. Ask for the job itself instead."
)


@dataclass(eq=False)
class Job:
    """One clip and what became of it; changed in the thread of the event loop alone."""

    path: Path  # alone in its folder, with what is made of it
    use_audio: bool
    use_face: bool
    num_bytes: int = 0  # of the upload and what was drawn of it
    key: str = field(default_factory=lambda: token_urlsafe(16))
    state: State = "waiting"
    windows_done: int = 0
    windows_total: int | None = None
    prediction: Prediction | None = None
    detail: str | None = None
    since: float = field(default_factory=time.monotonic)  # when the state began
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_gone: bool = False

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    def hide_path(self, text: str, name: str) -> str:
        """Return a text with a name for the upload, whose place is of no use to a reader."""
        return text.replace(str(self.path), name).replace(f"{self.path.parent}/", "")

    @property
    def length_s(self) -> float:
        """How long the clip is that a prediction is kept of."""
        return 0.0 if self.prediction is None else self.prediction.length_s


class Jobs:
    """All jobs of the service, in the order of their arrival."""

    def __init__(self, options: ServeOptions, measured: Measured) -> None:
        self._options = options
        self._measured = measured
        self._jobs: dict[str, Job] = {}
        self._num_arriving = 0
        self._num_watchers = 0
        self._is_closed = False

    @property
    def num_arriving(self) -> int:
        """How many uploads are being received."""
        return self._num_arriving

    def waiting(self) -> list[Job]:
        """Return the jobs that nobody has begun, the oldest first."""
        return [job for job in self._jobs.values() if job.state == "waiting"]

    def unended(self) -> list[Job]:
        """Return the jobs that wait or are worked on."""
        return [job for job in self._jobs.values() if not job.is_ended]

    def position(self, job: Job) -> int:
        """Return how many jobs come before this one."""
        waiting = self.waiting()
        return waiting.index(job) if job in waiting else 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue while an upload arrives.

        Raises:
            ProblemError: so many clips arrive or wait already.
        """
        self.refuse_if_closed()
        if self._num_arriving + len(self.waiting()) >= self._options.queue:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._options.queue} clips are waiting already. Try again in some seconds.",
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        self._num_arriving += 1
        try:
            yield
        finally:
            self._num_arriving -= 1

    def add(self, job: Job) -> None:
        """Let a job wait, in the place that is held for it.

        Raises:
            ProblemError: the service is being ended.
        """
        self.refuse_if_closed()
        self._jobs[job.key] = job

    def refuse_if_closed(self) -> None:
        """Refuse a clip once the service is being ended.

        Raises:
            ProblemError: it is.
        """
        if self._is_closed:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, ENDING, {"Retry-After": "30"})

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
                "after their end, or earlier where many others have ended since.",
            )
        return self._jobs[key]

    def update(self, job: Job, **changes: object) -> None:
        """Change a job, and wake who waits for it."""
        state = job.state
        for name, value in changes.items():
            setattr(job, name, value)
        if job.state != state and state not in ENDED:
            self._measured.took(state, job.since)
            job.since = time.monotonic()
        job.changed.set()
        job.changed = asyncio.Event()
        if job.is_ended:
            self._measured.clips.labels(job.state).inc()
            self.forget_surplus()

    def cancel(self, job: Job, detail: str = "The job was cancelled.") -> None:
        """End a job, and remove it with all that was made of it."""
        if not job.is_ended:
            self.update(job, state="cancelled", detail=detail)
        self._jobs.pop(job.key, None)
        job.is_gone = True
        with suppress(OSError):  # a drawing is being written there, and is removed at its end
            remove(job.path.parent)

    def close(self) -> None:
        """Take no more jobs, and end those that wait."""
        self._is_closed = True
        for job in self.waiting():
            self.update(job, state="cancelled", detail=ENDING)

    def cancel_all(self) -> None:
        """End all jobs; they can still be asked for."""
        for job in self.unended():
            self.update(job, state="cancelled", detail=ENDING)

    def forget_old(self) -> None:
        """Remove what ended a quarter of an hour ago."""
        limit = time.monotonic() - KEPT_S
        for job in self._ended():
            if job.since < limit:
                self.cancel(job)

    def forget_surplus(self) -> None:
        """Remove the oldest of what has ended, as long as more is kept than may be."""
        options = self._options
        ended = self._ended()
        while len(ended) > 1 and (
            len(ended) > options.kept_jobs
            or sum(job.num_bytes for job in ended) > options.kept_bytes
            or sum(job.length_s for job in ended) > options.kept_length_s
        ):
            self.cancel(ended.pop(0))

    def _ended(self) -> list[Job]:
        ended = [job for job in self._jobs.values() if job.is_ended]
        return sorted(ended, key=lambda job: job.since)

    def refuse_watcher(self) -> None:
        """Refuse one more event stream where there are many.

        Raises:
            ProblemError: there are too many.
        """
        if self._num_watchers >= self._options.max_watchers:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                TOO_MANY_WATCHERS,
                {"Retry-After": str(RETRY_AFTER_S)},
            )

    async def watch(self, job: Job) -> AsyncIterator[Job]:
        """Yield the job each time it has changed, until it has ended."""
        self._num_watchers += 1
        try:
            while True:
                changed = job.changed
                yield job
                if job.is_ended:
                    return
                await changed.wait()
        finally:
            self._num_watchers -= 1

    async def wait_for_end(self, job: Job) -> None:
        """Return when a job has ended."""
        while not job.is_ended:
            await job.changed.wait()
