"""Arrays with a key each <-> a store: a folder of immutable parts, each complete in itself.

A part holds one array `values` and a header: the spec that says what the values are, and the table
of its rows. A row is one keyed item: its key, its clip, and which stretch of `values` is its own. A
part is written under a temporary name and renamed when whole; it is never changed afterwards. Its
name is the hash of its content. So equal parts have equal names, two stores merge by union, and a
crash loses at most the part under way.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from oragen.schema.files import atomic_write, find_leftovers, remove
from oragen.schema.vocabulary import PASSING_REASONS, Json
from oragen.store.formats import (
    PartFormat,
    hash_content,
    map_values,
    name_damaged,
    open_part,
    read_header,
    write_values,
)
from oragen.store.hashing import SCHEMA_VERSION

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One keyed item: `start:stop` of its part's values, or the reason why it has none."""

    key: str
    clip_id: str
    start: int
    stop: int
    reason: str | None = None
    details: dict[str, Json] = field(default_factory=dict)


ROW_COLUMNS: Final = tuple(column.name for column in fields(Row))


@dataclass(frozen=True)
class Located:
    """A row and the part that holds it."""

    part: Path
    row: Row


class PartStore:
    """A folder of parts of one format."""

    def __init__(self, folder: Path, part_format: PartFormat) -> None:
        self.folder = folder
        self.part_format: PartFormat = part_format

    def parts(self) -> list[Path]:
        """Return the finished parts, by name."""
        return sorted(self.folder.glob(f"part-*.{self.part_format}"))

    def index(self) -> dict[str, Located]:
        """Return where each key is: the union of the parts' own tables.

        Parts of another schema version hold nothing that is in use. Neither do rows of clips that
        could not be read for a passing reason, as older versions kept them.
        """
        located: dict[str, Located] = {}
        for part in self.parts():
            header = read_header(part, self.part_format)
            version = header["schema_version"]
            if version == SCHEMA_VERSION:
                located |= {
                    row.key: Located(part, row)
                    for row in list_rows(part, header)
                    if row.reason not in PASSING_REASONS
                }
            else:
                logger.info("%s is of schema version %s: not used", part, version)
        return located

    def read_many(self, wanted: Sequence[Located]) -> Iterator[tuple[Located, np.ndarray]]:
        """Yield the values of the wanted rows, part after part, each part opened once.

        An HDF5 part of which half is wanted is read whole.
        """
        by_part: dict[Path, list[Located]] = {}
        for located in wanted:
            by_part.setdefault(located.part, []).append(located)
        for path, members in sorted(by_part.items()):
            with open_part(path, self.part_format) as part:
                if self.part_format == "zarr":
                    values = map_values(path)
                else:
                    num_wanted = sum(item.row.stop - item.row.start for item in members)
                    values = part["values"]
                    values = values[:] if 2 * num_wanted >= len(values) else values
                for located in members:
                    yield located, np.asarray(values[located.row.start : located.row.stop])

    def remove_unfinished(self) -> None:
        """Remove what a killed writer left."""
        for leftover in find_leftovers(self.folder):
            logger.info("removing unfinished %s", leftover.name)
            remove(leftover)


class OpenParts:
    """Parts kept open while stretches of single rows are read, by any thread.

    A context manager.
    """

    def __init__(self, store: PartStore) -> None:
        self._store = store
        self._files = ExitStack()
        self._opened: dict[Path, Any] = {}
        self._one_at_a_time = Lock()

    def __enter__(self) -> "OpenParts":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @cached_property
    def _index(self) -> dict[str, Located]:
        return self._store.index()  # not before something is read: often nothing is

    def read(self, key: str, start: int, stop: int) -> np.ndarray:
        """Return the values `start:stop` of a row, counted from its first."""
        with self._one_at_a_time:
            path, row = self._index[key].part, self._index[key].row
            if path not in self._opened:
                part = open_part(path, self._store.part_format)
                self._opened[path] = self._files.enter_context(part)
            with name_damaged(path):
                stretch = slice(row.start + start, row.start + stop)
                return np.asarray(self._opened[path]["values"][stretch])


class PartWriter:
    """Collects rows and writes a part as soon as they have `part_bytes` together.

    With None it does so only when `write_part` is called. Use it as a context manager: the rest is
    written when the block ends well, and nothing when it ends in an error. All values have the same
    dtype, and the same shape but for the first axis. A store has one writer at a time: what another
    left unfinished is removed.
    """

    def __init__(self, store: PartStore, spec: Mapping[str, Json], part_bytes: int | None) -> None:
        self.store = store
        self.spec = dict(spec)
        self.part_bytes = part_bytes
        self.written: list[Path] = []
        self._values: list[np.ndarray] = []
        self._rows: list[Row] = []
        self._num_positions = 0
        self._num_bytes = 0

    def __enter__(self) -> "PartWriter":
        self.store.folder.mkdir(parents=True, exist_ok=True)
        self.store.remove_unfinished()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self.write_part()

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
        if self.part_bytes is not None and self._num_bytes >= self.part_bytes:
            self.write_part()

    def write_part(self) -> None:
        """Write what was added since the last part, if there is anything."""
        if self._rows:
            values = np.concatenate(self._values, casting="no")  # one dtype, or a TypeError
            folder, part_format = self.store.folder, self.store.part_format
            self.written.append(write_part(folder, part_format, values, self._rows, self.spec))
        self._values, self._rows, self._num_positions, self._num_bytes = [], [], 0, 0


def write_part(
    folder: Path,
    part_format: PartFormat,
    values: np.ndarray,
    rows: Sequence[Row],
    spec: Mapping[str, Json],
) -> Path:
    """Write one part under a temporary name, flush it to the disk, and rename it."""
    columns = {name: [getattr(row, name) for row in rows] for name in ROW_COLUMNS}
    header = {"schema_version": SCHEMA_VERSION, "spec": dict(spec), "entries": columns}
    path = folder / f"part-{hash_content(values, header)}.{part_format}"
    if not path.exists():  # else a part of equal content, so the same part
        with atomic_write(path, flush=True) as unfinished:
            write_values(unfinished, part_format, values, header)
    return path


def list_rows(path: Path, header: Mapping[str, Json]) -> list[Row]:
    """Return the rows that the header of a part lists."""
    with name_damaged(path):
        columns = [header["entries"][name] for name in ROW_COLUMNS]
        return [Row(*values) for values in zip(*columns, strict=True)]
