"""Parts that cannot be read at present are not damaged; and any number of parts can be read."""

import errno
import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from oragen.cli import app
from oragen.config import paths
from oragen.schema import files
from oragen.store import layouts
from oragen.store.failures import DamagedPartError, UnreachablePartError, name_failures
from oragen.store.formats import PartFormat, map_values, read_layout, verify_part
from oragen.store.layouts import PartLayout
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from oragen.store.writing import PartWriter
from tests.users import open_folder, ordinary_user

FORMATS: tuple[PartFormat, ...] = ("h5", "zarr")
LARGE = 2**17  # bytes from which values are mapped
REMEDIES = {
    errno.EMFILE: "ulimit -n",
    errno.ENFILE: "ulimit -n",
    errno.EIO: "disk or the network failed",
    errno.ESTALE: "mount that again",
    errno.EACCES: "chmod",
    errno.EPERM: "chmod",
    errno.ENOLCK: "no locks",
    errno.EOPNOTSUPP: "no locks",
    errno.ENOMEM: "compact",
    errno.ENOENT: "removed it",
    errno.ETIMEDOUT: "Run the command again",
}


def key_of(number: int) -> str:
    return f"{number:032x}"


def fill(store: PartStore, num_parts: int, num_bytes: int = 8) -> None:
    with PartWriter(store, {}, part_bytes=1) as writer:
        for number in range(num_parts):
            writer.add(key_of(number), "clip", np.full(num_bytes // 2, number, np.int16))


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PartStore:
    store = PartStore(tmp_path / "store", request.param)
    fill(store, 2)
    return store


@pytest.mark.parametrize("number", REMEDIES)
def test_what_the_system_refuses_is_named_as_what_it_is(tmp_path: Path, number: int) -> None:
    with pytest.raises(UnreachablePartError) as raised, name_failures(tmp_path):
        raise OSError(number, os.strerror(number))
    message = str(raised.value)
    assert os.strerror(number) in message
    assert REMEDIES[number] in message
    assert "Do not remove it" in message
    assert "damaged" not in message


def test_memory_that_is_used_up_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(UnreachablePartError, match="Free some memory"), name_failures(tmp_path):
        raise MemoryError


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_part_that_cannot_be_opened_ends_a_run_and_stays(
    store: PartStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """To make all of it again would take days, and would hide what is wrong with the disk."""
    before = store.parts()
    fail_on(monkeypatch, "open", number)
    for read in (store.index, lambda: store.find(mend=True), lambda: verify(store)):
        with pytest.raises(UnreachablePartError, match=os.strerror(number)):
            read()
    monkeypatch.undo()
    assert store.parts() == before


def verify(store: PartStore) -> None:
    verify_part(store.parts()[0], store.part_format)


def fail_on(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, name, fail)


def test_a_disk_that_fails_in_the_middle_of_a_part_is_no_damage(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(layouts.PartLayout, "read_blocks", fail)
    with pytest.raises(UnreachablePartError, match="Input/output error"):
        map_values(store.parts()[0], store.part_format)


def test_hdf5_says_what_the_disk_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a read inside HDF5 keeps its number."""
    import io

    import h5py

    from oragen.store.hdf5_files import locate_hdf5

    store = PartStore(tmp_path / "store", "h5")
    fill(store, 1)
    (part,) = store.parts()

    class FailingFile(io.FileIO):
        def readinto(self, buffer: object) -> int:
            raise OSError(errno.EIO, "Input/output error")

    opened = h5py.File
    with FailingFile(part) as failing:
        monkeypatch.setattr(h5py, "File", lambda _, mode: opened(failing, mode))
        with pytest.raises(UnreachablePartError, match="Input/output error"), name_failures(part):
            locate_hdf5(part)


def test_mappings_that_are_used_up_are_no_damage(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 1, LARGE)

    def fail(_: str) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(pa, "memory_map", fail)
    with pytest.raises(UnreachablePartError, match=r"compact.*max_map_count"):
        [map_values(part, store.part_format) for part in store.parts()]


@pytest.mark.parametrize("part_format", FORMATS)
def test_a_part_of_somebody_else_is_named_with_the_right_that_it_needs(
    part_format: PartFormat,
) -> None:
    with open_folder() as folder:
        store = PartStore(folder / "store", part_format)
        fill(store, 1)
        store.parts()[0].chmod(0)
        with ordinary_user(), pytest.raises(UnreachablePartError, match=r"Permission.*chmod"):
            store.index()


def test_verify_goes_on_after_a_part_that_it_cannot_read_and_never_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = PartStore(paths.audio_store("mini"), "h5")
    fill(store, 3)
    first, second, _ = store.parts()
    second.write_bytes(second.read_bytes()[:-1])
    opened = Path.open

    def open_others(path: Path, *arguments: object, **options: object) -> object:
        if path.name == first.name:
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_others)
    done = CliRunner().invoke(app, ["cache", "verify", "--remove"])
    assert f"{first} cannot be read now (Input/output error)" in done.stdout
    assert "3 parts, 1 damaged and removed, 1 not read." in done.stdout
    assert done.exit_code == 1
    assert (first.exists(), second.exists()) == (True, False)


def test_no_file_stays_open(store: PartStore) -> None:
    for number in range(2, 6):
        fill(store, number, LARGE)
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208  # no files, but numbers
    kept = [map_values(part, store.part_format) for part in store.parts()]
    assert any(values.nbytes >= LARGE for values in kept)
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


READER = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from oragen.store.formats import map_values
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts

store = PartStore(Path(sys.argv[1]), sys.argv[2])
index = store.find()
kept = [map_values(part, store.part_format) for part in store.parts()]
with OpenParts(store) as parts:
    read = [parts.read(key, 0, 1)[0] for key in index]
print(len(kept), len(read), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("part_format", FORMATS)
def test_many_parts_are_read_with_few_open_files(
    tmp_path: Path, part_format: PartFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_flush", lambda _: None)  # a part has to outlive nothing here
    store = PartStore(tmp_path / "store", part_format)
    fill(store, 100, LARGE)
    command = [sys.executable, "-c", READER, str(store.folder), part_format]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["100", "100", "64"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64  # of this process


def test_only_so_many_parts_are_mapped_at_a_time(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 5, 16)
    mapped: list[Path] = []

    def note(part: Path, part_format: PartFormat) -> PartLayout:
        mapped.append(part)
        return read_layout(part, part_format)

    monkeypatch.setattr("oragen.store.reading.read_layout", note)
    with OpenParts(store, max_mapped=2) as parts:
        for number in (2, 3, 2, 4, 2, 3):
            assert parts.read(key_of(number), 0, 1).tolist() == [number]
    assert len(mapped) == 4  # 2, 3, 4, and 3 again: the one not used for longest gave way


def test_a_part_is_read_without_a_lock(tmp_path: Path) -> None:
    """HDF5 refuses to open a file that another process has locked, or cannot be locked at all."""
    store = PartStore(tmp_path / "store", "h5")
    fill(store, 1)
    with store.parts()[0].open("rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert len(store.find(mend=True)) == 1


def test_content_that_is_wrong_is_called_damaged(store: PartStore) -> None:
    part = store.parts()[0]
    file = part if part.is_file() else part / "values" / "c" / "0"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedPartError, match="Remove it with `oragen cache verify --remove`"):
        verify_part(part, store.part_format)
