"""Media paths of a corpus -> what lies there, and the SHA-256 of its bytes.

A corpus may have millions of files, on a disk or behind a network: each costs two calls to look at,
several are looked at and read at once, and what was read stays known by size and time.
"""

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Int64
from tqdm import tqdm

from oragen.schema.files import atomic_write

logger = logging.getLogger(__name__)

NUM_THREADS: Final = 8  # more than cores: disks and networks let one wait
FILES_AT_ONCE: Final = 250  # for a thread
READ_BYTES: Final = 2**16
READABLE_BY_ALL: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
NO_PERMISSION: Final = "no permission to read the file"
NO_FILE: Final = "no such file"
CANNOT_BE_READ: Final = "the file cannot be read"

Made = TypeVar("Made")


@dataclass(frozen=True)
class Files:
    """Files under a root; `faults` is null for those that can be read, whose size and time count.

    Paths are as the corpus has them: two of them may be the same file.
    """

    root: Path
    paths: pa.Array
    problems: pa.Array
    sizes: Int64[np.ndarray, " files"]
    mtimes_ns: Int64[np.ndarray, " files"]


def find_files(root: Path, paths: pa.Array) -> Files:
    """Look for files without opening them.

    What leaves the root, by its name or through a link, is a fault, and so is what is no file.

    Args:
        root: the folder that all files lie under; may be a link itself.
        paths: relative to the root, not empty.
    """
    finder = _Finder(root.resolve())
    found: list[_Status] = []
    for statuses in _in_threads(finder.find_many, paths, title=""):
        found += statuses
    problems, sizes, mtimes_ns = zip(*found, strict=True) if found else ((), (), ())
    return Files(
        root,
        paths,
        pa.array(problems, pa.string()),
        np.array(sizes, dtype=np.int64),
        np.array(mtimes_ns, dtype=np.int64),
    )


_Status = tuple[str | None, int, int]  # fault, size, time in ns


