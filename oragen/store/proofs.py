"""Which parts were compared with their checksums, and how their files were then.

A process compares a part once, as long as its files stay as they are. Of a store that it writes to,
it also leaves a note for the next process. Otherwise one clip more would read all parts again.

The note trusts what DVC trusts: inode, size and time of writing. It does not hold the time of
change, which DVC renews when it makes files writable before a stage.
"""

import contextlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from oragen.schema.files import write_text
from oragen.store.headers import parse_json
from oragen.store.layouts import PartLayout

NOTE_NAME: Final = ".store.compared"  # of this machine alone, and may be removed; see .dvcignore
_MAX_BYTES: Final = 2**26  # of a hundred thousand parts it has 20 MB
_RECENT_S: Final = 2.0  # a file may change once more within the clock of its file system

Stamp = tuple[int, ...]
_proven: dict[Path, Stamp] = {}  # by this process
_recalled: dict[Path, Stamp] = {}  # from notes, without the time of change
_to_note: dict[Path, Stamp] = {}


def stamp_of(path: Path, layout: PartLayout) -> Stamp:
    """Return what changes when a file of a part is written: it cannot be set back unseen."""
    files = [path] if layout.file == path else [path / "zarr.json", path / "values" / "zarr.json"]
    if layout.num_bytes and layout.file != path:
        files.append(layout.file)
    states = [file.stat() for file in files]
    numbers = [number for at in states for number in (at.st_dev, at.st_ino, at.st_size)]
    return (*numbers, *(at.st_mtime_ns for at in states), max(at.st_ctime_ns for at in states))


def is_proven(path: Path, layout: PartLayout) -> bool:
    """Whether a part was compared, and its files are as they were then."""
    if path not in _proven and path not in _recalled:
        return False
    stamp = stamp_of(path, layout)
    return _proven.get(path) == stamp or _recalled.get(path) == stamp[:-1]


def remember(path: Path, stamp: Stamp) -> None:
    """Remember that the content of a part fits; `stamp` was taken before it was read."""
    num_files = len(stamp) // 4
    written, changed = max(stamp[-1 - num_files : -1]), stamp[-1]
    if time.time() - changed / 1e9 > _RECENT_S:
        _proven[path] = stamp
    if time.time() - written / 1e9 > _RECENT_S:
        _to_note[path] = stamp[:-1]


def recall(folder: Path) -> None:
    """Take over what the note of a store says; one that cannot be read says nothing."""
    try:
        noted = parse_json(_read(folder))
        stamps = {str(name): tuple(map(int, stamp)) for name, stamp in noted.items()}
    except (OSError, AttributeError, TypeError, ValueError):
        return
    _recalled.update({folder / name: stamp for name, stamp in stamps.items()})


def note(folder: Path, parts: Iterable[Path]) -> None:
    """Write down which parts of a store were compared; a folder of others is left as it is."""
    known = _recalled | _to_note
    stamps = {part.name: known[part] for part in parts if part in known}
    text = json.dumps(stamps)
    with contextlib.suppress(OSError):
        if stamps and _read(folder) != text.encode():
            write_text(folder / NOTE_NAME, text)


def _read(folder: Path) -> bytes:
    """Return the note of a store; nothing of what can be none."""
    path = folder / NOTE_NAME
    is_note = path.is_file() and path.stat().st_size <= _MAX_BYTES
    return path.read_bytes() if is_note else b""
