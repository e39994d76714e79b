"""Parts that oragen did not write: each kind is refused by name, and nothing of it is followed."""

import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from oragen.store.failures import DamagedPartError
from oragen.store.formats import PartFormat, map_values, read_layout, verify_part
from oragen.store.parts import PartStore
from oragen.store.rows import Row
from oragen.store.writing import PartWriter, write_part

KEYS = [f"{number:032x}" for number in range(4)]
SECRET = bytes(range(32))
HEADER = {
    "schema_version": 2,
    "spec": {},
    "entries": {
        "key": KEYS[:1], "clip_id": ["clip"], "start": [0], "stop": [32], "reason": [None],
        "details": [{}],
    },
}  # fmt: skip
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that nobody should be shown."""
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


def write_hdf5(folder: Path, make: Callable[[h5py.File], object], header: object = HEADER) -> Path:
    """A part with the header of one row, and values as they are made."""
    path = folder / f"part-{'0' * 32}.h5"
    with h5py.File(path, "w") as part:
        part.create_dataset("head", data=np.bytes_(json.dumps(header).encode()))
        make(part)
    return path


def good_part(folder: Path, part_format: PartFormat) -> Path:
    values = np.arange(12, dtype=np.float16).reshape(6, 2)
    rows = [Row(key, f"clip {place}", place, place + 1) for place, key in enumerate(KEYS)]
    return write_part(folder, part_format, values, rows, {"dimension_names": ["row", "column"]})


def refuse(path: Path, part_format: PartFormat, reason: str) -> None:
    """Nothing of the part is read, not even its header; the others of the store are used."""
    for read in (read_layout, verify_part, map_values):
        with pytest.raises(DamagedPartError, match=rf"{path.name} cannot be read \(.*{reason}"):
            read(path, part_format)
    assert PartStore(path.parent, part_format).find(KEYS) == {}


def virtual(part: h5py.File, source: Path) -> None:
    layout = h5py.VirtualLayout(shape=(32,), dtype="u1")
    layout[:] = h5py.VirtualSource(str(source), "values", shape=(32,))
    part.create_virtual_dataset("values", layout)


def link_to(part: h5py.File, source: Path) -> None:
    part["values"] = h5py.ExternalLink(str(source), "values")


def soft_link(part: h5py.File, source: Path) -> None:
    part["values"] = h5py.SoftLink("/head")


def external(part: h5py.File, source: Path) -> None:
    part.create_dataset("values", shape=(32,), dtype="u1", external=[(str(source), 0, 32)])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (external, "in another file"),
        (virtual, "in other files"),
        (link_to, "'values' is a link"),
        (soft_link, "'values' is a link"),
    ],
)
def test_hdf5_that_leads_to_another_file_is_refused(
    tmp_path: Path, secret: Path, make: Callable[[h5py.File, Path], None], reason: str
) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as part:
        part.create_dataset("values", data=np.frombuffer(SECRET, np.uint8))
    source = secret if make is external else other
    refuse(write_hdf5(tmp_path, lambda part: make(part, source)), "h5", reason)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"shape": (2**33,), "dtype": "u1", "chunks": (2**20,)}, "in pieces"),
        ({"data": np.zeros(32, np.uint8), "compression": "gzip"}, "in pieces"),
        ({"data": np.zeros(32, np.uint8), "fletcher32": True}, "in pieces"),
        ({"data": np.zeros(32, ">i2")}, "not a plain number"),
        ({"data": np.zeros(32, np.complex64)}, "not a plain number"),
        ({"data": np.zeros(32, [("a", "u1")])}, "not a plain number"),
        ({"data": ["text"] * 32, "dtype": h5py.string_dtype()}, "not a plain number"),
        ({"shape": (32,), "dtype": h5py.ref_dtype}, "not a plain number"),
        ({"shape": (32,), "dtype": h5py.vlen_dtype(np.uint8)}, "not a plain number"),
        ({"shape": (2**40,), "dtype": "u1"}, "1,099,511,627,776 bytes"),
        ({"data": 1.0}, "no array"),
    ],
)
def test_hdf5_data_sets_of_other_kinds_are_refused(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    path = write_hdf5(tmp_path, lambda part: part.create_dataset("values", **options))
    refuse(path, "h5", reason)


def test_hdf5_with_more_than_we_write_is_refused(tmp_path: Path) -> None:
    def add(part: h5py.File) -> None:
        part["values"] = np.zeros(32, np.uint8)
        part["more"] = np.zeros(1)

    refuse(write_hdf5(tmp_path, add), "h5", "it holds")
    refuse(write_hdf5(tmp_path, lambda part: part.create_group("values")), "h5", "")
    refuse(write_hdf5(tmp_path, lambda part: part.attrs.update(a=1)), "h5", "more than oragen")


def test_a_declared_size_that_the_file_does_not_hold_takes_no_memory(tmp_path: Path) -> None:
    """The header of a good part, and after it values of which the file has nothing."""
    path = good_part(tmp_path, "h5")
    whole = path.read_bytes()
    shape = whole.find(struct.pack("<QQ", 6, 2))
    path.write_bytes(whole[:shape] + struct.pack("<QQ", 2**34, 2) + whole[shape + 16 :])
    refuse(path, "h5", "")


def change_json(path: Path, change: Change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


PICKLE = [{"name": "numcodecs.pickle", "configuration": {}}, {"name": "crc32c"}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda array: array.update(zarr_format=2), "zarr_format"),
        (lambda array: array.update(data_type="variable_length_utf8"), "type"),
        (lambda array: array.update(data_type="bool"), "type"),
        (lambda array: array.update(codecs=PICKLE), "codecs"),
        (lambda array: array.update(codecs=[{"name": "bytes"}, {"name": "gzip"}]), "codecs"),
        (lambda array: array["codecs"].pop(), "codecs"),
        (lambda array: array.update(storage_transformers=[{"name": "x"}]), "storage_transformers"),
        (lambda array: array.update(filters=[{"id": "pickle"}]), "fields"),
        (lambda array: array.update(attributes={"a": 1}), "attributes"),
        (lambda array: array.update(shape=[2**40, 2]), "one chunk"),
        (lambda array: array.update(shape=[-6, -2]), "shape"),
        (lambda array: array.update(shape=[6.0, 2]), "shape"),
        (lambda array: array.update(shape=[]), "shape"),
        (lambda array: array.update(dimension_names=["a", "b"]), "dimension_names"),
        (lambda array: array["chunk_grid"]["configuration"].update(chunk_shape=[1, 2]), "chunk"),
        (lambda array: array["chunk_key_encoding"].update(name="v2"), "chunk_key_encoding"),
    ],
)
def test_zarr_metadata_of_other_kinds_are_refused(
    tmp_path: Path, change: Change, reason: str
) -> None:
    path = good_part(tmp_path, "zarr")
    change_json(path / "values" / "zarr.json", change)
    refuse(path, "zarr", reason)


def test_a_size_that_fits_its_metadata_and_not_its_file_is_refused(tmp_path: Path) -> None:
    path = good_part(tmp_path, "zarr")

    def enlarge(array: dict[str, Any]) -> None:
        array["shape"] = array["chunk_grid"]["configuration"]["chunk_shape"] = [2**50, 2**50]

    change_json(path / "values" / "zarr.json", enlarge)
    refuse(path, "zarr", "its file has 28")


def test_zarr_v2_is_refused_before_its_codecs_are_looked_up(tmp_path: Path) -> None:
    """An array of objects, stored by a codec that runs code when it is read."""
    path = tmp_path / f"part-{'0' * 32}.zarr"
    group = zarr.create_group(path, zarr_format=2, attributes={"head": HEADER})
    group.create_array("values", shape=(32,), dtype="u1", fill_value=0)
    array = json.loads((path / "values" / ".zarray").read_text())
    array |= {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}]}
    (path / "values" / ".zarray").write_text(json.dumps(array))
    (path / "values" / "0").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    refuse(path, "zarr", r"'\.z")


@pytest.mark.parametrize("name", ["more", ".zarray", "values/more", "values/c/1", "values/c/0/1"])
def test_zarr_with_more_files_than_we_write_is_refused(tmp_path: Path, name: str) -> None:
    path = good_part(tmp_path, "zarr")
    (path / name).write_text("{}")
    refuse(path, "zarr", "which oragen does not write")


def as_rows(**columns: list[Any]) -> dict[str, Any]:
    return {**HEADER, "entries": {**HEADER["entries"], **columns}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ([], "fields"),
        ({**HEADER, "more": 1}, "fields"),
        ({**HEADER, "schema_version": True}, "schema_version"),
        ({**HEADER, "spec": []}, "spec"),
        ({**HEADER, "spec": {"a": float("nan")}}, "NaN"),
        ({**HEADER, "entries": []}, "columns"),
        (as_rows(more=[1]), "columns"),
        (as_rows(key=[KEYS[0], KEYS[1]]), "length"),
        (as_rows(key=["0" * 31]), "32 hexadecimal"),
        (as_rows(key=[7]), "32 hexadecimal"),
        (as_rows(start=[-1]), "from -1 to 32"),
        (as_rows(stop=[33]), "from 0 to 33"),
        (as_rows(start=[20], stop=[10]), "from 20 to 10"),
        (as_rows(stop=[32.0]), "no integer"),
        (as_rows(start=[False]), "no integer"),
        (as_rows(clip_id=[None]), "clip_id"),
        (as_rows(reason=[1]), "reason"),
        (as_rows(details=[[]]), "details"),
        (as_rows(details="{}"), "no list"),  # type: ignore[arg-type]
    ],
)
def test_a_header_is_what_we_write(tmp_path: Path, header: object, reason: str) -> None:
    values = np.zeros(32, np.uint8)
    refuse(write_hdf5(tmp_path, lambda part: part.update(values=values), header), "h5", reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 100_000, "nested"),
        (b'{"a": 1e999}', "finite|is 1e999"),
        (b"[" + b"[]," * 2**22 + b"[]]", "items"),
        (b"\xff\xfe", "codec"),
        (b"{", "Expecting"),
    ],
)
def test_json_is_bounded(tmp_path: Path, text: bytes, reason: str) -> None:
    path = good_part(tmp_path, "zarr")
    (path / "zarr.json").write_bytes(text)
    refuse(path, "zarr", reason)


@pytest.mark.parametrize("part_format", ["h5", "zarr"])
def test_a_link_is_no_part(tmp_path: Path, part_format: PartFormat) -> None:
    store = tmp_path / "store"
    store.mkdir()
    real = good_part(tmp_path, part_format)
    (store / real.name).symlink_to(real)
    refuse(store / real.name, part_format, "is a link to")


def test_a_link_inside_a_part_is_refused(tmp_path: Path, secret: Path) -> None:
    path = good_part(tmp_path, "zarr")
    chunk = path / "values" / "c" / "0" / "0"
    shutil.move(chunk, tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    refuse(path, "zarr", "is a link to")


@pytest.mark.parametrize("part_format", ["h5", "zarr"])
def test_links_of_dvc_into_its_cache_are_followed(tmp_path: Path, part_format: PartFormat) -> None:
    """`cache.type: symlink` puts each file under the hash of its content, and links to it."""
    path = good_part(tmp_path, part_format)
    before = map_values(path, part_format).tolist()
    for number, file in enumerate([path] if path.is_file() else sorted(path.rglob("*"))):
        if file.is_file():
            cached = tmp_path / "cache" / "files" / "md5" / "ab" / f"{number:030x}"
            cached.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, cached)
            file.symlink_to(cached)
    assert map_values(path, part_format).tolist() == before


@pytest.mark.parametrize("part_format", ["h5", "zarr"])
def test_what_is_no_file_does_not_hang(tmp_path: Path, part_format: PartFormat) -> None:
    path = tmp_path / f"part-{'0' * 32}.{part_format}"
    os.mkfifo(path)
    refuse(path, part_format, "neither a file nor a folder")


def test_a_part_of_a_stranger_does_not_keep_the_others_from_use(tmp_path: Path) -> None:
    store = PartStore(tmp_path / "store", "h5")
    with PartWriter(store, {}, 2**20) as writer:
        writer.add(KEYS[3], "clip", np.arange(4))
    write_hdf5(store.folder, lambda part: part.create_dataset("values", data=1.0))
    assert [*store.require([KEYS[3]])] == [KEYS[3]]
    ((_, values),) = store.read_many([*store.index().values()])
    assert values.tolist() == [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("part_format", ["h5", "zarr"])
def test_a_spoilt_part_is_whole_or_refused_and_nothing_else(
    tmp_path: Path, part_format: PartFormat
) -> None:
    """Several bytes at a time, and values that are special: addresses, sizes, numbers of types."""
    path = good_part(tmp_path, part_format)
    before = map_values(path, part_format).tolist()
    draw = random.Random(part_format)
    for file in [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]:
        whole = file.read_bytes()
        for _ in range(400):
            spoilt = bytearray(whole)
            for _ in range(draw.choice([1, 2, 4, 16])):
                place = draw.randrange(len(spoilt))
                spoilt[place] = draw.choice([0, 1, 255, draw.randrange(256)])
            file.write_bytes(spoilt[: draw.choice([len(spoilt), len(spoilt), draw.randrange(99)])])
            with suppress(DamagedPartError):
                assert map_values(path, part_format).tolist() == before
        file.write_bytes(whole)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"part-{'0' * 32}.h5").mkdir()
    refuse(tmp_path / f"part-{'0' * 32}.h5", "h5", "directory")
    path = good_part(tmp_path, "zarr")
    chunk = path / "values" / "c" / "0" / "0"
    chunk.unlink()
    chunk.mkdir()
    refuse(path, "zarr", "directory")
