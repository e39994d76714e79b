"""Media paths of a corpus -> size and time of each file, and the SHA-256 of its bytes.

A corpus may have millions of files, on a disk or behind a network. So a check costs two system
calls a file, several files are checked and read at once, and their hashes are remembered by size
and time.
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
from typing import Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Int64
from tqdm import tqdm

from oragen.corpora.spelling import Speller
from oragen.schema.files import atomic_write

logger = logging.getLogger(__name__)

NUM_THREADS: Final = 8  # more than cores: threads wait for disks and networks
FILES_AT_ONCE: Final = 250  # a task of one thread
READ_BYTES: Final = 2**16
READABLE_BY_ALL: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
NO_PERMISSION: Final = "no permission to read the file"
NO_FILE: Final = "no such file"
CANNOT_BE_READ: Final = "the file cannot be read"
EMPTY_FILE: Final = "empty file"
NOT_A_FILE: Final = "not a file"

Made = TypeVar("Made")


@dataclass(frozen=True)
class Files:
    """Files under a root; `problems` is null for readable ones. Only those have a size and a time.

    Paths are those of the corpus, or those of the files that these must mean: two of them may be
    the same file.
    """

    root: Path
    paths: pa.Array
    problems: pa.Array
    sizes: Int64[np.ndarray, " files"]
    mtimes_ns: Int64[np.ndarray, " files"]


def find_files(root: Path, paths: pa.Array, *, follow_links: bool = False) -> Files:
    """Look for files without opening them.

    A path that leaves the root is a problem, and so is one that is no file, or an empty one. A path
    that names no file may still mean one: see `Speller`.

    Args:
        root: the folder of all files; may be a link itself.
        paths: relative to the root, not empty.
        follow_links: also find files that a link in the root leads to elsewhere.
    """
    finder = _Finder(root.resolve(), follow_links=follow_links)
    statuses: list[_Status] = []
    for some in _in_threads(finder.find_many, paths, title=""):
        statuses += some
    found, problems, sizes, mtimes_ns = zip(*statuses, strict=True) if statuses else [()] * 4
    return Files(
        root,
        pa.array(found, pa.string()),
        pa.array(problems, pa.string()),
        np.array(sizes, dtype=np.int64),
        np.array(mtimes_ns, dtype=np.int64),
    )


class _Status(NamedTuple):
    path: str
    problem: str | None = None
    size: int = 0
    mtime_ns: int = 0


class _Finder:
    """Looks for files under a resolved root; each folder is resolved once."""

    def __init__(self, root: Path, *, follow_links: bool) -> None:
        self._root = root
        self._prefix = f"{root}/"
        self._follows = follow_links
        self._is_inside: dict[str, bool] = {}
        self._speller = Speller(str(root))

    def find_many(self, paths: Sequence[str]) -> list[_Status]:
        return [self._find(path) for path in paths]

    def _find(self, path: str) -> _Status:
        status = self._find_as_written(path)
        if status.problem != NO_FILE:
            return status
        meant, reason = self._speller.respell(path)
        if meant is None or meant == path:
            return status._replace(problem=f"{NO_FILE}: {reason}") if reason else status
        respelled = self._find_as_written(meant)
        return respelled if respelled.problem != NO_FILE else status

    def _find_as_written(self, path: str) -> _Status:
        """Check a usual path by its folder and its name; resolve any other path."""
        folder = path.rpartition("/")[0]
        if _is_unusual(path) or not self._holds(folder):
            return self._find_thoroughly(path)
        full = self._prefix + path
        try:
            status = os.lstat(full)
        except FileNotFoundError:
            return _Status(path, NO_FILE)
        except (OSError, ValueError):
            return self._find_thoroughly(path)
        if stat.S_ISREG(status.st_mode) and _may_read(full, status):
            return _describe(path, status)
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
            if problem := self._find_escape(path, full):
                return _Status(path, problem)
            status = full.stat()
        except (FileNotFoundError, NotADirectoryError):
            return _Status(path, NO_FILE)
        except PermissionError:
            return _Status(path, NO_PERMISSION)
        except (OSError, RuntimeError, ValueError):  # too long, a circle of links, a null character
            return _Status(path, "not a usable path")
        if not stat.S_ISREG(status.st_mode):
            return _Status(path, NOT_A_FILE)
        if not _may_read(str(full), status):
            return _Status(path, NO_PERMISSION)
        return _describe(path, status)

    def _find_escape(self, path: str, full: Path) -> str | None:
        """Return the problem of a path that leaves the root: by its name, or through a link."""
        if full.is_relative_to(self._root):
            return None
        if ".." in path.split("/") or path.startswith("/"):
            return f"path leaves the corpus root: {path}"
        if self._follows:
            return None
        return (
            f"path leaves the corpus root: {path} is or passes a link, which `follow_links: true` "
            "in the entry of the corpus allows"
        )


def _describe(path: str, status: os.stat_result) -> _Status:
    problem = None if status.st_size else EMPTY_FILE
    return _Status(path, problem, status.st_size, status.st_mtime_ns)


def _may_read(path: str, status: os.stat_result) -> bool:
    """Return whether a file may be read; without a second call if all users may read it."""
    return status.st_mode & READABLE_BY_ALL == READABLE_BY_ALL or os.access(path, os.R_OK)


MEMORY: Final = pa.schema(
    {"path": pa.string(), "size": pa.int64(), "mtime_ns": pa.int64(), "sha256": pa.string()}
)


class HashMemory:
    """SHA-256 of media files, remembered by size and modification time; a context manager.

    The memory is only a convenience: if it is missing or damaged, every file is read again. It is
    saved when the block ends, also in an error, so that a long indexing can be resumed.
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
            files: to hash; none with a problem is wanted.
            wanted: which files need a hash.
            title: of the progress bar.

        Returns:
            a text for each file; null if it was not wanted or cannot be read.
        """
        self._forget_changed(files)
        is_unknown = pc.is_null(self._find(files.paths)).to_numpy(zero_copy_only=False)
        self._read(files, np.flatnonzero(is_unknown & wanted), title)
        return self._known["sha256"].take(self._find(files.paths)).combine_chunks()

    def _find(self, paths: pa.Array) -> pa.Array:
        return pc.index_in(paths, value_set=self._known["path"])

    def _forget_changed(self, files: Files) -> None:
        # files -> rows of the memory; null = not remembered, or not readable
        rows = pc.if_else(pc.is_null(files.problems), self._find(files.paths), None)
        is_known = pc.is_valid(rows).to_numpy(zero_copy_only=False)
        known = self._known.take(rows.drop_null())
        is_same = (known["size"].to_numpy() == files.sizes[is_known]) & (
            known["mtime_ns"].to_numpy() == files.mtimes_ns[is_known]
        )
        stays = np.ones(self._known.num_rows, dtype=bool)
        stays[rows.drop_null().to_numpy()[~is_same]] = False
        self._known = self._known.filter(pa.array(stays))

    def _read(self, files: Files, numbers: Int64[np.ndarray, " unread"], title: str) -> None:
        """Read files and remember their hashes, also if an error ends the reading."""
        hashes: list[str | None] = []
        paths = files.paths.take(pa.array(numbers))
        try:
            for some in _in_threads(partial(_hash_many, files.root), paths, title):
                hashes += some
        finally:
            done = numbers[: len(hashes)]
            columns = [paths[: len(done)], files.sizes[done], files.mtimes_ns[done]]
            read = pa.table([*columns, pa.array(hashes, pa.string())], schema=MEMORY)
            self._known = pa.concat_tables([self._known, read.drop_null()]).combine_chunks()


def _hash_many(root: Path, paths: Sequence[str]) -> list[str | None]:
    """Return the SHA-256 of each file; only unusual names need a Path, which is slower."""
    prefix = f"{root}/"
    return [_hash_file(str(root / path) if _is_unusual(path) else prefix + path) for path in paths]


def _is_unusual(path: str) -> bool:
    return path.startswith("/") or path.endswith(("/", "/.", "/..")) or path in {".", ".."}


def _hash_file(path: str) -> str | None:
    """Return the SHA-256 of a file's bytes; None when it cannot be read.

    Most files are small: a file object would cost as much as reading one.
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
    """Yield the results of one batch of paths after the other, in order; a title shows progress."""
    starts = range(0, len(paths), FILES_AT_ONCE)
    progress = tqdm(total=len(paths), desc=title, unit="file", disable=None if title else True)
    with progress, ThreadPoolExecutor(NUM_THREADS) as pool:
        slices = (paths[start : start + FILES_AT_ONCE] for start in starts)
        for made in pool.map(lambda some: do(some.to_pylist()), slices):
            progress.update(len(made))
            yield made
