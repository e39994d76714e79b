"""What a block writes -> a file or a folder that appears under its name only when it is whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Final

from oragen.schema.owners import is_abandoned, name_owner, own

UNFINISHED: Final = ".unfinished"  # in the name of all that is not whole yet; see .dvcignore
LONGEST_NAME: Final = 200  # bytes; most file systems take 255, with what is added


@contextmanager
def atomic_write(target: Path, *, flush: bool = False) -> Iterator[Path]:
    """Give the block an empty file of its own to write to; then rename the file to `target`.

    It is in the same folder and has the same suffix. It is new, so nothing is written through a
    link that stood there. An error in the block removes it and leaves `target` as it was. An error
    of writing names `target`.

    Args:
        target: replaced if it is there; its folder is made if it is not.
        flush: wait until the content is on the disk, so that it outlives a loss of power.
    """
    with _unfinished(target, flush=flush) as unfinished:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield unfinished


def write_text(target: Path, text: str) -> None:
    """Write a text as `atomic_write` does."""
    with atomic_write(target) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(target: Path, *, flush: bool = False) -> Iterator[Path]:
    """Give the block an empty folder to write into; then rename the folder to `target`.

    As `atomic_write`, but a `target` that is there must be an empty folder.
    """
    with _unfinished(target, flush=flush) as unfinished:
        unfinished.mkdir()
        yield unfinished
        if target.is_dir():
            target.rmdir()


@contextmanager
def _unfinished(target: Path, *, flush: bool) -> Iterator[Path]:
    unfinished = unfinished_path(target)
    with own(unfinished):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            if flush:
                flush_tree(unfinished)
            unfinished.replace(target)
            if flush:
                _flush(target.parent)
        except OSError as error:
            if error.filename in (None, str(unfinished)):
                error.filename = str(target)
            raise
        finally:
            with suppress(OSError):  # where nothing could be written, there may be nothing
                remove(unfinished)


def find_leftovers(folder: Path) -> list[Path]:
    """Return what killed writers left in a folder, or one at work has not finished."""
    return sorted(folder.glob(f"*{UNFINISHED}*"))


def find_abandoned(folder: Path, pattern: str = f"*{UNFINISHED}*") -> list[Path]:
    """Return the leftovers in a folder that nobody is writing any more."""
    return [leftover for leftover in sorted(folder.glob(pattern)) if is_abandoned(leftover)]


def remove_leftovers(target: Path) -> None:
    """Remove what killed writers of `target` left, and nothing of those at work."""
    for leftover in find_abandoned(target.parent, f"{escape(_prefix(target))}*"):
        remove(leftover)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def flush_tree(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    for written in [*path.rglob("*"), path]:
        _flush(written)


def unfinished_path(target: Path) -> Path:
    """Return a name that no other writer has, and that says whose it is."""
    return target.with_name(f"{_prefix(target)}{name_owner()}{target.suffix}")


def _prefix(target: Path) -> str:
    is_long = len(os.fsencode(target.name)) > LONGEST_NAME
    return f".{'' if is_long else target.stem}{UNFINISHED}-"


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
