"""The file of a part -> where its values are, and the checksums that it is compared with."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import google_crc32c
import numpy as np
import pyarrow as pa

from oragen.schema.vocabulary import Json
from oragen.store.hashing import SCHEMA_VERSION
from oragen.store.headers import ROWS, to_json
from oragen.store.row_tables import RowTable, from_json, no_rows, parse_rows

PLAIN_TYPES: Final = tuple(
    np.dtype(name)
    for name in (
        "float16", "float32", "float64", "uint8", "uint16", "uint32", "uint64", "int8", "int16",
        "int32", "int64",
    )
)  # fmt: skip
_MAPPED_BYTES: Final = 2**17  # smaller ones are read: a process may map some ten thousand files
BLOCK_BYTES: Final = 2**22  # of values that are read or written at a time


@dataclass(frozen=True)
class PartLayout:
    """A part before its values are read."""

    path: Path
    header: Json  # once it was checked: see `headers`
    dtype: np.dtype
    shape: tuple[int, ...]
    file: Path  # that holds the values
    offset: int  # of the first one
    header_crc: int | None  # of `describe`; None in parts of earlier versions
    values_crc: int | None
    rows: bytes | None = None  # as Arrow; None in parts that have them as JSON in the header

    @property
    def files(self) -> list[Path]:
        """The files that hold it, but for rows: these are compared each time they are read."""
        if self.file == self.path:
            return [self.path]
        values = [self.file] if self.num_bytes else []
        return [self.path / "zarr.json", self.path / "values" / "zarr.json", *values]

    @property
    def num_bytes(self) -> int:
        """Size of the values."""
        return num_bytes_of(self.dtype, self.shape)

    def describe(self) -> bytes:
        """Return the bytes that the checksum of the header is of."""
        return describe(self.header, self.dtype, self.shape, self.rows)

    def without_rows(self) -> "PartLayout":
        """Return what is left when the rows are forgotten, which may be many."""
        header = {name: value for name, value in self.header.items() if name != ROWS}
        return replace(self, header=header, rows=None)

    @cached_property
    def table(self) -> RowTable:
        """The rows; none of another schema version."""
        if self.header["schema_version"] != SCHEMA_VERSION:
            return no_rows()
        if self.rows is None:
            return from_json(self.header[ROWS])
        return parse_rows(self.rows, self.shape[0])

    def read_blocks(self) -> Iterator[bytes]:
        """Read the bytes of the values, some at a time.

        They are read and not mapped, because an error of the disk would kill who maps them.
        """
        left = self.num_bytes
        if not left:
            return
        with self.file.open("rb", buffering=0) as file:
            file.seek(self.offset)
            while left:
                block = file.read(min(BLOCK_BYTES, left))
                if not block:
                    raise ValueError(f"it ends {left:,} bytes too early")
                left -= len(block)
                yield block

    def read_values(self, start: int, stop: int) -> np.ndarray:
        """Read some of the values, of as many positions; nothing else of the file is read."""
        shape = (stop - start, *self.shape[1:])
        position = num_bytes_of(self.dtype, self.shape[1:])
        with self.file.open("rb", buffering=0) as file:
            file.seek(self.offset + start * position)
            content = file.read((stop - start) * position)
        return np.frombuffer(content, self.dtype).reshape(shape)  # else it ends too early

    def map_values(self) -> np.ndarray:
        """Map the values into memory; no file stays open for it."""
        count = self.num_bytes // self.dtype.itemsize
        if self.num_bytes < _MAPPED_BYTES:
            stored = b"".join(self.read_blocks())
            return np.frombuffer(stored, self.dtype, count).reshape(self.shape)
        with pa.memory_map(str(self.file)) as file:
            mapped = np.frombuffer(file.read_buffer(), self.dtype, count, self.offset)
        return mapped.reshape(self.shape)


def num_bytes_of(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Return the size of an array; numpy's own product would overflow."""
    size = dtype.itemsize
    for length in shape:
        size *= length
    return size


def describe(
    header: dict[str, Json], dtype: np.dtype, shape: tuple[int, ...], rows: bytes | None
) -> bytes:
    """Return the bytes that say all of a part but its values."""
    return f"{to_json(header)}{dtype.str}{shape}".encode() + (rows or b"")


def crc_of_values(layout: PartLayout) -> int:
    """Return the CRC-32C of the values as they are on the disk."""
    checksum = 0
    for block in layout.read_blocks():
        checksum = google_crc32c.extend(checksum, block)
    return int(checksum)


def crc_of_row(values: np.ndarray) -> int:
    """Return the CRC-32C of the values of one row."""
    return int(google_crc32c.value(np.ascontiguousarray(values).reshape(-1).view(np.uint8)))


def refuse_links(path: Path) -> None:
    """Refuse what is no plain file or folder.

    A link may lead into DVC's own cache alone, where `cache.type: symlink` keeps what is in data/.

    Raises:
        ValueError: names the file.
    """
    if path.is_symlink() and not _is_in_dvc_cache(path):
        raise ValueError(f"{path.name} is a link to {path.readlink()}")
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{path.name} is neither a file nor a folder")


def _is_in_dvc_cache(path: Path) -> bool:
    """Whether a link leads to a file that DVC has named after its content."""
    match path.resolve().parts:
        case [*_, "files", "md5", head, tail]:
            return len(head) == 2 and len(tail) == 30
        case _:
            return False
