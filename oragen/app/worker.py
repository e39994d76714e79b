"""Jobs that wait -> predictions, by one thread that owns the encoders."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from oragen.app.jobs import Job, Jobs
from oragen.app.measured import Measured
from oragen.predictor import Predictor
from oragen.predictor.prediction import Prediction
from oragen.predictor.predictor import UnwantedError

logger = logging.getLogger(__name__)

ENDING_S: Final = 5.0  # to wait for the thread; its process may end without it
NAME: Final = "upload"  # in place of a path: names of people's files are not kept
FAILED: Final = "The service failed at this clip; its log has the reason."


class Worker:
    """A thread that predicts, as long as the service runs."""

    def __init__(
        self,
        load: Callable[[], Predictor],
        jobs: Jobs,
        measured: Measured,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._load = load
        self._on_failure = on_failure
        self._jobs = jobs
        self._measured = measured
        self._loop = asyncio.get_running_loop()
        self._wanted = threading.Event()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
        self.predictor: Predictor | None = None  # until the model is loaded

    def start(self) -> None:
        """Load the model, then predict."""
        self._thread.start()

    def wake(self) -> None:
        """Say that a job waits."""
        self._wanted.set()

    def give_up(self, job: Job) -> None:
        """End the decoding of a job that has ended, so that others need not wait for it."""
        if self.predictor is not None:
            self.predictor.give_up(job.path)

    def stop(self) -> None:
        """End the processes and the thread; one that loads a model or encodes may outlast it."""
        self._is_ending = True
        self._wanted.set()
        if self.predictor is not None:
            self.predictor.close()
            self._thread.join(ENDING_S)

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.predictor = self._load()
        except BaseException as error:
            self._on_failure(error)
            return
        while not self._is_ending:
            self._wanted.wait()
            self._wanted.clear()
            while job := self._take():
                self._predict(self.predictor, job)

    def _take(self, like: Job | None = None) -> Job | None:
        """Begin the next job; none if nothing waits, or if it differs from another in what it uses.

        The encoders take clips of one kind without a pause between them.
        """

        async def take() -> Job | None:
            job = next(iter(self._jobs.waiting()), None)
            if job is None or (like is not None and not _are_alike(job, like)):
                return None
            self._jobs.update(job, state="decoding")
            return job

        if self._is_ending:
            return None
        return asyncio.run_coroutine_threadsafe(take(), self._loop).result()

    def _predict(self, predictor: Predictor, first: Job) -> None:
        """Predict clips until none waits; an error of ours costs those that were begun."""
        begun = {str(first.path): first}

        def begin() -> Iterator[Path]:
            job: Job | None = first
            while job is not None:
                begun[str(job.path)] = job
                yield job.path
                job = self._take(first)

        def on_progress(path: str, num_done: int, num_windows: int) -> None:
            job = begun[path]
            if job.is_ended:
                del begun[path]
                raise UnwantedError
            self._update(job, state="predicting", windows_done=num_done, windows_total=num_windows)

        try:
            predictions = predictor.predict_files(
                begin(), use_audio=first.use_audio, use_face=first.use_face,
                on_progress=on_progress,
            )  # fmt: skip
            for prediction in predictions:
                self._end(begun.pop(prediction.input), prediction)
        except Exception:
            logger.exception("prediction failed")
            for job in begun.values():
                self._update(job, state="failed", detail=FAILED)

    def _end(self, job: Job, prediction: Prediction) -> None:
        named = _without_path(prediction, job)
        num_windows = len(named.windows)
        self._update(
            job, state="done", prediction=named,
            windows_done=num_windows, windows_total=num_windows,
        )  # fmt: skip

    def _update(self, job: Job, **changes: object) -> None:
        def update() -> None:
            if not job.is_ended:  # cancelled meanwhile
                self._jobs.update(job, **changes)
                if job.prediction is not None:
                    self._measured.count_failures(job.prediction)

        with suppress(RuntimeError):  # the loop has ended, and nobody waits for the job
            self._loop.call_soon_threadsafe(update)


def _are_alike(job: Job, other: Job) -> bool:
    return (job.use_audio, job.use_face) == (other.use_audio, other.use_face)


def _without_path(prediction: Prediction, job: Job) -> Prediction:
    """Name the upload in place of its path, which messages of libraries hold as well."""
    modalities = {
        modality: replace(report, reason=report.reason and job.hide_path(report.reason, NAME))
        for modality, report in prediction.modalities.items()
    }
    notes = [job.hide_path(note, NAME) for note in prediction.notes]
    return replace(prediction, input=NAME, modalities=modalities, notes=notes)
