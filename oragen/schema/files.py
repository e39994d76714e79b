"""What a block writes -> a file or a folder that appears under its name only when it is whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import Final

UNFINISHED: Final = ".unfinished"  # in the name of all that is not whole yet; see .dvcignore
LONGEST_NAME: Final = 200  # bytes; most file systems take 255, with what is added


@contextmanager
def atomic_write(target: Path, *, flush: bool = False) -> Iterator[Path]:
    """Give the block a path of its own to write a file to; then rename the file to `target`.

    The path is in the same folder and has the same suffix. An error in the block removes the file
    and leaves `target` as it was.

    Args:
        target: replaced if it is there; its folder is made if it is not.
        flush: wait until the content is on the disk, so that it outlives a loss of power.
    """
    unfinished = _unfinished_path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        if flush:
            flush_tree(unfinished)
        unfinished.replace(target)
        if flush:
            _flush(target.parent)
    finally:
        remove(unfinished)


@contextmanager
def atomic_folder(target: Path, *, flush: bool = False) -> Iterator[Path]:
    """Give the block an empty folder to write into; then rename the folder to `target`.

    As `atomic_write`, but a `target` that is there must be an empty folder.
    """
    with atomic_write(target, flush=flush) as unfinished:
        unfinished.mkdir()
        yield unfinished
        if target.is_dir():
            target.rmdir()


def find_leftovers(folder: Path) -> list[Path]:
    """Return what killed writers left in a folder, or one at work has not finished."""
    return sorted(folder.glob(f"*{UNFINISHED}*"))


def remove_leftovers(target: Path) -> None:
    """Remove what killed writers of `target` left; nobody else may be writing it."""
    for leftover in target.parent.glob(f"{escape(_prefix(target))}*"):
        remove(leftover)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def flush_tree(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    for written in [*path.rglob("*"), path]:
        _flush(written)


def _unfinished_path(target: Path) -> Path:
    """Return a name that no other writer has, in this process or another."""
    return target.with_name(f"{_prefix(target)}{token_hex(4)}{target.suffix}")


def _prefix(target: Path) -> str:
    is_long = len(os.fsencode(target.name)) > LONGEST_NAME
    return f".{'' if is_long else target.stem}{UNFINISHED}-"


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
