"""Keys and the parts of a store -> where the row of each key is, as columns.

Only when somebody asks for a row by its key, a Python object is made of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt64

from oragen.store.formats import PartFormat, read_layout
from oragen.store.key_sets import KeySet, Matches, find_last
from oragen.store.layouts import PartLayout
from oragen.store.row_tables import RowTable, no_rows
from oragen.store.rows import Located, Row

ABSENT: Final = -1  # in place of the number of a part
_AT_ONCE: Final = 2**17  # rows that are looked at together


@dataclass(frozen=True)
class Places:
    """Where the rows of some keys are, in the order of the keys."""

    parts: tuple[PartLayout, ...]  # without their rows
    part_of: Int32[np.ndarray, " keys"]  # the number of the part; ABSENT: the store lacks the row
    row_of: Int32[np.ndarray, " keys"]  # the number of the row among the usable ones of the part
    starts: Int64[np.ndarray, " keys"]
    stops: Int64[np.ndarray, " keys"]

    def __len__(self) -> int:
        return len(self.part_of)

    @property
    def are_found(self) -> Bool[np.ndarray, " keys"]:
        """Which rows the store has."""
        found: np.ndarray = self.part_of != ABSENT
        return found

    @property
    def used(self) -> list[PartLayout]:
        """The parts that hold some of the rows."""
        numbers = np.bincount(self.part_of[self.are_found], minlength=len(self.parts)).nonzero()[0]
        return [self.parts[number] for number in numbers.tolist()]

    def take(self, numbers: Int64[np.ndarray, " taken"] | slice) -> "Places":
        """Return where some of the keys are."""
        columns = (self.part_of, self.row_of, self.starts, self.stops)
        return Places(self.parts, *(column[numbers] for column in columns))


def find_places(wanted: KeySet, parts: Iterable[PartLayout]) -> Places:
    """Look for the rows of some keys in one part after the other; of several, the last counts."""
    part_of = np.full(len(wanted), ABSENT, np.int32)
    row_of = np.zeros(len(wanted), np.int32)
    starts, stops = np.zeros((2, len(wanted)), np.int64)
    seen: list[PartLayout] = []
    for rows, (found, at) in _match(wanted, _read_tables(parts, seen)):
        part_of[at], row_of[at] = rows.part_of[found], rows.row_of[found]
        starts[at], stops[at] = rows.starts[found], rows.stops[found]
    return Places(tuple(seen), part_of, row_of, starts, stops)


def list_places(parts: Iterable[PartLayout]) -> tuple[UInt64[np.ndarray, "rows 2"], Places]:
    """Return all keys, and where their rows are; of a key in two parts, in the last one."""
    seen: list[PartLayout] = []
    rows = _join([table for tables in _read_tables(parts, seen) for table in tables])
    last = find_last(rows.keys)
    columns = (column[last] for column in rows[1:])
    return rows.keys[last], Places(tuple(seen), *columns)


class _Rows(NamedTuple):
    """The rows of some parts, one part after the other."""

    keys: UInt64[np.ndarray, "rows 2"]
    part_of: Int32[np.ndarray, " rows"]
    row_of: Int32[np.ndarray, " rows"]
    starts: Int64[np.ndarray, " rows"]
    stops: Int64[np.ndarray, " rows"]


class _Numbered(NamedTuple):
    number: int  # of the part
    table: RowTable


def _read_tables(parts: Iterable[PartLayout], seen: list[PartLayout]) -> Iterator[list[_Numbered]]:
    """Yield the tables of some parts at a time, and note the parts; few large steps are fast."""
    tables: list[_Numbered] = []
    num_rows = 0
    for part in parts:
        tables.append(_Numbered(len(seen), part.table.usable()))
        seen.append(part.without_rows())
        num_rows += len(tables[-1].table)
        if num_rows >= _AT_ONCE:
            yield tables
            tables, num_rows = [], 0
    yield tables


def _match(wanted: KeySet, tables: Iterable[list[_Numbered]]) -> Iterator[tuple[_Rows, Matches]]:
    """Yield rows, and which are wanted: a thread looks for them while the next tables are read."""

    def match(read: list[_Numbered]) -> tuple[_Rows, Matches]:
        rows = _join(read)
        return rows, wanted.match(rows.keys)

    ahead: Future[tuple[_Rows, Matches]] | None = None
    with ThreadPoolExecutor(1) as thread:
        for read in tables:
            before, ahead = ahead, thread.submit(match, read)
            if before is not None:
                yield before.result()
        if ahead is not None:
            yield ahead.result()


def _join(tables: Sequence[_Numbered]) -> _Rows:
    lengths = [len(table) for _, table in tables]
    numbers = np.array([number for number, _ in tables], np.int32)
    none = no_rows()
    return _Rows(
        np.concatenate([none.keys, *(table.keys for _, table in tables)]),
        np.repeat(numbers, lengths),
        np.concatenate([np.arange(count, dtype=np.int32) for count in [0, *lengths]]),
        np.concatenate([none.starts, *(table.starts for _, table in tables)]),
        np.concatenate([none.stops, *(table.stops for _, table in tables)]),
    )


@dataclass(frozen=True, eq=False)
class RowIndex(Mapping[str, Located]):
    """The rows of a store by their keys; rows of a part become objects when one is asked for."""

    keys_of: Sequence[str]
    places: Places
    part_format: PartFormat

    def __len__(self) -> int:
        return len(self.keys_of)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys_of)

    def __contains__(self, key: object) -> bool:
        return key in self._numbers

    def __getitem__(self, key: str) -> Located:
        number = self._numbers[key]
        part, row = int(self.places.part_of[number]), int(self.places.row_of[number])
        return Located(self.places.parts[part].path, self._read_rows(part)[row])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {key: number for number, key in enumerate(self.keys_of)}

    @cached_property
    def _rows(self) -> dict[int, list[Row]]:
        return {}

    def _read_rows(self, part: int) -> list[Row]:
        if part not in self._rows:
            layout = read_layout(self.places.parts[part].path, self.part_format)
            self._rows[part] = layout.table.usable().to_rows()
        return self._rows[part]
