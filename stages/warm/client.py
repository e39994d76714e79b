"""A stage that DVC starts -> the exit code of the fork that ran it, or nothing if none could.

The first stage of a `dvc repro` starts the server, and runs by itself. The server ends with DVC.
"""

import fcntl
import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from stages.warm.protocol import (
    NUMBER,
    REFUSED,
    can_fork,
    describe_start,
    find_peer,
    find_private_folder,
    receive,
)

SERVER: Final = Path(__file__).with_name("server.py")
SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "fish", "ksh"})
# Long work, on several GPUs by processes that start this program again.
ALONE: Final = frozenset({"stages.finetune_encoder"})
PASSED_ON: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
BY_KILL: Final = 0  # SI_USER; greater numbers are the kernel's, as of a terminal
ANSWER_S: Final = 10.0


def hand_over() -> None:
    """Let a fork run the stage that Python was started for, and end as it does.

    Returns if the stage has to be run here: it is not of DVC, it is switched off by ORAGEN_WARM=0,
    there is no server yet, or the server refuses.
    """
    start = sys.orig_argv
    if start[1:2] != ["-m"] or not start[2].startswith("stages.") or start[2] in ALONE:
        return
    if "DVC_STAGE" not in os.environ or os.environ.get("ORAGEN_WARM") == "0" or not can_fork():
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        owner = _find_owner()
        address = find_private_folder() / f"{owner}-{describe_start(owner)[2]}"
        try:
            connection.connect(str(address))
        except (FileNotFoundError, ConnectionRefusedError):
            _start_server(address, owner)
            return
        _ask(connection, start[2], start[3:])


def _find_owner() -> int:
    """Return the process of DVC: the parent, or that of the shell between them."""
    owner = os.getppid()
    name, parent, _ = describe_start(owner)
    return parent if name in SHELLS else owner


def _start_server(address: Path, owner: int) -> None:
    """Start the server in the background, and do not wait for it."""
    nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    command = [sys.executable, str(SERVER), str(address), str(owner)]
    os.posix_spawn(sys.executable, command, os.environ, file_actions=nowhere, setpgroup=0)


def _ask(connection: socket.socket, stage: str, arguments: list[str]) -> None:
    """Ask for a fork, and wait for its end; return if it is refused."""
    find_peer(connection)
    request = [stage, arguments, str(Path.cwd()), dict(os.environ), os.getpgrp()]
    content = json.dumps(request).encode()
    connection.settimeout(ANSWER_S)
    socket.send_fds(connection, [NUMBER.pack(len(content))], [0, 1, 2])
    connection.sendall(content)
    answer = receive(connection, NUMBER.size)
    if len(answer) == NUMBER.size and (worker := NUMBER.unpack(answer)[0]) != REFUSED:
        connection.settimeout(None)
        _end_as(_wait(connection, worker))


def _wait(connection: socket.socket, worker: int) -> int:
    """Pass signals on until the fork has ended; return its exit code, below 0 by a signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGIO})
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    while True:
        answer = _receive_if_any(connection)  # also what came before signals were asked for
        if answer is not None and len(answer) == NUMBER.size:
            return int(NUMBER.unpack(answer)[0])
        if answer is not None:  # who watches the fork was killed
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            return -signal.SIGKILL
        told = signal.sigwaitinfo({*PASSED_ON, signal.SIGIO})
        # A terminal tells the whole group of processes, and the fork is in it.
        if told.si_signo != signal.SIGIO and told.si_code <= BY_KILL:
            with suppress(ProcessLookupError):
                os.kill(worker, told.si_signo)


def _receive_if_any(connection: socket.socket) -> bytes | None:
    try:
        return connection.recv(NUMBER.size)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _end_as(exit_code: int) -> NoReturn:
    """End with an exit code, or by the signal that the fork ended by."""
    if exit_code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the fork has left its own
        if -exit_code != signal.SIGKILL:
            signal.signal(-exit_code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-exit_code})
        os.kill(os.getpid(), -exit_code)
    os._exit(exit_code)
