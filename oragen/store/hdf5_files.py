"""An array and its header <-> an HDF5 file with one plain data set for each.

HDF5 only tells where they are: what could lead to other files, or to more bytes than the file has,
is refused before anything of it is read.
"""

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final

import google_crc32c
import h5py
import numpy as np

from oragen.schema.vocabulary import Json
from oragen.store.headers import parse_json, refuse_large, shorten, to_json
from oragen.store.layouts import PLAIN_TYPES, PartLayout, describe, num_bytes_of

HEADER: Final = "head"
VALUES: Final = "values"
ROWS: Final = "rows"  # a stream of Arrow; in earlier parts they are in the header
CHECKSUMS: Final = "crc32c"  # of header, type and shape of the values and rows; of the values
_MAGIC: Final = b"\x89HDF\r\n\x1a\n\x00"  # at the very beginning, with the version that we write
_NAMES: Final = (  # earlier parts have less
    {HEADER, VALUES},
    {HEADER, VALUES, CHECKSUMS},
    {HEADER, VALUES, CHECKSUMS, ROWS},
)
_MAX_AXES: Final = 8


def write_hdf5(path: Path, values: np.ndarray, header: Mapping[str, Json], rows: bytes) -> None:
    """Write the file of a part."""
    text = to_json(header)
    described = describe(dict(header), values.dtype, values.shape, rows)
    stored = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    checksums = [google_crc32c.value(described), google_crc32c.value(stored)]
    image = io.BytesIO()  # libhdf5 would crash the process when the disk is full
    with h5py.File(image, "w") as part:
        part.create_dataset(VALUES, data=values)
        # A string of fixed length: libhdf5 can hang on a damaged heap of variable ones.
        part.create_dataset(HEADER, data=np.bytes_(text.encode()))
        part.create_dataset(ROWS, data=np.frombuffer(rows, np.uint8))
        part.create_dataset(CHECKSUMS, data=np.array(checksums, np.uint32))
    path.write_bytes(image.getbuffer())


def locate_hdf5(path: Path) -> PartLayout:
    """Find header and values in a file that HDF5 wrote for us.

    It is opened as a Python file: HDF5 then takes no lock, which some file systems do not have.

    Raises:
        ValueError: it holds anything else.
        OSError: it cannot be read; with a number if the system says so.
    """
    with path.open("rb", buffering=0) as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("it is no HDF5 file of the version that oragen writes")
        with h5py.File(file, "r") as part:
            names = _list_names(part)
            if names not in _NAMES:
                raise ValueError(f"it holds {shorten(sorted(names))}")
            num_file_bytes = path.stat().st_size
            found = {name: _locate(part, name, num_file_bytes) for name in names}
        refuse_large(num_bytes_of(*found[HEADER][:2]))
        header = parse_json(_read(file, *found[HEADER]))
        checksums, rows = None, None
        if ROWS in found:
            refuse_large(num_bytes_of(*found[ROWS][:2]))
            if found[ROWS][0] != np.dtype(np.uint8) or len(found[ROWS][1]) != 1:
                raise ValueError("its rows are no bytes")
            rows = _read(file, *found[ROWS])
        if CHECKSUMS in found:
            if found[CHECKSUMS][:2] != (np.dtype(np.uint32), (2,)):
                raise ValueError("its checksums are not two numbers")
            checksums = np.frombuffer(_read(file, *found[CHECKSUMS]), np.uint32).tolist()
    header_crc, values_crc = checksums or (None, None)
    dtype, shape, offset = found[VALUES]
    if not shape or dtype.kind == "S":
        raise ValueError("its values are no array of numbers")
    return PartLayout(path, header, dtype, shape, path, offset, header_crc, values_crc, rows)


def _list_names(part: h5py.File) -> set[str]:
    """Return the names of the root group, all of them hard links."""
    if part.id.get_num_objs() > len(_NAMES[-1]) or h5py.h5a.get_num_attrs(part["/"].id):
        raise ValueError("it holds more than oragen writes")
    names = [name.decode("utf-8", "backslashreplace") for name in part.id]
    for name in names:
        if part.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{shorten(name)} is a link to elsewhere")
    return {*names}


def _locate(
    part: h5py.File, name: str, num_file_bytes: int
) -> tuple[np.dtype, tuple[int, ...], int]:
    """Return type, shape and place of a data set that is plain bytes of this file."""
    data_set = h5py.h5d.open(part.id, name.encode())
    created = data_set.get_create_plist()
    if created.get_layout() != h5py.h5d.CONTIGUOUS or created.get_nfilters():
        raise ValueError(f"its {name} are in pieces, filtered or in other files")
    if created.get_external_count() or h5py.h5a.get_num_attrs(data_set):
        raise ValueError(f"its {name} are in another file, or have attributes")
    dtype = _read_type(name, data_set.get_type())
    shape = data_set.shape
    if len(shape) > _MAX_AXES:
        raise ValueError(f"its {name} have {len(shape)} axes")
    num_bytes = num_bytes_of(dtype, shape)
    offset = data_set.get_offset() if num_bytes else 0
    if offset is None or offset + num_bytes > num_file_bytes:
        raise ValueError(f"its {name} are {num_bytes:,} bytes, its file has {num_file_bytes:,}")
    return dtype, shape, offset


def _read_type(name: str, stored: h5py.h5t.TypeID) -> np.dtype:
    """Return the type of a data set: plain numbers, or for the header bytes of fixed length."""
    if name == HEADER:
        if stored.get_class() != h5py.h5t.STRING or stored.is_variable_str():
            raise ValueError("its header is no string of fixed length")
        return np.dtype(f"S{stored.get_size()}")
    for dtype, plain in _plain_types():
        if stored.equal(plain):
            return dtype
    raise ValueError(f"the type of its {name} is not a plain number")


@cache
def _plain_types() -> list[tuple[np.dtype, h5py.h5t.TypeID]]:
    return [(dtype, h5py.h5t.py_create(dtype)) for dtype in PLAIN_TYPES]


def _read(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...], offset: int) -> bytes:
    file.seek(offset)
    return file.read(num_bytes_of(dtype, shape))
