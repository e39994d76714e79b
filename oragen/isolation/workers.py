"""Calls -> their results from other processes, in order; one that kills its process fails alone.

Each process has a pipe of its own. In a pool whose processes share one, a process that is killed
while it sends leaves half a result in it, and all that follows is lost.
"""

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Literal, NamedTuple, TypeVar, assert_never

from oragen.isolation.child import Answer, AnswerKind
from oragen.isolation.limits import WAIT_FACTOR, Limits

Item = TypeVar("Item")
Result = TypeVar("Result")

CHILD: Final = Path(__file__).with_name("child.py")
# Every process has a core to itself. OpenCV looks at its own limit before a picture is decoded.
ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(2**26),
}
CRASHES: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
)

FailureKind = Literal[
    "limit",  # the call needs more than it may have, and would again
    "crash",  # the process died of the call
    "passing",  # the call may well do another time
]


class Failure(NamedTuple):
    """Why a call has no result."""

    reason: str
    kind: FailureKind


class Workers:
    """Processes that run calls; a context manager.

    A process is started when it is needed first, and again after it died.
    """

    def __init__(
        self,
        num_workers: int,
        *,
        limits: Limits | None = None,
        action: str = "decoding",
        modules: Sequence[str] = (),
        environment: Mapping[str, str] = ENVIRONMENT,
    ) -> None:
        """Prepare the processes.

        Args:
            num_workers: how many calls run at once.
            limits: of one call; None = none.
            action: what the calls do, as reasons name it.
            modules: to import while a process starts.
            environment: variables of the processes, unless this one has them.
        """
        self.num_workers = num_workers
        self.limits = limits
        self._workers = [_Worker(limits, action, modules, environment) for _ in range(num_workers)]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._calls: weakref.WeakKeyDictionary[Future[Any], _Call] = weakref.WeakKeyDictionary()
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="oragen-worker")
        self._finalizer = weakref.finalize(self, _close, self._threads, self._workers)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._finalizer()

    def start(self, num_workers: int) -> None:
        """Start so many processes now, and do not wait until they are there.

        Where that fails, the first call tries again.
        """
        for worker in self._workers[:num_workers]:
            with suppress(OSError):
                worker.start()

    def submit(
        self, function: Callable[[Item], Result], item: Item, *, num_bytes: int = 0
    ) -> "Future[Result | Failure]":
        """Have `function(item)` called; both must be picklable.

        A `UserError` of the call is raised by the future. Any other end is a `Failure`.

        Args:
            function: what to call.
            item: its argument.
            num_bytes: the size of what it works on: a larger file may take longer.
        """
        work_s = None if self.limits is None else self.limits.work_of(num_bytes)
        call = _Call(function, item, work_s)
        future = self._threads.submit(_run, call, self._free)
        self._calls[future] = call
        return future

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        size_of: Callable[[Item], int] = lambda _: 0,
    ) -> "Iterator[Result | Failure]":
        """Yield the result of each item in order; only some calls run ahead of what is taken."""
        pending: deque[Future[Result | Failure]] = deque()
        try:
            for item in items:
                pending.append(self.submit(function, item, num_bytes=size_of(item)))
                if len(pending) > 2 * self.num_workers:
                    yield _take_first(pending)
            while pending:
                yield _take_first(pending)
        finally:
            self.abandon(pending)

    def abandon(self, calls: "Iterable[Future[Any]]") -> None:
        """Give up calls whose results nobody takes; those that run are ended."""
        for future in calls:
            call = self._calls[future]
            with call.lock:
                call.is_abandoned = True
                if not future.cancel() and call.worker is not None:
                    call.worker.kill()


def _take_first(pending: "deque[Future[Result]]") -> Result:
    """Return the first result; an interrupted wait leaves its call to be given up."""
    result = pending[0].result()
    pending.popleft()
    return result


@dataclass
class _Call:
    """A call, and the worker that is at it."""

    function: Callable[[Any], Any]
    item: object
    work_s: int | None
    worker: "_Worker | None" = None
    is_abandoned: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


def _run(call: _Call, free: "SimpleQueue[_Worker]") -> Any:
    worker = free.get()
    with call.lock:
        call.worker = worker
    try:
        return worker.run(call)
    finally:
        with call.lock:
            call.worker = None
        if call.is_abandoned:  # perhaps killed when it had answered, and the next call is innocent
            worker.discard()
        free.put(worker)


