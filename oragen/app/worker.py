"""Jobs that wait -> predictions, by one thread that owns the encoders."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from oragen.app.jobs import Job, Jobs
from oragen.app.measured import Measured
from oragen.predictor import Predictor
from oragen.predictor.prediction import Prediction
from oragen.predictor.predictor import CancelledError

logger = logging.getLogger(__name__)

AT_ONCE: Final = 8  # clips whose decoding overlaps; who comes later waits for their end
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
        self.failure: BaseException | None = None  # of loading it

    def start(self) -> None:
        """Load the model, then predict."""
        self._thread.start()

    def wake(self) -> None:
        """Say that a job waits."""
        self._wanted.set()

    def stop(self) -> None:
        """End after the clips that are being predicted."""
        self._is_ending = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.predictor = self._load()
        except BaseException as error:
            self.failure = error
            self._on_failure(error)
            return
        while True:
            self._wanted.wait()
            self._wanted.clear()
            while not self._is_ending and (jobs := self._take()):
                self._predict(self.predictor, jobs)
            if self._is_ending:
                return

    def _take(self) -> list[Job]:
        """Return the next jobs; they are alike in what they use."""

        async def take() -> list[Job]:
            waiting = self._jobs.waiting()
            alike = [
                job for job in waiting
                if (job.use_audio, job.use_face) == (waiting[0].use_audio, waiting[0].use_face)
            ][:AT_ONCE]  # fmt: skip
            for job in alike:
                self._jobs.update(job, state="decoding")
            return alike

        return asyncio.run_coroutine_threadsafe(take(), self._loop).result()

    def _predict(self, predictor: Predictor, jobs: list[Job]) -> None:
        """Predict some clips; an error of ours costs those that are left."""
        left = {str(job.path): job for job in jobs}

        def on_progress(path: str, num_done: int, num_windows: int) -> None:
            if left[path].is_ended:
                raise CancelledError
            self._update(
                left[path], state="predicting", windows_done=num_done, windows_total=num_windows
            )

        try:
            predictions = predictor.predict_files(
                [job.path for job in jobs], use_audio=jobs[0].use_audio, use_face=jobs[0].use_face,
                on_progress=on_progress,
            )  # fmt: skip
            for prediction in predictions:
                self._end(left.pop(prediction.input), prediction)
        except Exception:
            logger.exception("prediction failed")
            for job in left.values():
                self._end(job, None)

    def _end(self, job: Job, prediction: Prediction | None) -> None:
        if prediction is None:
            self._update(job, state="failed", detail=FAILED)
            return
        for modality, report in prediction.modalities.items():
            if report.reason:
                self._measured.unused.labels(modality, report.reason).inc()
        # Messages of FFmpeg name the file, and its path is nobody's business.
        notes = [note.replace(str(job.path), NAME) for note in prediction.notes]
        named = replace(prediction, input=NAME, notes=notes)
        num_windows = len(named.windows)
        self._update(
            job, state="done", prediction=named,
            windows_done=num_windows, windows_total=num_windows,
        )  # fmt: skip

    def _update(self, job: Job, **changes: object) -> None:
        def update() -> None:
            if not job.is_ended:  # cancelled meanwhile
                self._jobs.update(job, **changes)
                if job.is_ended:
                    self._measured.clips.labels(job.state).inc()

        self._loop.call_soon_threadsafe(update)
