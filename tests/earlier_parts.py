"""Parts as earlier versions wrote them: their rows are JSON in the header."""

import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import h5py
import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

from oragen.store.formats import PartFormat, map_values, read_layout
from oragen.store.inventory import remove_part
from oragen.store.rows import Row

COLUMNS = ("key", "clip_id", "start", "stop", "reason", "details")


def write_earlier_part(
    folder: Path,
    part_format: PartFormat,
    values: np.ndarray,
    rows: Sequence[Row],
    spec: dict[str, Any],
    *,
    with_checksums: bool = True,
) -> Path:
    """Write a part of an earlier version, which has the name that it had."""
    columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    header = {"schema_version": 2, "spec": spec, "entries": columns}
    described = f"{json.dumps(header, sort_keys=True)}{values.dtype.str}{values.shape}".encode()
    content = np.ascontiguousarray(values).tobytes()
    path = folder / f"part-{hashlib.sha256(described + content).hexdigest()[:32]}.{part_format}"
    folder.mkdir(exist_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    checksums = [google_crc32c.value(described), google_crc32c.value(content)]
    if part_format == "h5":
        _write_hdf5(path, values, header, checksums if with_checksums else None)
    else:
        _write_zarr(path, values, header, {"crc32c": checksums[0]} if with_checksums else {})
    return path


def _write_hdf5(
    path: Path, values: np.ndarray, header: dict[str, Any], checksums: list[int] | None
) -> None:
    image = io.BytesIO()
    with h5py.File(image, "w") as part:
        part.create_dataset("values", data=values)
        part.create_dataset("head", data=np.bytes_(json.dumps(header, sort_keys=True).encode()))
        if checksums:
            part.create_dataset("crc32c", data=np.array(checksums, np.uint32))
    path.write_bytes(image.getbuffer())


def _write_zarr(
    path: Path, values: np.ndarray, header: dict[str, Any], checksum: dict[str, int]
) -> None:
    part = zarr.create_group(path, attributes={"head": header, **checksum})
    array = part.create_array(
        "values",
        shape=values.shape,
        dtype=values.dtype,
        chunks=(max(1, len(values)), *values.shape[1:]),
        compressors=Crc32cCodec(),
        dimension_names=header["spec"].get("dimension_names"),
        config={"write_empty_chunks": True},
    )
    if values.size:
        array[:] = values


def make_earlier(part: Path, part_format: PartFormat, *, with_checksums: bool = True) -> Path:
    """Replace a part by the one that an earlier version would have written."""
    layout = read_layout(part, part_format)
    values, rows, spec = map_values(part, part_format).copy(), layout.table.to_rows(), layout.header
    remove_part(part)
    return write_earlier_part(
        part.parent, part_format, values, rows, spec["spec"], with_checksums=with_checksums
    )
