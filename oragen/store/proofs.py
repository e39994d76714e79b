"""The parts of a store -> a note of those that were whole, and of the state of their files then.

So the next stage that writes to the store does not read all of them again. The note trusts what DVC
trusts: inode, size and time of writing. It does not hold the time of change, which DVC renews when
it makes files writable before a stage.
"""

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from oragen.schema.files import write_text
from oragen.schema.vocabulary import Json
from oragen.store.failures import name_failures
from oragen.store.headers import parse_json
from oragen.store.layouts import PartLayout

NOTE_NAME: Final = ".store.compared"  # of this machine alone, and may be removed; see .dvcignore
_MAX_BYTES: Final = 2**26  # of a hundred thousand parts it has 20 MB
_RECENT_NS: Final = 2 * 10**9  # a file may change once more within the clock of its file system

States: TypeAlias = list[list[int]]  # of each file: device, inode, bytes, time of writing in ns


def find_unread(folder: Path, parts: Iterable[PartLayout]) -> dict[Path, States]:
    """Return the parts of a store that are not noted as they are, with the states of their files.

    There are none of a part of which a file may still change unseen: it is not to be noted.

    Raises:
        UnreachablePartError: a file is not there.
    """
    noted = _read_note(folder)
    states = {part.path: _read_states(part) for part in parts}
    return {
        path: found for path, found in states.items()
        if not found or noted.get(path.name) != found
    }  # fmt: skip


def note_whole(folder: Path, whole: Mapping[Path, States], parts: Iterable[Path]) -> None:
    """Add parts that were whole to the note, and leave out those that the store has no more.

    Where nobody may write, all are read again next time.
    """
    noted = _read_note(folder) | {path.name: states for path, states in whole.items()}
    kept = {path.name: noted[path.name] for path in parts if path.name in noted}
    with contextlib.suppress(OSError):
        write_text(folder / NOTE_NAME, json.dumps(kept))


def _read_states(part: PartLayout) -> States:
    with name_failures(part.path):
        files = [file.stat() for file in part.files]
    if time.time_ns() - max(at.st_mtime_ns for at in files) < _RECENT_NS:
        return []
    return [[at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns] for at in files]


def _read_note(folder: Path) -> dict[str, Json]:
    """Return the states by the names of the parts; what is no note says nothing."""
    path = folder / NOTE_NAME
    try:
        is_note = path.is_file() and path.stat().st_size <= _MAX_BYTES
        noted = parse_json(path.read_bytes()) if is_note else {}
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}
