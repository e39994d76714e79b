"""A model and options -> what the requests share, from the start of the service to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from fastapi import Request

from oragen.app.examples import Examples
from oragen.app.jobs import Job, Jobs
from oragen.app.measured import Measured
from oragen.app.options import ServeOptions
from oragen.app.pictures import Pictures
from oragen.app.problems import ProblemError
from oragen.app.spool import Spool
from oragen.app.worker import Worker
from oragen.predictor import Predictor

SWEEP_S: Final = 60.0
LOOK_S: Final = 0.1  # between two looks at what has not ended


class Service:
    """What the requests share; made in the event loop that answers them."""

    def __init__(
        self,
        load: Callable[[], Predictor],
        options: ServeOptions,
        spool: Spool,
        measured: Measured,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.options = options
        self.spool = spool
        self.measured = measured
        self.jobs = Jobs(options, measured)
        self.pictures = Pictures(self.jobs, measured)
        self.examples = Examples()
        self.worker = Worker(load, self.jobs, measured, on_failure)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the model and predict, while the block runs."""
        self.worker.start()
        sweeping = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            self.jobs.cancel_all()
            self.pictures.close()
            self.examples.close()
            await asyncio.to_thread(self.worker.stop)

    def predictor(self) -> Predictor:
        """Return the model.

        Raises:
            ProblemError: it is not loaded yet.
        """
        if self.worker.predictor is None:
            detail = "The model is being loaded. Try again in some seconds."
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "2"})
        return self.worker.predictor

    def refuse_unless_ready(self) -> None:
        """Refuse, also while the service is being ended.

        Raises:
            ProblemError: it would take no clip now.
        """
        self.predictor()
        self.jobs.refuse_if_closed()

    def cancel(self, job: Job) -> None:
        """End a job at once, and remove it with all that was made of it."""
        self.jobs.cancel(job)
        self.worker.give_up(job)

    async def end(self, is_hurried: Callable[[], bool]) -> None:
        """Take no more clips, and wait for those that are being predicted, but not for ever."""
        self.jobs.close()
        until = time.monotonic() + self.options.ending_s
        while self.jobs.unended() and time.monotonic() < until and not is_hurried():
            await asyncio.sleep(LOOK_S)
        self.jobs.cancel_all()
        self.pictures.close()

    async def _sweep(self) -> None:
        """Remove old uploads, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.jobs.forget_old()
            await asyncio.to_thread(self.spool.remove_abandoned)


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    service: Service = request.app.state.service
    return service
