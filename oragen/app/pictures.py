"""A job that is done -> its plot over time, and its clip with what was found drawn into it.

Each is made when it is asked for, by a process with limits, and kept beside the upload.
"""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal, NamedTuple

from oragen.app.jobs import Job
from oragen.app.problems import ProblemError
from oragen.isolation.limits import Limits
from oragen.isolation.workers import Failure, Workers
from oragen.predictor.prediction import Prediction
from oragen.schema.errors import UserError

Kind = Literal["plot.png", "drawn.mp4", "drawn.png"]
LIMITS: Final = Limits(work_s=300.0)  # drawing encodes every picture anew


class Order(NamedTuple):
    """What to draw; it goes to another process."""

    kind: Kind
    clip: Path
    prediction: Prediction
    target: Path


class Pictures:
    """Draws jobs, each picture once; the callers are of one event loop."""

    def __init__(self) -> None:
        self._workers = Workers(1, limits=LIMITS, action="drawing")
        self._begun: dict[Path, asyncio.Future[Path]] = {}

    def close(self) -> None:
        """End the process."""
        self._workers.__exit__()

    async def find(self, job: Job, kind: Kind) -> Path:
        """Return the file of a picture of a job.

        Raises:
            ProblemError: the job has no prediction, or the clip cannot be drawn.
        """
        if job.prediction is None:
            raise ProblemError(HTTPStatus.CONFLICT, f"This clip has no {kind}: it is {job.state}.")
        target = job.path.with_name(f"{job.path.name}-{kind}")
        if not target.exists():
            job.files.add(target)
            order = Order(kind, job.path, job.prediction, target)
            try:
                drawn = self._workers.submit(draw, order, num_bytes=job.path.stat().st_size)
                result = await asyncio.wrap_future(drawn)
            except UserError as error:
                detail = f"This clip cannot be drawn as {kind}. {_without_path(str(error), job)}"
                raise ProblemError(HTTPStatus.CONFLICT, detail) from error
            if isinstance(result, Failure):
                raise ProblemError(
                    HTTPStatus.CONFLICT, f"This clip cannot be drawn: {result.reason}."
                )
        return target


def draw(order: Order) -> None:
    """Draw a picture or a clip; called in a process of its own."""
    if order.kind == "plot.png":
        from oragen.predictor.plot import plot_prediction

        plot_prediction(order.target, order.prediction)
        return
    from oragen.predictor.drawing import draw_clip

    draw_clip(order.clip, order.prediction, order.target)


def _without_path(text: str, job: Job) -> str:
    """Return a sentence without the place of an upload, which is of no use to a reader."""
    return text.replace(str(job.path), "The clip")
