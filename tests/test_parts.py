"""Stores of immutable parts: what is written, and what survives."""

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oragen.store import hashing
from oragen.store.formats import read_layout, verify_part
from oragen.store.parts import PartStore
from oragen.store.rows import Row
from oragen.store.writing import PartWriter, write_part
from tests.number_stores import FORMATS, SPEC, files_of, fill, key_of, numbers, read_all


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", request.param)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


@pytest.mark.slow
def test_a_disk_that_is_full_leaves_nothing_behind(store: PartStore) -> None:
    """No file may be longer than 4 KB here, which is what a full disk looks like to a writer."""
    fill(store, range(3))
    script = f"""
        import numpy as np, resource, sys
        from oragen.store.parts import PartStore
        from oragen.store.writing import PartWriter
        from pathlib import Path
        sys.dont_write_bytecode = True  # a file of it that is cut off would stay
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
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter

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


@pytest.mark.slow
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
            assert len(read_layout(part, store.part_format).table) == 5
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


@pytest.mark.slow
def test_bytes_are_the_same_from_two_processes(store: PartStore, tmp_path: Path) -> None:
    script = f"""
        import numpy as np
        from oragen.store.parts import PartStore
        from oragen.store.writing import PartWriter
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


def test_parts_of_another_schema_version_are_not_used(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for module in ("writing", "layouts"):
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
