"""Rows with their values -> new parts of a store."""

import errno
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from oragen.schema.files import atomic_folder, atomic_write, flush_tree
from oragen.schema.vocabulary import Json
from oragen.store.failures import ADVICE, DamagedPartError, warn_once
from oragen.store.formats import PartFormat, check_part, hash_content, write_values
from oragen.store.hashing import SCHEMA_VERSION
from oragen.store.headers import MAX_ROWS
from oragen.store.layouts import crc_of_row
from oragen.store.parts import PartStore
from oragen.store.row_tables import from_rows, to_bytes
from oragen.store.rows import Row

MAX_BEING_WRITTEN: Final = 4  # parts of one writer at a time, which are in memory meanwhile


class PartWriter:
    """Collects rows and writes a part as soon as they have `part_bytes` together.

    With None it does so only when `write_part` is called. Use it as a context manager: the rest is
    written when the block ends well, and nothing when it ends in an error. All values have the same
    dtype, and the same shape but for the first axis. Others may write to the store meanwhile.

    With threads, parts are written by them while more rows are added; at most `MAX_BEING_WRITTEN`
    at a time. An error of one is raised when another part is written, or when the block ends.
    """

    def __init__(
        self,
        store: PartStore,
        spec: Mapping[str, Json],
        part_bytes: int | None,
        threads: ThreadPoolExecutor | None = None,
    ) -> None:
        self.store = store
        self.spec = dict(spec)
        self.part_bytes = part_bytes
        self._threads = threads
        self._being_written: deque[Future[Path]] = deque()
        self.written: list[Path] = []
        self._values: list[np.ndarray] = []
        self._rows: list[Row] = []
        self._num_positions = 0
        self._num_bytes = 0
        self._writing = ExitStack()

    def __enter__(self) -> "PartWriter":
        self._writing.enter_context(self.store.writing())
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        with self._writing:
            try:
                if failure is None:
                    self.write_part()
                    self._wait_for_all_but(0)
            finally:
                wait(self._being_written)  # those that were begun, before others may use the store

    def add(
        self,
        key: str,
        clip_id: str,
        values: np.ndarray,
        *,
        reason: str | None = None,
        details: Mapping[str, Json] | None = None,
    ) -> None:
        """Add one row; `values` has its positions along the first axis and may have none."""
        start = self._num_positions
        row = Row(key, clip_id, start, start + len(values), reason, dict(details or {}))
        self._rows.append(row)
        self._values.append(values)
        self._num_positions = row.stop
        self._num_bytes += values.nbytes
        is_full = self.part_bytes is not None and self._num_bytes >= self.part_bytes
        if is_full or len(self._rows) == MAX_ROWS:
            self.write_part()

    def write_part(self) -> None:
        """Write what was added since the last part, if there is anything."""
        values, rows = self._values, self._rows
        self._values, self._rows, self._num_positions, self._num_bytes = [], [], 0, 0
        if not rows:
            return
        if self._threads is None:
            self.written.append(self._write(values, rows))
            return
        self._wait_for_all_but(MAX_BEING_WRITTEN - 1)
        self._being_written.append(self._threads.submit(self._write, values, rows))

    def _write(self, values: Sequence[np.ndarray], rows: Sequence[Row]) -> Path:
        joined = np.concatenate(values, casting="no")  # one dtype, or a TypeError
        return write_part(self.store.folder, self.store.part_format, joined, rows, self.spec)

    def _wait_for_all_but(self, number: int) -> None:
        while len(self._being_written) > number:
            self.written.append(self._being_written.popleft().result())


def write_part(
    folder: Path,
    part_format: PartFormat,
    values: np.ndarray,
    rows: Sequence[Row],
    spec: Mapping[str, Json],
) -> Path:
    """Write one part under a temporary name, flush it to the disk, check it, and rename it."""
    header: dict[str, Json] = {"schema_version": SCHEMA_VERSION, "spec": dict(spec)}
    stored = to_bytes(from_rows([_with_checksum(row, values) for row in rows]))
    path = folder / f"part-{hash_content(values, header, stored)}.{part_format}"
    store = PartStore(folder, part_format)
    if _is_there(path, store):  # a part of equal content, so the same part
        return path
    begin = atomic_folder if part_format == "zarr" else atomic_write
    try:
        with begin(path, flush=True) as unfinished:
            write_values(unfinished, part_format, values, header, stored)
            flush_tree(unfinished)
            check_part(unfinished, part_format)
    except OSError as error:
        # Another writer may have finished the same folder meanwhile.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not _is_there(path, store):
            raise
    return path


def _with_checksum(row: Row, values: np.ndarray) -> Row:
    """Add the checksum of the bytes of a row, so that it can be trusted when it is read alone."""
    return replace(row, crc32c=crc_of_row(values[row.start : row.stop]))


def _is_there(path: Path, store: PartStore) -> bool:
    """Whether a part is there, and whole; a damaged one gives way."""
    if not (path.exists() or path.is_symlink()):
        return False
    try:
        check_part(path, store.part_format)
    except DamagedPartError as error:
        warn_once(str(error).removesuffix(f" {ADVICE}"))
        store.set_aside(path)
        return False
    return True
