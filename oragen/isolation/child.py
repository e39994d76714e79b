"""Calls from a pipe -> their results, in a process that may die of them.

It is started by `oragen.isolation.workers` as a script. So it finds the code where the one that
started it does, and never runs the main module of a user again.
"""

import importlib
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Literal

AnswerKind = Literal["made", "refused", "failed", "over memory", "short of memory"]
Answer = tuple[AnswerKind, Any]  # and what goes with it


def main(number: int) -> None:
    """Serve calls from the pipe with this number until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started this process ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection: Connection[Answer, Any] = Connection(number)
    sys.path[:], modules, memory_gb = connection.recv()
    sys.excepthook = _Report(connection)
    for module in modules:
        importlib.import_module(module)
    from oragen.isolation.limits import limit_memory

    if memory_gb is not None:
        limit_memory(memory_gb)
    while True:
        try:
            content = connection.recv_bytes()
        except EOFError:
            return
        _answer(connection, content, memory_gb)


def _end_with_parent() -> None:
    """Standard input is a pipe that nobody writes to: it ends when the parent does."""
    os.read(sys.stdin.fileno(), 1)  # a read through a buffer would hold its lock at the exit
    os._exit(1)


def _answer(connection: "Connection[Answer, Any]", content: bytes, memory_gb: float | None) -> None:
    """Run one call and send what it returned, or one of the errors that are expected.

    Any other error ends this process: see `_Report`.
    """
    from oragen.isolation.limits import end_work_limit, is_machine_short, limit_work
    from oragen.schema.errors import UserError

    function, item, work_s = pickle.loads(content)
    try:
        if work_s is not None:
            limit_work(work_s)
        try:
            result = function(item)
        finally:
            end_work_limit()  # nothing is cut off while its answer is on the way, nor the next call
        connection.send(("made", result))
    except UserError as error:
        connection.send(("refused", error))
    except MemoryError:
        is_short = memory_gb is None or is_machine_short(memory_gb)
        connection.send(("short of memory" if is_short else "over memory", None))


class _Report:
    """Sends an error that nobody expected before the process ends of it."""

    def __init__(self, connection: "Connection[Answer, Any]") -> None:
        self._connection = connection

    def __call__(
        self,
        kind: type[BaseException],
        error: BaseException,
        _: TracebackType | None,
    ) -> None:
        [*__, last] = traceback.format_exception_only(kind, error)
        self._connection.send(("failed", " ".join(last.split())))


if __name__ == "__main__":
    main(int(sys.argv[1]))
