"""An array and its header <-> the file of one part: HDF5, or a folder of Zarr.

The header is JSON: `schema_version`, `spec` (what the values are) and `entries` (a column for each
property of the rows). It is stored under the name `head`.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, assert_never

import google_crc32c
import h5py
import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Json

PartFormat = Literal["h5", "zarr"]
HEADER: Final = "head"  # its name in the file
_ADVICE: Final = "Remove it and run `dvc repro`: only what it held is made again."


class DamagedPartError(UserError):
    """A part cannot be read, or does not hold what its name says."""


@contextmanager
def open_part(path: Path, part_format: PartFormat) -> Iterator[Any]:
    """Open a part for reading; `part["values"]` is its array.

    Raises:
        DamagedPartError: when it cannot be opened, or not be read inside the block.
    """
    with name_damaged(path):
        match part_format:
            case "h5":
                with h5py.File(path, "r") as part:
                    yield part
            case "zarr":
                part = zarr.open_group(path, mode="r")
                _refuse_missing_values(part, path)
                yield part
            case _:
                assert_never(part_format)


def map_values(path: Path) -> np.ndarray:
    """Map the values of a Zarr part into memory, once their checksum has been compared.

    Their one chunk holds them as they are in memory, and a CRC-32C behind them: no copy is made,
    the page cache is all the memory it takes, and any row costs the same.

    Raises:
        DamagedPartError: when they are not what was written.
    """
    with open_part(path, "zarr") as part:
        array = part["values"]
        if array.size == 0:
            return np.zeros(array.shape, array.dtype)
        chunk = array.metadata.encode_chunk_key((0,) * array.ndim)
        stored = np.memmap(path / "values" / chunk, np.uint8, "r").view(np.ndarray)
        values, checksum = stored[: array.nbytes], stored[array.nbytes :]
        if google_crc32c.value(values) != int.from_bytes(checksum.tobytes(), "little"):
            raise ValueError("its checksum does not fit")
        mapped: np.ndarray = values.view(array.dtype).reshape(array.shape)
        return mapped


def read_header(path: Path, part_format: PartFormat) -> dict[str, Json]:
    """Return a part's `schema_version`, `spec` and `entries` (columns).

    Raises:
        DamagedPartError: when there is none.
    """
    with open_part(path, part_format) as part:
        if part_format == "h5":
            header: dict[str, Json] = json.loads(part[HEADER][()])
        else:
            header = dict(part.attrs[HEADER])
        _ = header["schema_version"], header["spec"], header["entries"]
    return header


def write_values(
    path: Path, part_format: PartFormat, values: np.ndarray, header: Mapping[str, Json]
) -> None:
    """Write the file of a part."""
    match part_format:
        case "h5":
            _write_hdf5(path, values, header)
        case "zarr":
            _write_zarr(path, values, header)
        case _:
            assert_never(part_format)


def hash_content(values: np.ndarray, header: Mapping[str, Json]) -> str:
    """Return what a part is named after."""
    digest = hashlib.sha256(_to_json(header).encode())
    digest.update(f"{values.dtype.str}{values.shape}".encode())
    digest.update(np.ascontiguousarray(values).view(np.uint8).reshape(-1).data)
    return digest.hexdigest()[:32]


def verify_part(path: Path, part_format: PartFormat) -> None:
    """Read a part whole and compare it with its name.

    Raises:
        DamagedPartError: when the content is not the one that was written.
    """
    header = read_header(path, part_format)
    with open_part(path, part_format) as part:
        values = np.asarray(part["values"][...])
    if path.stem != (expected := f"part-{hash_content(values, header)}"):
        raise DamagedPartError(f"{path} is damaged: its content belongs to {expected}. {_ADVICE}")


@contextmanager
def name_damaged(path: Path) -> Iterator[None]:
    """Say which part cannot be read in the block.

    HDF5, Zarr, Blosc and JSON each have errors of their own for bytes that make no sense.
    """
    try:
        yield
    except DamagedPartError:
        raise
    except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedPartError(f"{path} cannot be read ({error}). {_ADVICE}") from error


def _refuse_missing_values(part: zarr.Group, path: Path) -> None:
    """Zarr reads zeros where a file is missing or empty; a whole part has all of its files."""
    values, chunks = part["values"], (path / "values" / "c").rglob("*")
    is_whole = isinstance(values, zarr.Array) and (
        values.size == 0 or any(file.is_file() and file.stat().st_size for file in chunks)
    )
    if not is_whole:
        raise DamagedPartError(f"{path} has lost its values. {_ADVICE}")


def _write_hdf5(path: Path, values: np.ndarray, header: Mapping[str, Json]) -> None:
    image = io.BytesIO()  # libhdf5 would crash the process when the disk is full
    with h5py.File(image, "w") as part:
        part.create_dataset("values", data=values)
        # A string of fixed length: libhdf5 can hang on a damaged heap of variable ones.
        part.create_dataset(HEADER, data=np.bytes_(_to_json(header).encode()))
    path.write_bytes(image.getbuffer())


def _write_zarr(path: Path, values: np.ndarray, header: Mapping[str, Json]) -> None:
    part = zarr.create_group(path, attributes={HEADER: json.loads(_to_json(header))})
    array = part.create_array(
        "values",
        shape=values.shape,
        dtype=values.dtype,
        chunks=(max(1, len(values)), *values.shape[1:]),  # one chunk as it is: see `map_values`
        compressors=Crc32cCodec(),
        dimension_names=header["spec"].get("dimension_names"),
        config={"write_empty_chunks": True},  # zeros are values too: see _refuse_missing_values
    )
    array[...] = values


def _to_json(header: Mapping[str, Json]) -> str:
    return json.dumps(header, sort_keys=True, allow_nan=False)
