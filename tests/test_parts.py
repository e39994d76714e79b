"""Stores of immutable parts: what is written, what survives, and what is refused."""

import hashlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from torch.utils.data import DataLoader, Dataset

from oragen.store import hashing
from oragen.store.failures import DamagedPartError
from oragen.store.formats import PartFormat, read_header, verify_part
from oragen.store.parts import PartStore, PartWriter, write_part
from oragen.store.reading import OpenParts
from oragen.store.rows import Located, Row, list_rows

SPEC = {"values": "numbers", "dimension_names": ["row", "column"]}
FORMATS: tuple[PartFormat, ...] = ("h5", "zarr")


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", request.param)


def numbers(first: int, num_rows: int = 1) -> np.ndarray:
    """Rows of two: `first, first`, `first + 1, first + 1`, ..."""
    return np.repeat(np.arange(first, first + num_rows, dtype=np.float16)[:, None], 2, axis=1)


def key_of(name: int | str) -> str:
    """A key as they are: 32 hexadecimal digits."""
    return f"{name:032x}" if isinstance(name, int) else hashing.make_key(name=name)


def fill(store: PartStore, keys: range, part_bytes: int = 12) -> None:
    """Write `key_of(7)` with the row `7, 7` and so on; three rows of four bytes make a part."""
    with PartWriter(store, SPEC, part_bytes) as writer:
        for key in keys:
            writer.add(key_of(key), f"clip-{key}", numbers(key))


def read_all(store: PartStore) -> dict[str, list[list[float]]]:
    index = store.index()
    values = store.read_many(list(index.values()))
    return {located.row.key: rows.tolist() for located, rows in values}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files_of(part: Path) -> list[Path]:
    return sorted(path for path in [part, *part.rglob("*")] if path.is_file())


