"""An array, its header and rows <-> a Zarr v3 group with two arrays of one chunk each.

Zarr writes it. It is read without Zarr: only the metadata that stands below is accepted, so that
no codec of a stranger is ever looked up.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import google_crc32c
import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

from oragen.schema.vocabulary import Json
from oragen.store.headers import parse_json, refuse_large, shorten, to_json
from oragen.store.layouts import (
    BLOCK_BYTES,
    PLAIN_TYPES,
    PartLayout,
    describe,
    num_bytes_of,
    refuse_links,
)

VALUES: Final = "values"
ROWS: Final = "rows"  # a stream of Arrow as bytes
HEADER: Final = "head"  # its name among the attributes
HEADER_CRC: Final = "crc32c"
_CRC_BYTES: Final = 4
_MAX_AXES: Final = 8
_TYPES: Final = {dtype.name: dtype for dtype in PLAIN_TYPES}
_GROUP: Final = {"zarr_format": 3, "node_type": "group", "attributes": None}
_CRC: Final = {"name": "crc32c"}
_WRITTEN: Final[dict[str, Json]] = {  # what all arrays have in common
    "zarr_format": 3,
    "node_type": "array",
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, _CRC],
    "fill_value": 0,
    "attributes": {},
    "storage_transformers": [],
}
_ONE_BYTE: Final = {"name": "bytes"}  # the codec of types without an order of bytes
_OF_EACH: Final = {"shape", "data_type", "chunk_grid", "dimension_names"}


def write_zarr(path: Path, values: np.ndarray, header: Mapping[str, Json], rows: bytes) -> None:
    """Write a part into an empty folder."""
    head = json.loads(to_json(header))
    checksum = google_crc32c.value(describe(head, values.dtype, values.shape, rows))
    part = zarr.create_group(path, attributes={HEADER: head, HEADER_CRC: checksum})
    arrays = {VALUES: values, ROWS: np.frombuffer(rows, np.uint8)}
    for name, array in arrays.items():
        part.create_array(
            name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=(max(1, len(array)), *array.shape[1:]),  # one chunk as it is: see PartLayout
            compressors=Crc32cCodec(),
            dimension_names=header["spec"].get("dimension_names") if name == VALUES else None,
            config={"write_empty_chunks": True},  # zeros are values too
        )
        if array.size:
            _write_chunk(path / name / "c", array)


def _write_chunk(folder: Path, values: np.ndarray) -> None:
    """Write the only chunk as Zarr does with these codecs: the bytes, then their CRC-32C.

    Zarr copies all of it twice, in one thread for all parts that are being written.
    """
    chunk = folder.joinpath(*["0"] * values.ndim)
    chunk.parent.mkdir(parents=True)
    content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1)
    step = BLOCK_BYTES // values.itemsize
    checksum = 0
    with chunk.open("xb") as file:
        for start in range(0, len(content), step):
            block = content[start : start + step].tobytes()
            checksum = google_crc32c.extend(checksum, block)
            file.write(block)
        file.write(checksum.to_bytes(_CRC_BYTES, "little"))


def locate_zarr(path: Path) -> PartLayout:
    """Find header and values in a folder that Zarr wrote for us.

    Raises:
        ValueError: it holds anything else.
        OSError: it cannot be read.
    """
    has_rows = (path / ROWS).is_dir()  # else they are in the header, as in earlier parts
    _expect(path, {"zarr.json", VALUES, ROWS} if has_rows else {"zarr.json", VALUES})
    header, header_crc = _read_group(path / "zarr.json")
    values = _locate_array(path / VALUES, _names_of(header))
    rows = _read_rows(path / ROWS) if has_rows else None
    return PartLayout(
        path, header, values.dtype, values.shape, values.chunk, 0, header_crc, values.checksum, rows
    )


class _Array(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, ...]
    chunk: Path
    checksum: int | None  # of its bytes, if there are any


def _locate_array(folder: Path, dimension_names: Json) -> _Array:
    refuse_links(folder / "zarr.json")
    dtype, shape = _read_array(folder / "zarr.json", dimension_names)
    num_bytes = num_bytes_of(dtype, shape)
    chunk = folder / "c"
    if not num_bytes:
        _expect(folder, {"zarr.json"})
        return _Array(dtype, shape, chunk, None)
    _expect(folder, {"zarr.json", "c"})
    for _ in shape:
        _expect(chunk, {"0"})
        chunk /= "0"
    return _Array(dtype, shape, chunk, _read_checksum(chunk, num_bytes))


def _read_rows(folder: Path) -> bytes:
    """Read the table of rows, once its size is bounded."""
    array = _locate_array(folder, None)
    if array.dtype != np.uint8 or len(array.shape) != 1:
        raise ValueError("its rows are no bytes")
    refuse_large(array.shape[0])
    with array.chunk.open("rb") as file:
        rows = file.read(array.shape[0])
    if array.checksum != google_crc32c.value(rows):
        raise ValueError("the checksum of its rows does not fit")
    return rows


def _expect(folder: Path, names: set[str]) -> None:
    """Refuse a folder that holds more or less than it should."""
    if not folder.is_dir():
        raise ValueError(f"{folder.name} is no folder")
    for path in folder.iterdir():
        if path.name not in names:
            raise ValueError(f"it holds {shorten(path.name)}, which oragen does not write")
        refuse_links(path)
        names = names - {path.name}
    if "c" in names or "0" in names:
        raise ValueError("it has lost its values")
    if names:
        raise ValueError(f"it has no {min(names)}")


def _read_json(path: Path) -> Any:
    refuse_large(path.stat().st_size)
    return parse_json(path.read_bytes())


def _read_group(path: Path) -> tuple[dict[str, Json], int | None]:
    group = _read_json(path)
    if not isinstance(group, dict) or group.get("zarr_format") != 3:
        raise ValueError("it is no Zarr of format 3")
    if {**group, "attributes": None} != _GROUP or not isinstance(group["attributes"], dict):
        raise ValueError("the metadata of its group are not as oragen writes them")
    header, checksum = group["attributes"].get(HEADER), group["attributes"].get(HEADER_CRC)
    if group["attributes"].keys() - {HEADER, HEADER_CRC} or not isinstance(header, dict):
        raise ValueError(f"its attributes are {shorten(sorted(group['attributes']))}")
    if HEADER_CRC in group["attributes"] and type(checksum) is not int:
        raise ValueError(f"its checksum is {shorten(checksum)}")
    return header, checksum


def _read_array(path: Path, dimension_names: Json) -> tuple[np.dtype, tuple[int, ...]]:
    array: Any = _read_json(path)
    if not isinstance(array, dict) or array.keys() - {*_WRITTEN, *_OF_EACH}:
        raise ValueError("the metadata of its array have fields that oragen does not write")
    dtype = _TYPES.get(str(array.get("data_type")))
    if dtype is None:
        raise ValueError(f"its values are of the type {shorten(array.get('data_type'))}")
    for name, expected in _WRITTEN.items():
        if name == "codecs" and dtype.itemsize == 1:
            expected = [_ONE_BYTE, _CRC]
        if (found := array.get(name, expected)) != expected:
            raise ValueError(f"the {name} of its values are {shorten(found)}")
    shape = _read_shape(array)
    if array.get("dimension_names") != dimension_names:
        raise ValueError("the dimension_names are not those of its spec")
    return dtype, shape


def _read_shape(array: dict[str, Json]) -> tuple[int, ...]:
    shape = array.get("shape")
    if not isinstance(shape, list) or not 1 <= len(shape) <= _MAX_AXES:
        raise ValueError(f"the shape of its values is {shorten(shape)}")
    if not all(type(length) is int and 0 <= length < 2**63 for length in shape):
        raise ValueError(f"the shape of its values is {shorten(shape)}")
    one_chunk = [max(1, shape[0]), *shape[1:]]
    expected = {"name": "regular", "configuration": {"chunk_shape": one_chunk}}
    if array.get("chunk_grid") != expected:
        raise ValueError("its values are not in one chunk")
    return tuple(shape)


def _names_of(header: dict[str, Json]) -> Json:
    spec = header.get("spec")
    return spec.get("dimension_names") if isinstance(spec, dict) else None


def _read_checksum(chunk: Path, num_bytes: int) -> int:
    """Return the checksum behind the values, in a file that holds just both."""
    with chunk.open("rb") as file:
        size = file.seek(0, 2)
        if size != num_bytes + _CRC_BYTES:
            raise ValueError(f"its values are {num_bytes:,} bytes, its file has {size:,}")
        file.seek(num_bytes)
        return int.from_bytes(file.read(_CRC_BYTES), "little")
