"""A store -> the right to write to it together with others, or to rewrite it alone.

Parts need no lock: each has one writer, and its name when it is whole. What removes parts needs
one. A file system without locks, or a folder where no file can be made, is used without.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from oragen.schema.errors import UserError
from oragen.schema.files import find_abandoned, find_leftovers
from oragen.schema.owners import is_running

logger = logging.getLogger(__name__)

LOCK_NAME: Final = ".store.lock"  # see .dvcignore
DVC_LOCKS: Final = Path(".dvc/tmp/rwlock")
_held: dict[Path, int] = {}  # folders that this process has a lock on, and how often


class StoreInUseError(UserError):
    """Another process is writing to a store that is to be rewritten."""


@contextmanager
def share_store(folder: Path) -> Iterator[None]:
    """Write to a store beside others; wait as long as one rewrites it alone."""
    if _held.get(folder.absolute()):
        with _hold(folder):
            yield
        return
    try:
        handle = _lock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.info("%s: waiting for `oragen cache` to end", folder)
        handle = _lock(folder, fcntl.LOCK_SH)
    with _release_at_end(folder, handle):
        yield


@contextmanager
def take_store(folder: Path, command: str) -> Iterator[None]:
    """Rewrite a store alone.

    Raises:
        StoreInUseError: when another process is writing to it; nothing is changed.
    """
    if not folder.is_dir():
        yield
        return
    at_work = {*find_leftovers(folder)} - {*find_abandoned(folder)}
    try:
        if at_work or _is_in_dvc_run(folder):
            raise BlockingIOError
        handle = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreInUseError(
            f"{folder} is in use by another process, such as a stage of `dvc repro`. Nothing was "
            f"changed there. Wait until it has ended, then run `{command}` again."
        ) from error
    with _release_at_end(folder, handle):
        yield


def _is_in_dvc_run(folder: Path) -> bool:
    """Whether a stage that DVC runs in this project reads or writes a store.

    A stage that only reads parts has no lock on them. DVC notes what each running stage uses.
    """
    try:
        noted = json.loads(DVC_LOCKS.read_text())
        users = [(path, user) for path, user in noted["write"].items()]
        users += [(path, user) for path, readers in noted["read"].items() for user in readers]
        pids = {int(user["pid"]) for path, user in users if folder.absolute() == Path(path)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False  # not in a project of DVC, or of another version of it
    return any(is_running(pid) for pid in pids)


def _lock(folder: Path, mode: int) -> int | None:
    """Return the open lock file, None where there can be no lock.

    Raises:
        BlockingIOError: another process has it, and the mode says not to wait.
    """
    path = folder / LOCK_NAME
    while True:
        try:
            handle = _open(path)
        except OSError:
            return None
        try:
            fcntl.flock(handle, mode)
        except BlockingIOError:
            os.close(handle)
            raise
        except OSError:
            os.close(handle)
            return None
        if _is_same(handle, path):
            return handle
        os.close(handle)  # who had it before has removed it


def _open(path: Path) -> int:
    """Open the lock file; one of another user can be opened for reading alone."""
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _is_same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _release_at_end(folder: Path, handle: int | None) -> Iterator[None]:
    try:
        with _hold(folder):
            yield
    finally:
        if handle is not None:
            _release(handle, folder / LOCK_NAME)


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    key = folder.absolute()
    _held[key] = _held.get(key, 0) + 1
    try:
        yield
    finally:
        _held[key] -= 1


def _release(handle: int, path: Path) -> None:
    """Give the lock back; the last one removes its file."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_same(handle, path):
            path.unlink()
    except OSError:  # others have it, or it cannot be removed: it may stay
        pass
    finally:
        os.close(handle)
