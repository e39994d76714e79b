"""An array and its header <-> one part: an HDF5 file, or a folder of Zarr.

The header is JSON: `schema_version` and `spec` (what the values are), under the name `head`. The
rows are Arrow, see `row_tables`; parts of earlier versions have them as `entries` in the header. A
checksum is of both, one of the values. A part may come from anywhere. Exactly what is written here
is accepted, and nothing else.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, assert_never

import google_crc32c
import numpy as np

from oragen.schema.vocabulary import Json
from oragen.store.failures import ADVICE, DamagedPartError, name_failures
from oragen.store.hdf5_files import locate_hdf5, write_hdf5
from oragen.store.headers import check_header
from oragen.store.layouts import PartLayout, crc_of_values, describe, refuse_links
from oragen.store.zarr_folders import locate_zarr, write_zarr

PartFormat = Literal["h5", "zarr"]
_RECENT_S: Final = 2.0  # a file may change once more within the clock of its file system

_Stamp = tuple[int, ...]
# Parts that this process has compared: when that was, and where their values are.
_proven: dict[Path, tuple[_Stamp, PartLayout]] = {}


def read_layout(path: Path, part_format: PartFormat) -> PartLayout:
    """Find header and values of a part; the values are not read.

    Raises:
        DamagedPartError: when it is not what oragen writes, or its header is damaged.
        UnreachablePartError: when it cannot be read at present.
    """
    with name_failures(path):
        refuse_links(path)
        match part_format:
            case "h5":
                layout = locate_hdf5(path)
            case "zarr":
                layout = locate_zarr(path)
            case _:
                assert_never(part_format)
        check_header(layout.header, layout.shape[0], with_rows=layout.rows is None)
        if layout.header_crc not in (None, google_crc32c.value(layout.describe())):
            raise ValueError("the checksum of its header does not fit")
        if layout.rows is not None:
            _ = layout.table  # which refuses what is none
        return layout


def read_header(path: Path, part_format: PartFormat) -> dict[str, Json]:
    """Return a part's `schema_version` and `spec`, see `read_layout`."""
    return dict(read_layout(path, part_format).header)


def check_part(path: Path, part_format: PartFormat) -> PartLayout:
    """Read a part whole and compare it with its checksums, or with its name if it has none.

    A file that stays as it is is read once in a process.

    Raises:
        DamagedPartError: when the content is not the one that was written.
        UnreachablePartError: when it cannot be read at present.
    """
    layout = read_layout(path, part_format)
    with name_failures(path):
        if _is_proven(path, layout):
            return layout
        stamp = _stamp(layout)
        if layout.header_crc is None:
            _check_name(path, layout)
        elif layout.values_crc not in (None, crc_of_values(layout)):
            raise ValueError("the checksum of its values does not fit")
        _remember(path, stamp, layout)
    return layout


def map_values(path: Path, part_format: PartFormat = "zarr") -> np.ndarray:
    """Map the values of a part into memory, once they have been compared as in `check_part`.

    A file that stays as it is is compared once in a process: streaming maps it in every epoch.

    They are on the disk as they are in memory: no copy is made, the page cache is all the memory
    it takes, any row costs the same, and no file stays open.
    """
    with name_failures(path):
        known = _proven.get(path)
        if known is not None and _is_proven(path, known[1]):
            return known[1].map_values()
    layout = check_part(path, part_format)
    with name_failures(path):
        return layout.map_values()


def write_values(
    path: Path,
    part_format: PartFormat,
    values: np.ndarray,
    header: Mapping[str, Json],
    rows: bytes,
) -> None:
    """Write the file of a part, or what is in its folder."""
    match part_format:
        case "h5":
            write_hdf5(path, values, header, rows)
        case "zarr":
            write_zarr(path, values, header, rows)
        case _:
            assert_never(part_format)


def hash_content(values: np.ndarray, header: Mapping[str, Json], rows: bytes) -> str:
    """Return what a part is named after."""
    digest = hashlib.sha256(describe(dict(header), values.dtype, values.shape, rows))
    digest.update(np.ascontiguousarray(values).view(np.uint8).reshape(-1).data)
    return digest.hexdigest()[:32]


def verify_part(path: Path, part_format: PartFormat) -> None:
    """Read a part whole and compare it with its checksums and its name.

    Raises:
        DamagedPartError: when the content is not the one that was written.
        UnreachablePartError: when it cannot be read at present.
    """
    layout = check_part(path, part_format)
    with name_failures(path):
        _check_name(path, layout)


def _check_name(path: Path, layout: PartLayout) -> None:
    """Compare a part with its name."""
    stamp = _stamp(layout)
    digest = hashlib.sha256(layout.describe())
    for block in layout.read_blocks():
        digest.update(block)
    if path.stem != (expected := f"part-{digest.hexdigest()[:32]}"):
        raise DamagedPartError(f"{path} is damaged: its content belongs to {expected}. {ADVICE}")
    _remember(path, stamp, layout)


def _remember(path: Path, stamp: _Stamp, layout: PartLayout) -> None:
    """Remember that the content of a part fits, as long as its files stay."""
    if time.time() - stamp[-1] / 1e9 > _RECENT_S:
        _proven[path] = stamp, layout.without_rows()


def _is_proven(path: Path, layout: PartLayout) -> bool:
    """Whether this process has compared the part, and its files are as they were then."""
    return path in _proven and _proven[path][0] == _stamp(layout)


def _stamp(layout: PartLayout) -> _Stamp:
    """Return what changes when a file of a part is written: it cannot be set back unseen."""
    states = [file.stat() for file in layout.files]
    numbers = [number for at in states for number in (at.st_dev, at.st_ino, at.st_size)]
    return (*numbers, *(at.st_mtime_ns for at in states), max(at.st_ctime_ns for at in states))
