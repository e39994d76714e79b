"""Calls -> their results, by workers of which each does one call at a time and may die of it.

A call whose worker dies is tried again. If it dies each time, the call is halved, until the least
piece that is made together is known. That piece is given up and named, and all others are made.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tqdm import tqdm

from oragen.isolation.workers import Failure
from oragen.launch.plans import Plan, PlannedRow
from oragen.launch.shards import Call, Result
from oragen.schema.errors import UserError

logger = logging.getLogger(__name__)


@runtime_checkable  # so that its users can be type-checked in tests
class Slot(Protocol):
    """A worker, and its place: when the worker dies, another takes the place."""

    def start(self) -> "Future[Any]":
        """Have a fresh worker, if the one that was here has died; ready when this is done."""

    def submit(self, call: Call) -> "Future[Any]":
        """Begin a call."""

    def read(self, done: "Future[Any]") -> Result | Failure:
        """Return what came of a call; an error that the user can mend is raised."""

    def close(self) -> None:
        """End the worker."""


@dataclass
class _Attempt:
    """A call, and how often it may be tried."""

    call: Call
    tries_left: int


def run_calls(
    slots: Sequence[Slot],
    plan: Plan,
    calls: Sequence[Call],
    *,
    max_tries: int,
    title: str,
) -> Result:
    """Run all calls; the rows of those that end their workers are among the failures.

    Args:
        slots: the workers, which are ended here.
        plan: of the calls.
        calls: of one group each.
        max_tries: how often a call is tried before it is halved; its pieces are tried once.
        title: of the progress bar.

    Raises:
        UserError: a worker found what the user can mend, such as a full disk; or none can start.
    """
    with ExitStack() as stack:
        for slot in slots:
            stack.enter_context(closing(slot))
        total = sum(plan.size_of(call.groups[0]) for call in calls)
        progress = stack.enter_context(tqdm(total=total, desc=title, unit="row"))
        return _Pool(slots, plan, calls, max_tries, progress.update).run()


class _Pool:
    """The state of `run_calls`: each slot is starting, at a call, or has nothing to do."""

    def __init__(
        self,
        slots: Sequence[Slot],
        plan: Plan,
        calls: Sequence[Call],
        max_tries: int,
        advance: Callable[[int], object],
    ) -> None:
        self._plan = plan
        self._max_tries = max_tries
        self._advance = advance
        self._waiting = deque(_Attempt(call, max_tries) for call in calls)
        self._starting: dict[Future[Any], Slot] = {slot.start(): slot for slot in slots}
        self._running: dict[Future[Any], tuple[Slot, _Attempt]] = {}
        self._free: list[Slot] = []
        self._failed_starts: Counter[int] = Counter()
        self._result = Result(0)

    def run(self) -> Result:
        while self._waiting or self._running:
            done, _ = wait([*self._starting, *self._running], return_when=FIRST_COMPLETED)
            for future in done:
                if future in self._starting:
                    self._take_in(self._starting.pop(future), future)
                else:
                    self._finish(*self._running.pop(future), future)
            while self._waiting and self._free:
                slot, attempt = self._free.pop(), self._waiting.popleft()
                self._running[slot.submit(attempt.call)] = slot, attempt
        return self._result

    def _take_in(self, slot: Slot, started: "Future[Any]") -> None:
        """Take in a worker that is ready; one that could not start is replaced a few times."""
        if (error := started.exception()) is None:
            self._free.append(slot)
            return
        self._failed_starts[id(slot)] += 1
        if self._failed_starts[id(slot)] < self._max_tries:
            self._starting[slot.start()] = slot
        elif not (self._starting or self._running or self._free):
            raise UserError(f"No worker could be started: {error}")

    def _finish(self, slot: Slot, attempt: _Attempt, done: "Future[Any]") -> None:
        match slot.read(done):
            case Result() as result:
                self._result += result
                self._advance(len(self._rows_of(attempt.call)))
                self._free.append(slot)
            case Failure(reason):
                self._starting[slot.start()] = slot
                self._try_again(attempt, reason)

    def _try_again(self, attempt: _Attempt, reason: str) -> None:
        """Put a call that failed behind all others, as it is or in pieces; or give it up."""
        call, rows = attempt.call, self._rows_of(attempt.call)
        if attempt.tries_left > 1:
            logger.info("%d rows, with %s: %s; tried again", len(rows), rows[0].clip_id, reason)
            self._waiting.append(_Attempt(call, attempt.tries_left - 1))
            return
        pieces = call.split(self._plan.size_of(call.groups[0]), self._plan.unit)
        if len(pieces) > 1:
            logger.info("%d rows, with %s: %s; tried in halves", len(rows), rows[0].clip_id, reason)
            self._waiting += [_Attempt(piece, 1) for piece in pieces]
            return
        clips = ", ".join(sorted({row.clip_id for row in rows}))
        logger.warning("given up, as their worker ends each time (%s): %s", reason, clips)
        self._result += Result(0, failures={row.key: reason for row in rows})
        self._advance(len(rows))

    def _rows_of(self, call: Call) -> Sequence[PlannedRow]:
        return self._plan.rows(call.groups[0], call.start, call.stop)
