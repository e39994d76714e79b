"""Processes of this machine, each with a device of its own -> places for workers."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

from joblib import cpu_count

from oragen.isolation.workers import Failure, Workers
from oragen.launch.launcher import PoolLauncher
from oragen.launch.shards import Call, Result, Work

# One bar is shown, by the process that hands out the work.
ENVIRONMENT: Final = {"TQDM_DISABLE": "1"}
MAX_TRIES: Final = 2  # of a call whose process dies, before it is halved


class LocalSlot:
    """A process of this machine; it is started again after it died."""

    def __init__(self, work: Work, environment: dict[str, str], device: str | None) -> None:
        self._work = work
        self._device = device
        self._workers = Workers(
            1, action="the worker", modules=[work.__module__], environment=environment
        )

    def start(self) -> "Future[Any]":
        """Be ready at once: the process starts with its first call."""
        ready: Future[Any] = Future()
        ready.set_result(None)
        return ready

    def submit(self, call: Call) -> "Future[Any]":
        """Begin a call, on the device of this place."""
        placed = call if self._device is None else call.on(self._device)
        return self._workers.submit(self._work, placed)

    def read(self, done: "Future[Any]") -> Result | Failure:
        """Return what came of a call.

        Raises:
            UserError: the call found what the user can mend.
        """
        result: Result | Failure = done.result()
        return result

    def close(self) -> None:
        """End the process."""
        self._workers.__exit__()


def open_local(work: Work, devices: Sequence[str | None]) -> PoolLauncher:
    """Return a process for each device; several devices may be the same.

    Args:
        work: what a call does.
        devices: of the processes; None = as params.yaml says. They share the cores.
    """
    num_threads = max(1, cpu_count() // len(devices))
    environment = ENVIRONMENT | {"OMP_NUM_THREADS": str(num_threads)}
    return PoolLauncher([LocalSlot(work, environment, device) for device in devices], MAX_TRIES)