class ThisProcess:
    """Runs calls here, one after the other: for work on data of our own. A context manager."""

    num_workers = 1
    limits = None

    def __enter__(self) -> "ThisProcess":
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def submit(
        self, function: Callable[[Item], Result], item: Item, *, num_bytes: int = 0
    ) -> "Future[Result | Failure]":
        """Call `function(item)`; as in `Workers`, but an error is raised here."""
        done: Future[Result | Failure] = Future()
        done.set_result(function(item))
        return done

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        size_of: Callable[[Item], int] = lambda _: 0,
    ) -> "Iterator[Result | Failure]":
        """Yield the result of each item in order."""
        return map(function, items)


def _close(threads: ThreadPoolExecutor, workers: "Sequence[_Worker]") -> None:
    threads.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.close()


class _Worker:
    """One process, started again after it died."""

    def __init__(
        self,
        limits: Limits | None,
        action: str,
        modules: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        self._limits = limits
        self._action = action
        self._modules = tuple(modules)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Answer] | None = None
        self._is_closed = False

    def start(self) -> "Connection[Any, Answer]":
        """Start the process unless it runs; return the pipe to it.

        Raises:
            OSError: the system has no process, no memory or no open file left for it.
        """
        if self._is_closed:
            raise OSError(errno.ECANCELED, "the processes are ended")
        if self._connection is None:
            ours, theirs = Pipe()
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(CHILD), str(theirs.fileno())],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                    env={**self._environment, **os.environ},
                )  # fmt: skip
            except OSError:
                ours.close()
                raise
            finally:
                theirs.close()
            self._connection = ours
            try:
                ours.send((sys.path, self._modules, self._limits and self._limits.memory_gb))
            except OSError:  # it has died before any call
                self._end()
                raise
        return self._connection

    def run(self, call: _Call) -> Any:
        """Run one call in the process; return what it returns, or a `Failure`."""
        content = pickle.dumps((call.function, call.item, call.work_s))
        wait_s = None if call.work_s is None else call.work_s * WAIT_FACTOR
        try:
            connection = self.start()
        except OSError as error:
            return Failure(f"{self._action} could not be started ({error.strerror})", "passing")
        try:
            if call.is_abandoned:  # before there was a process to kill
                return Failure(f"{self._action} was given up", "passing")
            connection.send_bytes(content)
            if not connection.poll(wait_s):
                self.kill()
                self._end()
                return Failure(f"{self._action} took more than {wait_s} s", "passing")
            kind, answer = connection.recv()
        except (EOFError, OSError):  # the pipe is broken: the process died
            return self._explain_death(self._end(), call.work_s)
        return self._read_answer(kind, answer)

    def _read_answer(self, kind: AnswerKind, answer: Any) -> Any:
        match kind:
            case "made":
                return answer
            case "refused":
                raise answer
            case "failed":
                self._end()
                return Failure(f"{self._action} failed ({answer})", "crash")
            case "over memory":
                assert self._limits is not None
                most = f"{self._limits.memory_gb:g} GB of memory"
                return Failure(f"{self._action} needs more than {most}", "limit")
            case "short of memory":
                return Failure(f"{self._action} found too little memory", "passing")
            case _:
                assert_never(kind)

    def _explain_death(self, exit_code: int, work_s: int | None) -> Failure:
        if exit_code == -signal.SIGXCPU:
            return Failure(f"{self._action} needs more than {work_s} s of work", "limit")
        if exit_code >= 0:
            return Failure(f"{self._action} crashed (exit code {exit_code})", "crash")
        name = signal.Signals(-exit_code).name
        if -exit_code in CRASHES:
            return Failure(f"{self._action} crashed ({name})", "crash")
        return Failure(f"{self._action} was killed ({name})", "passing")

    def _end(self) -> int:
        """Forget a process that is about to end; return how it did."""
        process, connection = self._process, self._connection
        assert process is not None
        assert process.stdin is not None
        assert connection is not None
        self._process = self._connection = None
        connection.close()
        exit_code = process.wait()
        process.stdin.close()
        return exit_code

    def discard(self) -> None:
        """End the process, if it runs; the next call starts another."""
        if self._process is not None and not self._is_closed:
            self.kill()
            self._end()

    def kill(self) -> None:
        """End the process at once; a call that it is at fails."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End the process for good."""
        self._is_closed = True
        if (process := self._process) is not None and process.stdin is not None:
            process.kill()
            process.wait()
            process.stdin.close()
