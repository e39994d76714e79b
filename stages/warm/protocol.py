"""What a stage and the server tell each other; both must be quick to start and import little."""

import os
import socket
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NUMBER: Final = struct.Struct("!i")  # a size, a process, an exit code
CREDENTIALS: Final = struct.Struct("3i")  # process, user, group
REFUSED: Final = 0  # in place of a process
# What differs from stage to stage, and decides nothing about libraries.
PASSING_NAMES: Final = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})


def find_private_folder() -> Path:
    """Return a folder for sockets that is this user's alone; make it if need be.

    Raises:
        OSError: somebody else has made it, or may write into it.
    """
    folder = Path(os.environ.get("TMPDIR") or "/tmp") / f"oragen-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not private")
    return folder


def find_peer(connection: socket.socket) -> int:
    """Return the process at the other end of a connection.

    Raises:
        PermissionError: it is another user's.
    """
    content = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    process, user, _ = CREDENTIALS.unpack(content)
    if user != os.getuid():
        raise PermissionError(f"process {process} is another user's")
    return int(process)


def receive(connection: socket.socket, num_bytes: int) -> bytes:
    """Return so many bytes, or fewer if the other end is closed."""
    content = b""
    while len(content) < num_bytes and (more := connection.recv(num_bytes - len(content))):
        content += more
    return content


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that libraries may read when they are loaded."""
    return {
        name: text
        for name, text in environment.items()
        if name not in PASSING_NAMES and not name.startswith("DVC_")
    }


def describe_start(process: int) -> tuple[str, int, str]:
    """Return the name of a process, its parent, and when it was started."""
    content = Path(f"/proc/{process}/stat").read_text()
    name, _, rest = content.partition("(")[2].rpartition(")")
    fields = rest.split()
    return name, int(fields[1]), fields[19]


def can_fork() -> bool:
    """Return whether this system has what a server needs, and no GPU of NVIDIA."""
    return (
        sys.platform == "linux"
        and hasattr(os, "pidfd_open")
        and hasattr(socket, "recv_fds")
        and not Path("/dev/nvidiactl").exists()
    )
