"""A job that is done -> its plot over time, and its clip with what was found drawn into it.

Each is made when it is asked for, by a process with limits, and kept beside the upload.
"""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal, NamedTuple

from oragen.app.jobs import RETRY_AFTER_S, Job, Jobs
from oragen.app.measured import Measured
from oragen.app.problems import ProblemError
from oragen.isolation.limits import Limits
from oragen.isolation.workers import Failure, Workers
from oragen.predictor.prediction import Prediction
from oragen.schema.errors import UserError
from oragen.schema.files import remove

Kind = Literal["plot.png", "drawn.mp4", "drawn.png"]
LIMITS: Final = Limits(work_s=300.0)  # drawing encodes every picture anew
MAX_PENDING: Final = 16
NAME: Final = "The clip"  # in sentences


class Order(NamedTuple):
    """What to draw; it goes to another process."""

    kind: Kind
    clip: Path
    prediction: Prediction
    target: Path


class Pictures:
    """Draws jobs, each picture once; the callers are of one event loop."""

    def __init__(self, jobs: Jobs, measured: Measured) -> None:
        self._jobs = jobs
        self._measured = measured
        self._workers = Workers(1, limits=LIMITS, action="drawing")
        self._pending: dict[Path, asyncio.Task[None]] = {}

    def close(self) -> None:
        """End the process."""
        self._workers.__exit__()

    async def find(self, job: Job, kind: Kind) -> Path:
        """Return the file of a picture of a job.

        Raises:
            ProblemError: the job has no prediction, the clip cannot be drawn, or so much is being
                drawn already.
        """
        if job.prediction is None:
            raise ProblemError(HTTPStatus.CONFLICT, f"This clip has no {kind}: it is {job.state}.")
        target = job.path.with_name(kind)
        if not target.exists():
            if target not in self._pending:
                order = Order(kind, job.path, job.prediction, target)
                self._begin(order, job)
            await asyncio.shield(self._pending[target])  # who else waits for it still does
        return target

    def _begin(self, order: Order, job: Job) -> None:
        if len(self._pending) >= MAX_PENDING:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{MAX_PENDING} pictures are being drawn already. Try again in some seconds.",
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        task = self._pending[order.target] = asyncio.create_task(self._draw(order, job))
        task.add_done_callback(lambda _: self._pending.pop(order.target))

    async def _draw(self, order: Order, job: Job) -> None:
        try:
            with self._measured.time("drawing"):
                drawn = self._workers.submit(draw, order, num_bytes=job.num_bytes)
                result = await asyncio.wrap_future(drawn)
        except UserError as error:
            detail = f"This clip cannot be drawn as {order.kind}. {job.hide_path(str(error), NAME)}"
            raise ProblemError(HTTPStatus.CONFLICT, detail) from error
        finally:
            self._settle(order, job)
        if isinstance(result, Failure):
            detail = f"This clip cannot be drawn: {job.hide_path(result.reason, NAME)}."
            raise ProblemError(HTTPStatus.CONFLICT, detail)

    def _settle(self, order: Order, job: Job) -> None:
        """Count a drawing among what is kept; remove it if its job is gone."""
        if job.is_gone:
            with suppress(OSError):
                remove(job.path.parent)
        elif order.target.exists():
            job.num_bytes += order.target.stat().st_size
            self._jobs.forget_surplus()


def draw(order: Order) -> None:
    """Draw a picture or a clip; called in a process of its own."""
    if order.kind == "plot.png":
        from oragen.predictor.plot import plot_prediction

        plot_prediction(order.target, order.prediction)
        return
    from oragen.predictor.drawing import draw_clip

    draw_clip(order.clip, order.prediction, order.target)
