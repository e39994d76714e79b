"""The libraries of all stages, loaded once -> a fork of this process for each stage of a DVC run.

It is a program of its own: a fork loads the code of oragen anew, as it lies in the project. It
never computes, so that it has no threads, which a fork would lose. It ends with the process of DVC,
when a file of a library changes, or after some idle minutes.
"""

import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

sys.path[0] = str(Path(__file__).parents[2])  # as in the project's folder
from stages.warm.libraries import HEAVY, LIGHT  # noqa: E402
from stages.warm.protocol import (  # noqa: E402
    NUMBER,
    REFUSED,
    describe_start,
    find_peer,
    receive,
    settings,
)

OURS: Final = ("stages", "oragen")  # of which the server has loaded a little, as it was
IDLE_S: Final = 600.0
READING_S: Final = 10.0
STARTED_IN: Final = {**os.environ}  # libraries may change it when they are loaded
States = dict[str, tuple[int, int, int]]


class Request(NamedTuple):
    """What a stage asks for: to be run as if it were here."""

    stage: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]
    group: int  # of processes, which a terminal sends its signals to


def serve(address: Path, owner: int) -> Request:
    """Load the libraries and answer; return in a fork, with what it has to run.

    The light libraries are there at once. A second process loads the heavy ones and takes over.
    """
    lock = _lock_or_exit(address.with_suffix(".lock"))
    dvc = os.pidfd_open(owner)
    if describe_start(owner)[2] != address.name.partition("-")[2]:
        os._exit(0)  # DVC has ended, and another process has its number
    load(LIGHT)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended forks leave nothing behind
    address.unlink(missing_ok=True)  # of a server that was killed
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen()
    ready, told = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        load(HEAVY)
        os.write(told, b"1")
        os.close(told)
        return answer(listener, dvc, address, keep=[lock], successor=None)
    os.close(told)
    return answer(listener, dvc, address, keep=[lock], successor=ready)


def load(modules: Iterable[str]) -> None:
    """Import what is installed."""
    for module in modules:
        with suppress(ImportError):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page


def answer(
    listener: socket.socket, dvc: int, address: Path, *, keep: list[int], successor: int | None
) -> Request:
    """Fork for each request until DVC has ended; return in a fork, with what it has to run.

    Args:
        listener: where requests come.
        dvc: a file that can be read when DVC has ended.
        address: of the listener.
        keep: files that are open in this process alone.
        successor: a file that can be read when a process that has loaded more takes over.
    """
    states = _find_states()
    while True:
        watched = [listener.fileno(), dvc, *([] if successor is None else [successor])]
        ready, _, _ = select.select(watched, [], [], IDLE_S)
        if not ready or dvc in ready:
            _end(address)
        if successor in ready:
            if os.read(successor, 1):
                os._exit(0)
            successor = None  # it could not load the libraries
            continue
        connection, _ = listener.accept()
        if _find_states() != states:
            _end(address)
        if os.fork() == 0:
            listener.close()
            for number in (*keep, *watched[1:]):
                os.close(number)
            return attend(connection)
        connection.close()


def _end(address: Path) -> NoReturn:
    for file in (address, address.with_suffix(".lock")):
        file.unlink(missing_ok=True)
    os._exit(0)


def attend(connection: socket.socket) -> Request:
    """Fork once more, to run what is asked; wait for it here, and send its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.settimeout(READING_S)
    try:
        if os.getsid(find_peer(connection)) != os.getsid(0):
            raise ValueError("a stage of another terminal")
        request, files = read_request(connection)
        if settings(request.environment) != settings(STARTED_IN):
            raise ValueError("a stage in another environment")
    except (OSError, ValueError, TypeError):
        with suppress(OSError):
            connection.sendall(NUMBER.pack(REFUSED))
        os._exit(1)
    worker = os.fork()
    if worker == 0:
        connection.close()
        os.setpgid(0, request.group)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return request
    for file in files:
        os.close(file)
    return _watch(connection, worker)


def read_request(connection: socket.socket) -> tuple[Request, list[int]]:
    """Read what is asked, and its standard input, output and error.

    Raises:
        ValueError: it is not what a stage sends.
    """
    start, files, _, _ = socket.recv_fds(connection, NUMBER.size, 3)
    content = receive(connection, NUMBER.unpack(start.ljust(NUMBER.size, b"\0"))[0])
    asked: list[Any] = json.loads(content)
    return Request(*asked), files


def _watch(connection: socket.socket, worker: int) -> NoReturn:
    """Send how a fork ends; end it if who asked for it was killed."""
    with suppress(OSError):
        connection.sendall(NUMBER.pack(worker))
    ended = os.pidfd_open(worker)
    ready, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in ready:
        os.kill(worker, signal.SIGKILL)
    exit_code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    with suppress(OSError):
        connection.sendall(NUMBER.pack(exit_code))
    os._exit(0)


def _lock_or_exit(path: Path) -> int:
    """Be the only server of a DVC process."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(0)
    return lock


def _find_states() -> States:
    """Return what shows a change of the interpreter, or of the file of a library that is loaded."""
    files = {getattr(module, "__file__", None) for module in [*sys.modules.values()]} - {None}
    return {str(file): _find_state(str(file)) for file in (sys.executable, *files)}


def _find_state(file: str) -> tuple[int, int, int]:
    try:
        found = Path(file).stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


# -- in the fork that runs a stage -----------------------------------------------------------------


def run(request: Request) -> None:
    """Become the stage, as a new interpreter would."""
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.path[0] = request.folder  # in place of the one that this program has added
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    importlib.invalidate_caches()
    _renew_streams()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()  # what no fork must share; `random` sees to itself
    if (torch := sys.modules.get("torch")) is not None:
        # A fork makes its pool of threads anew, which several threads must not do at once.
        torch.set_num_threads(torch.get_num_threads())
    sys.argv = [request.stage, *request.arguments]
    runpy.run_module(request.stage, run_name="__main__", alter_sys=True)


def _renew_streams() -> None:
    """Open the standard streams as Python does when it is started with these files."""
    for number, (name, mode) in enumerate((("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb"))):
        stream = _renew(number, mode, getattr(sys, name))
        vars(sys).update({name: stream, f"__{name}__": stream})


def _renew(number: int, mode: str, before: Any) -> TextIOWrapper:
    is_unbuffered = before.write_through and mode == "wb"  # by PYTHONUNBUFFERED
    return TextIOWrapper(
        open(number, mode, buffering=0 if is_unbuffered else -1, closefd=False),
        encoding=before.encoding,
        errors=before.errors,
        newline="\n",
        line_buffering=number == 2 or os.isatty(number),
        write_through=is_unbuffered,
    )


def run_to_the_end(request: Request) -> NoReturn:
    """Run a stage and exit as an interpreter does, but for taking a thousand modules apart."""
    exit_code = 0
    try:
        run(request)
    except SystemExit as ended:
        exit_code = _to_exit_code(ended.code)
    except KeyboardInterrupt:
        traceback.print_exc()
        exit_code = -signal.SIGINT
    except BaseException:
        traceback.print_exc()
        exit_code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    if exit_code < 0:
        signal.signal(-exit_code, signal.SIG_DFL)
        os.kill(os.getpid(), -exit_code)
    os._exit(exit_code)


def _to_exit_code(code: Any) -> int:
    match code:
        case None:
            return 0
        case int():
            return int(code)
        case text:
            print(text, file=sys.stderr)  # noqa: T201
            return 1


if __name__ == "__main__":
    run_to_the_end(serve(Path(sys.argv[1]), int(sys.argv[2])))
