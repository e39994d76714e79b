"""Keys of rows -> pairs of numbers, found again without a Python object for each key."""

import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Int64, UInt32, UInt64

KEY_BYTES: Final = 16
_DIGITS: Final = 2 * KEY_BYTES
_AT_ONCE: Final = 2**18  # keys that are converted at a time
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
# Keys as 32 hexadecimal digits: Python strings, or a column of a table.
Keys: TypeAlias = Iterable[str] | pa.Array | pa.ChunkedArray | pd.Series


class PackedKeys(NamedTuple):
    """Keys as two numbers each, and which of them are keys at all."""

    numbers: UInt64[np.ndarray, "keys 2"]
    are_keys: Bool[np.ndarray, " keys"]


class Matches(NamedTuple):
    """Which key of a part is which wanted one."""

    found: Int64[np.ndarray, " matches"]
    wanted: Int64[np.ndarray, " matches"]


@dataclass(frozen=True)
class KeySet:
    """Wanted keys, in the order of a request; each may stand there several times."""

    order: UInt32[np.ndarray, " sorted"]  # of those that are keys, so that they are sorted
    mixed: UInt64[np.ndarray, " sorted"]
    second: UInt64[np.ndarray, " sorted"]  # of the two numbers of a key: with `mixed`, all of it
    has_equal: bool  # whether some of `mixed` are
    length: int  # of the request

    @classmethod
    def of(cls, keys: PackedKeys) -> "KeySet":
        """Sort keys, so that they can be found."""
        mixed = _mix(keys.numbers)
        order = np.argsort(mixed).astype(np.uint32)  # half the memory; a store has no 2**32 rows
        if not keys.are_keys.all():
            order = order[keys.are_keys[order]]
        mixed = mixed[order]
        has_equal = bool((mixed[1:] == mixed[:-1]).any())
        return cls(order, mixed, keys.numbers[order, 1], has_equal, len(keys.numbers))

    def __len__(self) -> int:
        return self.length

    def match(self, numbers: UInt64[np.ndarray, "some 2"]) -> Matches:
        """Return which of some keys are wanted ones, and which; of equal ones the last counts."""
        mixed = _mix(numbers)
        found = np.argsort(mixed)  # neighbours are then found near each other
        sought = mixed[found]
        if (sought[1:] == sought[:-1]).any():
            found = np.argsort(mixed, kind="stable")
        places = np.searchsorted(self.mixed, sought)
        pairs = [Matches(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        while len(found) and len(self.mixed):
            is_alike = self.mixed.take(places, mode="clip") == mixed[found]
            is_alike &= places < len(self.mixed)
            found, places = found[is_alike], places[is_alike]
            is_same = self.second[places] == numbers[found, 1]
            pairs.append(Matches(found[is_same], self.order[places[is_same]]))
            if not self.has_equal:
                break
            places = places + 1
        return Matches(*map(np.concatenate, zip(*pairs, strict=True)))

    def contains(self, numbers: UInt64[np.ndarray, "some 2"]) -> Bool[np.ndarray, " some"]:
        """Return which of some keys are among the wanted ones."""
        is_wanted = np.zeros(len(numbers), bool)
        is_wanted[self.match(numbers).found] = True
        return is_wanted


def find_last(numbers: UInt64[np.ndarray, "keys 2"]) -> Int64[np.ndarray, " last"]:
    """Return the places of keys, in order; of a key that is there twice, the last one."""
    if (np.diff(np.sort(_mix(numbers))) != 0).all():
        return np.arange(len(numbers))
    order = np.lexsort((numbers[:, 1], numbers[:, 0]))  # which keeps the order of equal ones
    is_last = np.append((numbers[order][1:] != numbers[order][:-1]).any(axis=1), True)
    return np.sort(order[is_last])


def pack_keys(keys: Keys) -> PackedKeys:
    """Return keys as numbers; what is no key is 0, and said to be none."""
    chunks = [*_cut(keys)]
    stops = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64).tolist()
    packed = np.zeros((stops[-1] if stops else 0, KEY_BYTES), np.uint8)
    are_keys = np.ones(len(packed), bool)
    for chunk, stop in zip(chunks, stops, strict=True):
        here = slice(stop - len(chunk), stop)
        packed[here], are_keys[here] = _pack(chunk)
    return PackedKeys(packed.view("<u8").astype(np.uint64, copy=False), are_keys)


def view_keys(column: pa.Array) -> UInt64[np.ndarray, "keys 2"]:
    """Look at a column of binary keys as `pack_keys` packs them; nothing is copied."""
    buffer = column.buffers()[1]
    if not len(column) or buffer is None:
        return np.zeros((0, 2), np.uint64)
    first = column.offset * KEY_BYTES
    numbers = np.frombuffer(buffer, "<u8", 2 * len(column), first)
    return numbers.astype(np.uint64, copy=False).reshape(-1, 2)


def unpack_keys(numbers: UInt64[np.ndarray, "keys 2"]) -> list[str]:
    """Return keys as text."""
    digits = numbers.astype("<u8").tobytes().hex()
    return [digits[start : start + _DIGITS] for start in range(0, len(digits), _DIGITS)]


def _cut(keys: Keys) -> Iterator[pa.Array]:
    """Yield keys as short Arrow arrays of strings."""
    if not isinstance(keys, pa.Array | pa.ChunkedArray):
        keys = pa.array(keys if isinstance(keys, pd.Series) else [*keys], pa.string())
    for chunk in keys.chunks if isinstance(keys, pa.ChunkedArray) else [keys]:
        for start in range(0, len(chunk), _AT_ONCE):
            yield chunk.slice(start, _AT_ONCE).cast(pa.string())


def _pack(chunk: pa.Array) -> tuple[np.ndarray, Bool[np.ndarray, " keys"]]:
    """Return the bytes of each key, and which are keys."""
    _, offsets, digits = chunk.buffers()
    places = np.frombuffer(offsets, np.int32, len(chunk) + 1, 4 * chunk.offset)
    if not chunk.null_count and (np.diff(places) == _DIGITS).all():
        try:
            packed = binascii.unhexlify(memoryview(digits)[places[0] : places[-1]])
        except binascii.Error:
            pass
        else:
            return np.frombuffer(packed, np.uint8).reshape(-1, KEY_BYTES), np.ones(len(chunk), bool)
    each = [_pack_one(key) for key in chunk.to_pylist()]
    joined = b"".join(key or bytes(KEY_BYTES) for key in each)
    packed_each = np.frombuffer(joined, np.uint8).reshape(-1, KEY_BYTES)
    return packed_each, np.array([key is not None for key in each])


def _pack_one(key: str | None) -> bytes | None:
    """Return the bytes of a key, None if it is none."""
    try:
        return binascii.unhexlify(key) if key is not None and len(key) == _DIGITS else None
    except ValueError:
        return None


def _mix(numbers: UInt64[np.ndarray, "keys 2"]) -> UInt64[np.ndarray, " keys"]:
    """Return a number for each key; those of two keys may be equal."""
    mixed: np.ndarray = numbers[:, 0] ^ (numbers[:, 1] * _ODD)
    return mixed
