"""A store and keys -> stretches of single rows, whose parts stay mapped."""

from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

import numpy as np

from oragen.store.failures import ADVICE, DamagedPartError, name_failures
from oragen.store.formats import map_values, read_layout
from oragen.store.layouts import PartLayout, crc_of_row
from oragen.store.parts import PartStore, name_missing
from oragen.store.places import RowIndex
from oragen.store.rows import Located, Row

MAX_MAPPED: Final = 4096  # parts of a store at a time


class _Opened(NamedTuple):
    """A part; its values were compared whole, or each of its rows is compared by itself."""

    layout: PartLayout | None
    values: np.ndarray


class OpenParts:
    """Parts kept mapped while stretches of single rows are read, by any thread.

    A row is compared with its own checksum before it is used for the first time, so that the rest
    of its part is not read. Parts of earlier versions have none, and are compared whole.

    No file stays open. A context manager.
    """

    def __init__(self, store: PartStore, max_mapped: int = MAX_MAPPED) -> None:
        self._store = store
        self._max_mapped = max_mapped
        self._mapped: OrderedDict[Path, _Opened] = OrderedDict()  # the last used at the end
        self._trusted: set[str] = set()  # keys of rows that were compared
        self._one_at_a_time = Lock()

    def __enter__(self) -> "OpenParts":
        return self

    def __exit__(self, *_: object) -> None:
        self._mapped.clear()

    @cached_property
    def _index(self) -> RowIndex:
        return self._store.index()  # not before something is read: often nothing is

    def read(self, key: str, start: int, stop: int) -> np.ndarray:
        """Return the values `start:stop` of a row, counted from its first.

        Raises:
            MissingRowsError: the store lacks the row.
            DamagedPartError: the row is not as it was written.
        """
        with self._one_at_a_time:
            if key not in self._index:
                raise name_missing(self._store.folder, 1, 1, key)
            return self._read_row(self._index[key])[start:stop].copy()  # not a view of a part

    def _read_row(self, located: Located) -> np.ndarray:
        path, row = located.part, located.row
        layout, values = self._open(path, row)
        if layout is None or row.key in self._trusted:
            return values[row.start : row.stop]
        with name_failures(path):
            read = layout.read_values(row.start, row.stop)
        if crc_of_row(read) != row.crc32c:
            raise DamagedPartError(
                f"{path} is damaged: the checksum of the row {row.key} does not fit. {ADVICE}"
            )
        self._trusted.add(row.key)
        return read

    def _open(self, path: Path, row: Row) -> _Opened:
        if path not in self._mapped:
            while len(self._mapped) >= self._max_mapped:
                self._mapped.popitem(last=False)
            if row.crc32c is None:
                self._mapped[path] = _Opened(None, map_values(path, self._store.part_format))
            else:
                layout = read_layout(path, self._store.part_format).without_rows()
                with name_failures(path):
                    self._mapped[path] = _Opened(layout, layout.map_values())
        self._mapped.move_to_end(path)
        return self._mapped[path]
