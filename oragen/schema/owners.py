"""The name of an unfinished file -> whether the process that writes it is still at work.

The name says the machine, the process and when that started: a number of a process is used again.
Other machines cannot be asked. What they write is theirs for an hour after it was last changed.
"""

import hashlib
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Final

ABANDONED_AFTER_S: Final = 3600.0
# Machine, process, its start, and what tells its files apart: see `name_owner`.
_OWNER: Final = re.compile(r"\.unfinished-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}")
_EARLIER: Final = re.compile(r"\.unfinished-[0-9a-f]{8}(?![0-9a-f-])")  # it did not say whose it is

_owned: set[Path] = set()  # what this process is writing


def name_owner() -> str:
    """Return this process and a random number, for the name of a file."""
    pid = os.getpid()
    return f"{_machine()}-{pid}-{_start_of(pid)}-{token_hex(4)}"


@contextmanager
def own(path: Path) -> Iterator[None]:
    """Be at work on a file while the block runs."""
    _owned.add(path.absolute())
    try:
        yield
    finally:
        _owned.discard(path.absolute())


def is_abandoned(path: Path) -> bool:
    """Whether nobody is writing an unfinished file or folder any more."""
    if owner := _OWNER.search(path.name):
        machine, pid, start = owner.groups()
        if machine != _machine():
            return _is_old(path)
        if int(pid) == os.getpid():
            return path.absolute() not in _owned
        return _start_of(int(pid)) != int(start)
    return _is_old(path) if _EARLIER.search(path.name) else True


def is_running(pid: int) -> bool:
    """Return whether a process of this machine has not ended."""
    return _start_of(pid) != -1


def _is_old(path: Path) -> bool:
    """Whether nothing in it was changed for an hour."""
    try:
        changed = max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
    except FileNotFoundError:  # it was finished, or removed, meanwhile
        return False
    return time.time() - changed > ABANDONED_AFTER_S


def _start_of(pid: int) -> int:
    """Return when a process started, in ticks since the machine did; -1 if there is none."""
    try:
        # The second field is the name, in brackets, and may hold spaces and brackets.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return -1


@cache
def _machine() -> str:
    """Return what numbers of processes are unique in: a start of a machine, or of a container."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    names = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  # its target is no path
    return hashlib.sha256(f"{platform.node()}{boot}{names}".encode()).hexdigest()[:8]
