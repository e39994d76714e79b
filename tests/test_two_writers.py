"""Several processes at one store, and what others have left there."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from transformers import ViTImageProcessor
from typer.testing import CliRunner

from oragen.cli import app
from oragen.config import paths
from oragen.schema import owners
from oragen.schema.files import atomic_write, find_leftovers, remove_leftovers, unfinished_path
from oragen.store.compaction import compact, plan_compaction
from oragen.store.formats import PartFormat, verify_part
from oragen.store.locks import LOCK_NAME, StoreInUseError, share_store, take_store
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter
from stages.finetune_encoder import write_preparation
from tests.project import REPOSITORY

FORMATS: tuple[PartFormat, ...] = ("h5", "zarr")
WRITER = """
import sys
from pathlib import Path
import numpy as np
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter

store = PartStore(Path(sys.argv[1]), sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    with PartWriter(store, {"values": "numbers"}, part_bytes=1) as writer:
        for number in range(20):
            values = np.full((2, 20_000), number, np.int16)
            writer.add(f"{number:032x}", "clip", values)
"""

HOLDER = """
import sys
from pathlib import Path
from oragen.store.parts import PartStore

with PartStore(Path(sys.argv[1]), sys.argv[2]).writing():
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PartStore:
    store = PartStore(tmp_path / "store", request.param)
    store.folder.mkdir()
    return store


def start(store: PartStore, *, script: str = WRITER, turns: int = 1) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, str(store.folder), store.part_format, str(turns)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def fill(store: PartStore, numbers: range = range(3)) -> None:
    with PartWriter(store, {}, part_bytes=1) as writer:
        for number in numbers:
            writer.add(f"{number:032x}", "clip", np.full((2, 5), number))


@pytest.mark.slow
def test_two_that_make_the_same_parts_at_once_agree(store: PartStore) -> None:
    writers = [start(store, turns=3), start(store, turns=3)]
    for writer in writers:
        assert pipe(writer.stdout).readline() == "ready\n"
    for writer in writers:
        pipe(writer.stdin).write("\n")
        pipe(writer.stdin).flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(store.parts()) == 20
    for part in store.parts():
        verify_part(part, store.part_format)
    assert sorted(store.folder.iterdir()) == store.parts()


def test_what_a_process_at_work_has_not_finished_stays(store: PartStore) -> None:
    with PartWriter(store, {}, None) as first:
        half = unfinished_path(store.folder / f"part-0.{store.part_format}")
        half.write_bytes(b"half")
        with owners.own(half):
            fill(store)
            assert half.is_file()
        first.add(f"{9:032x}", "clip", np.zeros((2, 5)))
    fill(store)
    assert not half.exists()


@pytest.fixture
def other_process() -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_that_has_ended_leaves_what_is_removed(
    store: PartStore, other_process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: other_process.pid)
        half = unfinished_path(store.folder / "part-0.h5")
    half.mkdir()
    (half / "zarr.json").write_text("{}")
    fill(store)
    assert half.is_dir()
    other_process.kill()
    other_process.wait()
    fill(store)
    assert not half.exists()


def test_the_number_of_a_process_that_was_given_again_is_another_process(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        half = unfinished_path(store.folder / "part-0.h5")
    later = half.with_name(half.name.replace("-1-", "-1-7", 1))
    for path in (half, later):
        path.write_bytes(b"half")
    fill(store)
    assert (half.exists(), later.exists()) == (True, False)


def test_what_another_machine_has_not_finished_stays_for_an_hour(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(owners, "_machine", lambda: "0" * 8)
        half = unfinished_path(store.folder / "part-0.zarr")
    half.mkdir()
    (half / "zarr.json").write_text("{}")
    os.utime(half, (0, 0))  # only what is in it was changed just now
    fill(store)
    assert half.is_dir()
    for path in (half / "zarr.json", half):
        os.utime(path, (time.time() - 4000,) * 2)
    fill(store)
    assert not half.exists()


def test_a_checkpoint_that_is_being_written_is_no_leftover(tmp_path: Path) -> None:
    target = tmp_path / "last.ckpt"
    with atomic_write(target) as unfinished:
        remove_leftovers(target)
        unfinished.write_text("whole")
    assert target.read_text() == "whole"


def test_what_a_killed_stage_left_beside_an_encoder_is_removed(tmp_path: Path) -> None:
    class Watched(ViTImageProcessor):  # type: ignore[misc]
        def save_pretrained(self, save_directory: Path, **options: Any) -> None:
            super().save_pretrained(save_directory, **options)
            assert not owners.is_abandoned(save_directory)

    left, at_work = (unfinished_path(tmp_path / "preparation") for _ in range(2))
    for folder in (left, at_work):
        folder.mkdir()
    with owners.own(at_work):
        write_preparation(tmp_path, Watched())
    assert {path.name for path in tmp_path.iterdir()} == {at_work.name, "preprocessor_config.json"}


def test_nothing_is_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody knows the name beforehand, and puts a link to a file of yours there."""
    mine, target = tmp_path / "mine", tmp_path / "table.csv"
    mine.write_text("mine")
    monkeypatch.setattr(owners, "token_hex", lambda _: "0" * 8)
    unfinished_path(target).symlink_to(mine)
    with pytest.raises(FileExistsError), atomic_write(target) as unfinished:
        unfinished.write_text("a,b")
    assert mine.read_text() == "mine"
    target.symlink_to(mine)
    with atomic_write(target) as unfinished:
        unfinished.write_text("a,b")
    assert (mine.read_text(), target.read_text(), target.is_symlink()) == ("mine", "a,b", False)


def test_a_part_that_loses_a_file_before_it_has_its_name_gets_none(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another writer did that took it for a leftover."""
    from oragen.store import failures, writing

    def lose(path: Path) -> None:
        file = path if path.is_file() else path / "values" / "c" / "0" / "0"
        file.unlink()

    monkeypatch.setattr(writing, "flush_tree", lose)
    with pytest.raises(failures.PartError, match="unfinished"):
        fill(store)
    assert [*store.folder.iterdir()] == []


def test_compaction_beside_a_writer_is_refused(store: PartStore) -> None:
    fill(store)
    before = store.parts()
    plan = plan_compaction(store, None, 2**20)
    with start(store, script=HOLDER) as writer:
        assert pipe(writer.stdout).readline() == "ready\n"
        with pytest.raises(StoreInUseError, match=r"in use.*compact"):
            compact(store, plan, 2**20)
        assert store.parts() == before
        writer.communicate("\n")
    compact(store, plan, 2**20)
    assert len(store.parts()) == 1


def test_a_writer_waits_until_the_store_is_rewritten(store: PartStore) -> None:
    with take_store(store.folder, "test"), start(store) as writer:
        assert pipe(writer.stdout).readline() == "ready\n"
        pipe(writer.stdin).write("\n")
        pipe(writer.stdin).flush()
        time.sleep(0.3)
        assert store.parts() == []
        release = store.folder / LOCK_NAME
        assert release.exists()
        writer.kill()
    assert not release.exists()


def test_the_last_writer_removes_the_lock_and_no_earlier_one(tmp_path: Path) -> None:
    with share_store(tmp_path):
        assert (tmp_path / LOCK_NAME).is_file()
        with share_store(tmp_path):
            pass
        assert (tmp_path / LOCK_NAME).is_file()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EACCES])
def test_a_file_system_without_locks_is_written_and_compacted(
    store: PartStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    fill(store)
    half = unfinished_path(store.folder / "part-0.h5")
    half.write_bytes(b"half")
    plan = plan_compaction(store, None, 2**20)
    with owners.own(half), pytest.raises(StoreInUseError):
        compact(store, plan, 2**20)
    compact(store, plan, 2**20)
    assert len(store.parts()) == 1


def test_a_folder_where_no_lock_can_be_made_is_used_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with share_store(tmp_path):
        assert [*tmp_path.iterdir()] == []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PartStore:
    """A project with a store of sound."""
    shutil.copy2(REPOSITORY / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    store = PartStore(paths.audio_store("mini"), "h5")
    fill(store)
    return store


def damage(store: PartStore) -> Path:
    part = store.parts()[0]
    part.write_bytes(part.read_bytes()[:-1])
    return part


COMMANDS: tuple[list[str], ...] = (["verify", "--remove"], ["compact", "--keep-unused"])


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_rewrite_refuse_a_store_in_use(
    project: PartStore, command: list[str]
) -> None:
    part = damage(project)
    with project.writing():
        done = CliRunner().invoke(app, ["cache", *command])
    assert isinstance(done.exception, StoreInUseError)  # a UserError: exit code 2
    assert part.exists()


def test_a_stage_of_dvc_that_only_reads_a_store_uses_it(
    project: PartStore, other_process: "subprocess.Popen[bytes]"
) -> None:
    note = Path(".dvc/tmp/rwlock")
    note.parent.mkdir(parents=True)
    user = {"pid": other_process.pid, "cmd": "dvc repro"}
    note.write_text(json.dumps({"write": {}, "read": {str(project.folder.absolute()): [user]}}))
    refused = CliRunner().invoke(app, ["cache", "compact", "--keep-unused"])
    assert isinstance(refused.exception, StoreInUseError)
    other_process.kill()
    other_process.wait()
    assert CliRunner().invoke(app, ["cache", "compact", "--keep-unused"]).exit_code == 0


def test_verify_lists_what_a_run_has_set_aside_and_removes_it_if_asked(project: PartStore) -> None:
    part = damage(project)
    project.find([f"{number:032x}" for number in range(3)], mend=True)
    assert not part.exists()
    (aside,) = project.parts_aside()
    done = CliRunner().invoke(app, ["cache", "verify"])
    assert (done.exit_code, str(aside) in done.stdout) == (0, True)
    assert aside.exists()
    CliRunner().invoke(app, ["cache", "verify", "--remove"])
    assert not aside.exists()
    assert find_leftovers(project.folder) == []
