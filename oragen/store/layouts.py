"""The file of a part -> where its values are, and the checksums that it is compared with."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import google_crc32c
import numpy as np
import pyarrow as pa

from oragen.schema.vocabulary import Json
from oragen.store.headers import to_json

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

    header: Json  # once it was checked: see `headers`
    dtype: np.dtype
    shape: tuple[int, ...]
    file: Path  # that holds the values
    offset: int  # of the first one
    header_crc: int | None  # of `describe`; None in parts of earlier versions
    values_crc: int | None

    @property
    def num_bytes(self) -> int:
        """Size of the values."""
        return num_bytes_of(self.dtype, self.shape)

    def describe(self) -> bytes:
        """Return the text that the checksum of the header is of."""
        return describe(self.header, self.dtype, self.shape)

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


def describe(header: dict[str, Json], dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Return the text that says all of a part but its values."""
    return f"{to_json(header)}{dtype.str}{shape}".encode()


def crc_of_values(layout: PartLayout) -> int:
    """Return the CRC-32C of the values as they are on the disk."""
    checksum = 0
    for block in layout.read_blocks():
        checksum = google_crc32c.extend(checksum, block)
    return int(checksum)


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
