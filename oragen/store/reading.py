"""A store and keys -> stretches of single rows, whose parts stay mapped."""

from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from oragen.store.formats import map_values
from oragen.store.parts import PartStore, name_missing
from oragen.store.rows import Located

MAX_MAPPED: Final = 4096  # parts of a store at a time


class OpenParts:
    """Parts kept mapped while stretches of single rows are read, by any thread.

    No file stays open. A context manager.
    """

    def __init__(self, store: PartStore, max_mapped: int = MAX_MAPPED) -> None:
        self._store = store
        self._max_mapped = max_mapped
        self._mapped: OrderedDict[Path, np.ndarray] = OrderedDict()  # the last used at the end
        self._one_at_a_time = Lock()

    def __enter__(self) -> "OpenParts":
        return self

    def __exit__(self, *_: object) -> None:
        self._mapped.clear()

    @cached_property
    def _index(self) -> dict[str, Located]:
        return self._store.index()  # not before something is read: often nothing is

    def read(self, key: str, start: int, stop: int) -> np.ndarray:
        """Return the values `start:stop` of a row, counted from its first.

        Raises:
            MissingRowsError: the store lacks the row.
            DamagedPartError: its part is not as it was written.
        """
        with self._one_at_a_time:
            if key not in self._index:
                raise name_missing(self._store.folder, 1, 1, key)
            path, row = self._index[key].part, self._index[key].row
            values = self._map(path)[row.start + start : row.start + stop]
            return values.copy()  # a view would keep the whole part

    def _map(self, path: Path) -> np.ndarray:
        if path not in self._mapped:
            while len(self._mapped) >= self._max_mapped:
                self._mapped.popitem(last=False)
            self._mapped[path] = map_values(path, self._store.part_format)
        self._mapped.move_to_end(path)
        return self._mapped[path]
