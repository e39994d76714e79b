"""The files of a part, HDF5 or Zarr: they explain themselves, and their damage is named."""

import json
import random
from pathlib import Path
from typing import Any

import google_crc32c
import h5py
import numpy as np
import pyarrow as pa
import pytest
import zarr

from oragen.store import hashing
from oragen.store.failures import DamagedPartError
from oragen.store.formats import verify_part
from oragen.store.parts import PartStore
from oragen.store.rows import Row
from oragen.store.writing import PartWriter, write_part
from tests.number_stores import (
    FORMATS,
    SPEC,
    files_of,
    fill,
    key_of,
    make_folder,
    numbers,
    read_all,
)


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", request.param)


@pytest.mark.parametrize("change", ["flip", "cut", "empty"])
def test_damage_is_named(store: PartStore, change: str) -> None:
    rows = np.random.default_rng(0).standard_normal((50, 40)).astype(np.float16)
    part = write_part(
        *(make_folder(store), store.part_format, rows),
        [Row(key_of(row), "clip", row, row + 1) for row in range(50)],
        {},
    )
    verify_part(part, store.part_format)
    largest = max(files_of(part), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    where = whole.find(rows[20:25].tobytes()[:8]) if store.part_format == "h5" else len(whole) // 3
    assert where > 0
    broken = {
        "flip": whole[:where] + bytes([whole[where] ^ 16]) + whole[where + 1 :],
        "cut": whole[:where],
        "empty": b"",
    }
    largest.write_bytes(broken[change])
    with pytest.raises(DamagedPartError, match=rf"{part.name}.*(Remove|belongs to)"):
        verify_part(part, store.part_format)


def test_every_single_damaged_byte_is_named_or_means_nothing(store: PartStore) -> None:
    part = write_part(
        *(make_folder(store), store.part_format, numbers(0, 9)),
        [Row(key_of(row), "clip", row, row + 1) for row in range(9)],
        {},
    )
    before = read_all(store)
    draw = random.Random(0)
    for file in files_of(part):
        whole = file.read_bytes()
        for position in draw.sample(range(len(whole)), min(len(whole), 60)):
            broken = bytearray(whole)
            broken[position] ^= draw.randrange(1, 256)
            file.write_bytes(broken)
            try:
                verify_part(part, store.part_format)
            except DamagedPartError:
                continue
            assert read_all(store) == before, (file.name, position)
        file.write_bytes(whole)


def test_zarr_values_that_were_lost_or_damaged_are_not_read_as_zeros(tmp_path: Path) -> None:
    """Zarr itself takes an absent or empty file for zeros, and Blosc has no checksum."""
    store = PartStore(tmp_path / "store", "zarr")
    rows = np.random.default_rng(0).standard_normal((50, 40)).astype(np.float16)
    folder = make_folder(store)
    part = write_part(folder, "zarr", rows, [Row(key_of("key"), "clip", 0, 50)], {})
    (shard,) = (part / "values").rglob("0/0")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    with pytest.raises(DamagedPartError, match=part.name):
        read_all(store)
    shard.write_bytes(b"")
    assert read_all(store) == {}
    shard.unlink()
    with pytest.raises(DamagedPartError, match="lost its values"):
        verify_part(part, "zarr")
    assert read_all(store) == {}


def test_zeros_are_values(store: PartStore) -> None:
    with PartWriter(store, SPEC, 2**20) as writer:
        writer.add(key_of(0), "clip", np.zeros((3, 2), np.float16))
    assert read_all(store) == {key_of(0): [[0, 0]] * 3}


def test_a_zarr_part_explains_itself_to_plain_zarr(tmp_path: Path) -> None:
    store = PartStore(tmp_path / "store", "zarr")
    fill(store, range(3))
    group = zarr.open_group(store.parts()[0], mode="r")
    head: Any = group.attrs["head"]
    assert head["spec"] == SPEC
    assert head["schema_version"] == hashing.SCHEMA_VERSION
    rows: Any = group["rows"]
    assert_rows_explain_themselves(rows[:].tobytes())
    values = group["values"]
    assert isinstance(values, zarr.Array)
    assert values.metadata.dimension_names == ("row", "column")  # type: ignore[union-attr]
    assert np.asarray(values[:]).tolist() == [[0, 0], [1, 1], [2, 2]]


def assert_rows_explain_themselves(content: bytes) -> None:
    """They are a stream of Arrow."""
    rows = pa.ipc.open_stream(content).read_all()
    assert [key.hex() for key in rows["key"].to_pylist()] == [key_of(0), key_of(1), key_of(2)]
    assert rows["clip_id"].to_pylist() == ["clip-0", "clip-1", "clip-2"]
    assert [rows["start"].to_pylist(), rows["stop"].to_pylist()] == [[0, 1, 2], [1, 2, 3]]
    assert rows["crc32c"].to_pylist() == [
        google_crc32c.value(numbers(key).tobytes()) for key in range(3)
    ]


def test_an_hdf5_part_explains_itself_to_plain_h5py(tmp_path: Path) -> None:
    store = PartStore(tmp_path / "store", "h5")
    fill(store, range(3))
    with h5py.File(store.parts()[0]) as part:
        assert json.loads(part["head"][()])["spec"] == SPEC
        assert_rows_explain_themselves(part["rows"][:].tobytes())
        assert part["values"][:].tolist() == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize("num_rows", [1, 3_000])
def test_a_zarr_part_is_five_files_however_many_rows(tmp_path: Path, num_rows: int) -> None:
    """The group, and two arrays of one chunk each."""
    values = np.random.default_rng(0).integers(0, 255, (num_rows, 2000), np.uint8)
    part = write_part(tmp_path, "zarr", values, [Row(key_of("key"), "clip", 0, num_rows)], {})
    assert [file.name for file in files_of(part)] == [
        "0", "zarr.json", "0", "zarr.json", "zarr.json"
    ]  # fmt: skip


def test_a_zarr_part_without_rows_is_valid_zarr(tmp_path: Path) -> None:
    """The specification wants chunks of a length of at least one."""
    part = write_part(
        tmp_path, "zarr", numbers(0, 0), [Row(key_of("key"), "clip", 0, 0, "silent")], {}
    )
    values = zarr.open_group(part, mode="r")["values"]
    assert isinstance(values, zarr.Array)
    assert (values.shape, values.chunks) == ((0, 2), (1, 2))