def contents(folder: Path) -> dict[str, str]:
    """The hash of every file in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_was_added_is_read_back(store: PartStore) -> None:
    fill(store, range(8))
    assert read_all(store) == {key_of(key): [[key, key]] for key in range(8)}


def test_a_part_is_written_as_soon_as_it_is_full(store: PartStore) -> None:
    with PartWriter(store, SPEC, part_bytes=12) as writer:
        for key, num_parts in enumerate([0, 0, 1, 1, 1, 2, 2]):
            writer.add(key_of(key), "clip", numbers(key))
            assert len(store.parts()) == num_parts
    assert len(store.parts()) == 3  # the seventh row


def test_rows_may_have_any_number_of_values(store: PartStore) -> None:
    rows = {"one": numbers(1), "three": numbers(2, 3), "none": numbers(0, 0), "two": numbers(9, 2)}
    with PartWriter(store, SPEC, 2**20) as writer:
        for key, values in rows.items():
            writer.add(key_of(key), "clip", values)
    assert read_all(store) == {key_of(key): values.tolist() for key, values in rows.items()}
    assert {key: found.row.stop - found.row.start for key, found in store.index().items()} == {
        key_of("one"): 1, key_of("three"): 3, key_of("none"): 0, key_of("two"): 2,
    }  # fmt: skip


def test_a_reason_stands_in_the_place_of_values(store: PartStore) -> None:
    with PartWriter(store, SPEC, 2**20) as writer:
        writer.add(
            *(key_of(1), "clip-1", numbers(0, 0)), reason="empty file", details={"tries": [1, 2]}
        )
    (located,) = store.index().values()
    assert located.row == Row(key_of(1), "clip-1", 0, 0, "empty file", {"tries": [1, 2]})
    assert read_all(store) == {key_of(1): []}
    verify_part(located.part, store.part_format)


def test_details_come_back_as_they_were(store: PartStore) -> None:
    details = {"boxes": [[0.1, 2.5e-8]], "notes": ["Straße, ж", ""], "number": 3, "none": None}
    with PartWriter(store, SPEC, 2**20) as writer:
        writer.add(key_of(1), "корпус/клип", numbers(0), details=details)
    (located,) = store.index().values()
    assert located.row.details == details
    assert located.row.clip_id == "корпус/клип"
    verify_part(located.part, store.part_format)


def test_nothing_added_writes_nothing(store: PartStore) -> None:
    fill(store, range(0))
    assert names(store.folder) == []
    assert store.index() == {}


def test_a_store_without_a_folder_is_empty(store: PartStore) -> None:
    assert store.parts() == []
    assert store.index() == {}


def test_equal_content_has_an_equal_name_and_is_kept_once(store: PartStore) -> None:
    fill(store, range(3))
    (before,) = store.parts()
    written = {path: path.stat().st_mtime_ns for path in files_of(before)}
    fill(store, range(3))
    assert store.parts() == [before]
    assert {path: path.stat().st_mtime_ns for path in files_of(before)} == written


@pytest.mark.parametrize(
    ("values", "key", "spec"),
    [
        (numbers(1), "key", {"a": 1}),
        (numbers(0).astype(np.float32), "key", {"a": 1}),
        (numbers(0, 1).reshape(2, 1), "key", {"a": 1}),
        (numbers(0), "other", {"a": 1}),
        (numbers(0), "key", {"a": 2}),
    ],
    ids=["value", "type", "shape", "key", "spec"],
)
def test_other_content_has_another_name(
    tmp_path: Path, values: np.ndarray, key: str, spec: dict[str, int]
) -> None:
    before = write_part(tmp_path, "h5", numbers(0), [Row(key_of("key"), "clip", 0, 1)], {"a": 1})
    assert write_part(tmp_path, "h5", values, [Row(key_of(key), "clip", 0, 1)], spec) != before


def test_two_stores_become_one_by_copying(store: PartStore, tmp_path: Path) -> None:
    other = PartStore(tmp_path / "other", store.part_format)
    fill(store, range(6))
    fill(other, range(3, 9))  # keys 3 to 5 are the same part in both
    for part in other.parts():
        copy: Callable[..., Any] = shutil.copytree if part.is_dir() else shutil.copy
        if not (store.folder / part.name).exists():
            copy(part, store.folder / part.name)
    assert len(store.parts()) == 3
    assert read_all(store) == {key_of(key): [[key, key]] for key in range(9)}


def test_a_key_in_two_parts_is_found_in_the_same_one_every_time(store: PartStore) -> None:
    fill(store, range(3))
    fill(store, range(2), part_bytes=8)
    assert len(store.parts()) == 2
    assert store.index()[key_of(1)].part == store.parts()[-1]
    assert read_all(store) == {key_of(key): [[key, key]] for key in range(3)}


def test_only_finished_parts_count(store: PartStore) -> None:
    fill(store, range(3))
    suffix = store.part_format
    (store.folder / f"part-0.{suffix}.unfinished-1").write_bytes(b"half")
    (store.folder / "notes.txt").write_text("mine")
    assert list(store.index()) == [key_of(0), key_of(1), key_of(2)]


def test_the_next_writer_removes_leftovers_and_nothing_else(store: PartStore) -> None:
    fill(store, range(3))
    (store.folder / f"part-0.{store.part_format}.unfinished-1").mkdir()
    (store.folder / f"part-0.{store.part_format}.unfinished-1" / "x").write_bytes(b"half")
    (store.folder / f"part-1.{store.part_format}.unfinished-2").write_bytes(b"half")
    (store.folder / "notes.txt").write_text("mine")
    fill(store, range(3, 6))
    assert names(store.folder) == sorted(["notes.txt", *(part.name for part in store.parts())])
    assert len(store.index()) == 6


def test_an_error_keeps_full_parts_and_writes_nothing_unfinished(store: PartStore) -> None:
    with pytest.raises(KeyboardInterrupt):
        fill_and_stop(store, range(5))
    assert list(store.index()) == [key_of(0), key_of(1), key_of(2)]
    assert names(store.folder) == [part.name for part in store.parts()]


def fill_and_stop(store: PartStore, keys: range) -> None:
    with PartWriter(store, SPEC, part_bytes=12) as writer:
        for key in keys:
            writer.add(key_of(key), "clip", numbers(key))
        raise KeyboardInterrupt


def test_values_of_two_types_are_no_part(store: PartStore) -> None:
    writer = PartWriter(store, SPEC, part_bytes=12)
    writer.add("half", "clip", numbers(0))
    with pytest.raises(TypeError):
        writer.add("single", "clip", numbers(0).astype(np.float32))
    assert store.parts() == []


def test_a_disk_that_is_full_leaves_nothing_behind(store: PartStore) -> None:
    """No file may be longer than 4 KB here, which is what a full disk looks like to a writer."""
    fill(store, range(3))
    script = f"""
        import numpy as np, resource
        from oragen.store.parts import PartStore, PartWriter
        from pathlib import Path
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        values = np.random.default_rng(0).integers(0, 255, (9, 2000), np.uint8)
        try:
            store = PartStore(Path({str(store.folder)!r}), {store.part_format!r})
            with PartWriter(store, {{}}, 1) as writer:
                writer.add(f"{1:032x}", "clip", values)
        except OSError as error:
            print("refused", error)
    """
    assert "refused" in run_python(script)
    assert list(store.index()) == [key_of(0), key_of(1), key_of(2)]
    assert names(store.folder) == [part.name for part in store.parts()]


def run_python(script: str) -> str:
    lines = script.splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    code = "\n".join(line[margin:] for line in lines)
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


KILLED_WRITER = """
import sys
from pathlib import Path
import numpy as np
from oragen.store.parts import PartStore, PartWriter