class _Finder:
    """Looks for files under a root that is resolved; each folder is resolved once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefix = f"{root}/"
        self._is_inside: dict[str, bool] = {}

    def find_many(self, paths: Sequence[str]) -> list[_Status]:
        return [self._find(path) for path in paths]

    def _find(self, path: str) -> _Status:
        """Look at a usual path by its folder and its name; at any other with more effort."""
        folder = path.rpartition("/")[0]
        if _is_unusual(path) or not self._holds(folder):
            return self._find_thoroughly(path)
        full = self._prefix + path
        try:
            status = os.lstat(full)
        except FileNotFoundError:
            return NO_FILE, 0, 0
        except (OSError, ValueError):
            return self._find_thoroughly(path)
        if stat.S_ISREG(status.st_mode) and _may_read(full, status):
            return None, status.st_size, status.st_mtime_ns
        return self._find_thoroughly(path)

    def _holds(self, folder: str) -> bool:
        if folder not in self._is_inside:
            try:
                inside = (self._root / folder).resolve().is_relative_to(self._root)
            except (OSError, RuntimeError, ValueError):
                inside = False
            self._is_inside[folder] = inside
        return self._is_inside[folder]

    def _find_thoroughly(self, path: str) -> _Status:
        try:
            full = (self._root / path).resolve()
            if not full.is_relative_to(self._root):
                return f"path leaves the corpus root: {path}", 0, 0
            status = full.stat()
        except (FileNotFoundError, NotADirectoryError):
            return NO_FILE, 0, 0
        except PermissionError:
            return NO_PERMISSION, 0, 0
        except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a null character
            return "not a usable path", 0, 0
        if not stat.S_ISREG(status.st_mode):
            return "not a file", 0, 0
        if not _may_read(str(full), status):
            return NO_PERMISSION, 0, 0
        return None, status.st_size, status.st_mtime_ns


def _may_read(path: str, status: os.stat_result) -> bool:
    """Say whether a file may be read; one that all may read is not asked for once more."""
    return status.st_mode & READABLE_BY_ALL == READABLE_BY_ALL or os.access(path, os.R_OK)


MEMORY: Final = pa.schema(
    {"path": pa.string(), "size": pa.int64(), "mtime_ns": pa.int64(), "sha256": pa.string()}
)


class HashMemory:
    """SHA-256 of media files, remembered by size and modification time; a context manager.

    The memory is only a convenience: without it, or when it is damaged, every file is read again.
    It is kept when the block ends, also in an error, so that a long listing can be taken up again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = MEMORY.empty_table()

    def __enter__(self) -> "HashMemory":
        try:
            known = pq.ParquetFile(self._path).read().select(MEMORY.names).cast(MEMORY)
        except (OSError, KeyError, TypeError, pa.ArrowException):
            logger.debug("no usable hash memory at %s", self._path)
        else:
            self._known = known.drop_null().combine_chunks()
        return self

    def __exit__(self, *_: object) -> None:
        with atomic_write(self._path) as unfinished:
            pq.write_table(self._known, unfinished)

    def hashes_of(self, files: Files, wanted: Bool[np.ndarray, " files"], title: str) -> pa.Array:
        """Return the SHA-256 of each file's bytes, in hexadecimal, from memory or by reading.

        Args:
            files: where they are; of faulty ones none is wanted.
            wanted: which to read; of others there may be no hash.
            title: of the progress.

        Returns:
            a text a file, null where it was not wanted or cannot be read.
        """
        self._forget_changed(files)
        is_unknown = pc.is_null(self._find(files.paths)).to_numpy(zero_copy_only=False)
        self._read(files, np.flatnonzero(is_unknown & wanted), title)
        return self._known["sha256"].take(self._find(files.paths)).combine_chunks()

    def _find(self, paths: pa.Array) -> pa.Array:
        return pc.index_in(paths, value_set=self._known["path"])

    def _forget_changed(self, files: Files) -> None:
        at = pc.if_else(pc.is_null(files.problems), self._find(files.paths), None)
        is_known = pc.is_valid(at).to_numpy(zero_copy_only=False)
        known = self._known.take(at.drop_null())
        is_same = (known["size"].to_numpy() == files.sizes[is_known]) & (
            known["mtime_ns"].to_numpy() == files.mtimes_ns[is_known]
        )
        stays = np.ones(self._known.num_rows, dtype=bool)
        stays[at.drop_null().to_numpy()[~is_same]] = False
        self._known = self._known.filter(pa.array(stays))

    def _read(self, files: Files, numbers: Int64[np.ndarray, " unread"], title: str) -> None:
        """Read files and remember what was read, even when only some could be."""
        hashes: list[str | None] = []
        paths = files.paths.take(pa.array(numbers))
        try:
            for found in _in_threads(partial(_hash_many, files.root), paths, title):
                hashes += found
        finally:
            done = numbers[: len(hashes)]
            columns = [paths[: len(done)], files.sizes[done], files.mtimes_ns[done]]
            read = pa.table([*columns, pa.array(hashes, pa.string())], schema=MEMORY)
            self._known = pa.concat_tables([self._known, read.drop_null()]).combine_chunks()


def _hash_many(root: Path, paths: Sequence[str]) -> list[str | None]:
    """Return the SHA-256 of each file; what a Path makes of an unusual name, it is asked for."""
    prefix = f"{root}/"
    return [_hash_file(str(root / path) if _is_unusual(path) else prefix + path) for path in paths]


def _is_unusual(path: str) -> bool:
    return path.startswith("/") or path.endswith(("/", "/.", "/..")) or path in {".", ".."}


def _hash_file(path: str) -> str | None:
    """Return the SHA-256 of a file's bytes; None when it cannot be read.

    Most files are small, and a file object would cost as much as reading one.
    """
    digest = hashlib.sha256()
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while content := os.read(number, READ_BYTES):
                digest.update(content)
        finally:
            os.close(number)
    except OSError:
        return None
    return digest.hexdigest()


def _in_threads(
    do: Callable[[Sequence[str]], list[Made]], paths: pa.Array, title: str
) -> Iterator[list[Made]]:
    """Yield what is made of some paths at a time, in their order; with a title, show progress."""
    starts = range(0, len(paths), FILES_AT_ONCE)
    progress = tqdm(total=len(paths), desc=title, unit="file", disable=None if title else True)
    with progress, ThreadPoolExecutor(NUM_THREADS) as pool:
        slices = (paths[start : start + FILES_AT_ONCE] for start in starts)
        for made in pool.map(lambda some: do(some.to_pylist()), slices):
            progress.update(len(made))
            yield made
