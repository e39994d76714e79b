"""A file and the hash of its index -> what is made of exactly the bytes that were hashed."""

import hashlib
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from oragen.schema.vocabulary import CHANGED, Made

NOTHING: Final = np.zeros(0)
DECODERS: Final = ("av", "opencv-python-headless", "oragen")  # packages that open files


class Reading(NamedTuple):
    """A file, the SHA-256 that its index has, and what to make of it."""

    path: Path
    sha256: str
    make: Callable[[Path], Made]


def read_verified(reading: Reading) -> Made:
    """Make what is wanted of a file, if its bytes are those of the index before and afterwards.

    The file is hashed first. If it is replaced or written to while it is decoded, its number, size
    or times change; the kernel sets the time of the last change, and nobody else can. A file with
    a problem is read once more: so a disk that fails midway is not taken for a damaged file.
    """
    try:
        if reading.path.exists() and not reading.path.is_file():  # a pipe would be waited for
            return Made(NOTHING, "not a file", {"notes": []})
        with reading.path.open("rb", buffering=0) as file:
            if _hash(file) != reading.sha256:
                return Made(NOTHING, CHANGED, {"notes": []})
            before = _identify(os.fstat(file.fileno()))
            made = reading.make(reading.path)
            has_problem = made.reason is not None or bool(made.details["notes"])
            is_same = not has_problem or _hash(file) == reading.sha256
            if is_same and _identify(reading.path.stat()) == before:
                return made
            return Made(NOTHING, CHANGED, {"notes": []})
    except FileNotFoundError:
        return Made(NOTHING, "no such file", {"notes": []})
    except PermissionError:
        return Made(NOTHING, "no permission", {"notes": []})
    except OSError as error:
        return Made(NOTHING, "unreadable", {"notes": [str(error)]})


def _hash(file: FileIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _identify(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes with the bytes of a file."""
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip


def count_bytes(reading: Reading) -> int:
    """Return the size of a file; 0 where there is none."""
    try:
        return reading.path.stat().st_size
    except OSError:
        return 0