store = PartStore(Path(sys.argv[1]), sys.argv[2])
present = store.index()
missing = [number for number in range(400) if f"{number:032x}" not in present]
with PartWriter(store, {"values": "numbers"}, part_bytes=5 * 2**15) as writer:
    for number in missing:
        values = np.random.default_rng(number).integers(0, 255, (1, 2**15), np.uint8)
        writer.add(f"{number:032x}", "clip", values)
"""


def start_writer(store: PartStore) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", KILLED_WRITER, str(store.folder), store.part_format]
    return subprocess.Popen(command)


def test_a_killed_writer_leaves_whole_parts_that_the_next_one_completes(store: PartStore) -> None:
    draw = random.Random(store.part_format)
    for _ in range(4):
        num_parts = len(store.parts()) + draw.randrange(8)
        with start_writer(store) as writer:
            while len(store.parts()) < num_parts and writer.poll() is None:
                time.sleep(0.001)
            time.sleep(draw.uniform(0.0, 0.01))
            writer.kill()
        assert writer.returncode == -signal.SIGKILL
        for part in store.parts():
            verify_part(part, store.part_format)
            assert len(list_rows(part, read_header(part, store.part_format))) == 5
    assert 0 < len(store.parts()) < 80
    with start_writer(store) as writer:
        writer.wait()
    assert writer.returncode == 0
    assert not list(store.folder.glob("*.unfinished*"))
    found = {located.row.key: rows for located, rows in store.read_many([*store.index().values()])}
    assert len(found) == 400
    for number in range(400):
        made = np.random.default_rng(number).integers(0, 255, (1, 2**15), np.uint8)
        assert (found[key_of(number)] == made).all()


def test_bytes_are_the_same_from_two_processes(store: PartStore, tmp_path: Path) -> None:
    script = f"""
        import numpy as np
        from oragen.store.parts import PartStore, PartWriter
        from pathlib import Path
        store = PartStore(Path({str(tmp_path)!r}) / "FOLDER", {store.part_format!r})
        values = np.random.default_rng(0).standard_normal((40, 30, 50)).astype(np.float16)
        with PartWriter(store, {{"b": 1, "a": [2.5]}}, 2**16) as writer:
            for row in range(40):
                details = {{"z": row, "y": 0.1}}
                writer.add(f"{{row:032x}}", "c", values[row : row + 1], details=details)
    """
    for folder in ("one", "two"):
        run_python(script.replace("FOLDER", folder))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) > 1


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


def make_folder(store: PartStore) -> Path:
    store.folder.mkdir()
    return store.folder


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
    (shard,) = (file for file in files_of(part) if file.name == "0")
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


def test_parts_of_another_schema_version_are_not_used(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for module in ("parts", "rows"):
            patch.setattr(f"oragen.store.{module}.SCHEMA_VERSION", 1)
        fill(store, range(3))
        assert len(store.index()) == 3
    assert store.index() == {}
    fill(store, range(4))
    assert len(store.parts()) == 3
    assert len(store.index()) == 4


def test_the_schema_version_is_part_of_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = hashing.make_key(a=1)
    monkeypatch.setattr(hashing, "SCHEMA_VERSION", hashing.SCHEMA_VERSION + 1)
    assert hashing.make_key(a=1) != key


def test_what_is_no_part_at_all_is_named_and_the_others_are_used(
    store: PartStore, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, range(3))
    (store.folder / f"part-0.{store.part_format}").write_text("no part")
    assert [*store.index()] == [key_of(0), key_of(1), key_of(2)]
    store.index()
    assert re.match(r".*part-0\.\w+ cannot be read", caplog.text)
    assert caplog.text.count("cannot be read") == 1


def test_a_zarr_part_explains_itself_to_plain_zarr(tmp_path: Path) -> None:
    store = PartStore(tmp_path / "store", "zarr")
    fill(store, range(3))
    group = zarr.open_group(store.parts()[0], mode="r")
    head: Any = group.attrs["head"]
    assert head["spec"] == SPEC
    assert head["schema_version"] == hashing.SCHEMA_VERSION
    assert head["entries"]["key"] == [key_of(0), key_of(1), key_of(2)]
    assert head["entries"]["clip_id"] == ["clip-0", "clip-1", "clip-2"]
    values = group["values"]
    assert isinstance(values, zarr.Array)
    assert values.metadata.dimension_names == ("row", "column")  # type: ignore[union-attr]
    assert np.asarray(values[:]).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_an_hdf5_part_explains_itself_to_plain_h5py(tmp_path: Path) -> None:
    store = PartStore(tmp_path / "store", "h5")
    fill(store, range(3))
    with h5py.File(store.parts()[0]) as part:
        assert json.loads(part["head"][()])["spec"] == SPEC
        assert part["values"][:].tolist() == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize("num_rows", [1, 3_000])
def test_a_zarr_part_is_three_files_however_many_rows(tmp_path: Path, num_rows: int) -> None:
    """6 MB here, in chunks of 1 MB: group, array, and one shard."""
    values = np.random.default_rng(0).integers(0, 255, (num_rows, 2000), np.uint8)
    part = write_part(tmp_path, "zarr", values, [Row(key_of("key"), "clip", 0, num_rows)], {})
    assert [file.name for file in files_of(part)] == ["0", "zarr.json", "zarr.json"]


def test_a_zarr_part_without_rows_is_valid_zarr(tmp_path: Path) -> None:
    """The specification wants chunks of a length of at least one."""
    part = write_part(
        tmp_path, "zarr", numbers(0, 0), [Row(key_of("key"), "clip", 0, 0, "silent")], {}
    )
    values = zarr.open_group(part, mode="r")["values"]
    assert isinstance(values, zarr.Array)
    assert (values.shape, values.chunks) == ((0, 2), (1, 2))


def test_stretches_of_rows_are_read_by_their_own_count(store: PartStore) -> None:
    with PartWriter(store, SPEC, part_bytes=40) as writer:
        for key in range(4):
            writer.add(key_of(key), "clip", numbers(100 * key, 10))
    with OpenParts(store) as parts:
        assert parts.read(key_of(2), 3, 5).tolist() == [[203, 203], [204, 204]]
        assert parts.read(key_of(0), 9, 10).tolist() == [[9, 9]]
        assert parts.read(key_of(2), 0, 1).tolist() == [[200, 200]]


def test_wanted_rows_are_read_part_after_part(store: PartStore) -> None:
    fill(store, range(9))
    index = store.index()
    wanted = [index[key_of(key)] for key in (8, 0, 4, 1)]
    found = [located for located, _ in store.read_many(wanted)]
    assert sorted(parts_in_order(found)) == parts_in_order(found)
    assert {located.row.key for located in found} == {key_of(8), key_of(0), key_of(4), key_of(1)}


def parts_in_order(found: list[Located]) -> list[str]:
    return [located.part.name for located in found]


class ReadingDataset(Dataset[float]):
    """Reads a store in whatever process it is asked."""

    def __init__(self, store: PartStore) -> None:
        self.store = store

    def __len__(self) -> int:
        return 4

    def __getitem__(self, item: int) -> float:
        return float(sum(values.sum() for values in read_values(self.store)))


def read_values(store: PartStore) -> list[np.ndarray]:
    return [values for _, values in store.read_many([*store.index().values()])]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_workers_can_read_after_their_parent_has(store: PartStore, start_method: str) -> None:
    """The threads that decode chunks do not survive a fork: waiting for them would never end."""
    fill(store, range(12))
    expected = float(sum(values.sum() for values in read_values(store)))
    loader = DataLoader(
        ReadingDataset(store), num_workers=2, multiprocessing_context=start_method, timeout=60
    )
    assert [batch.item() for batch in loader] == [expected] * 4
