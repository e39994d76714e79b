"""Files and folders that appear under their names whole, or not at all."""

from pathlib import Path

import pytest

from oragen.schema.files import (
    atomic_folder,
    atomic_write,
    find_leftovers,
    remove_leftovers,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_there_when_the_block_ends_and_not_before(tmp_path: Path) -> None:
    target = tmp_path / "new" / "table.csv"
    with atomic_write(target) as unfinished:
        unfinished.write_text("a,b\n")
        assert not target.exists()
        assert (unfinished.parent, unfinished.suffix) == (target.parent, ".csv")
    assert target.read_text() == "a,b\n"
    assert names(target.parent) == ["table.csv"]


def write_half_a_file(target: Path, error: type[BaseException]) -> None:
    with atomic_write(target, flush=True) as unfinished:
        unfinished.write_text("new")
        raise error


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(error):
        write_half_a_file(target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_two_that_write_one_file_at_once_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    with atomic_write(target) as first, atomic_write(target) as second:
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"  # the inner block ended before it
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("stem", ["ж" * 125, "x" * 251])
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path, stem: str) -> None:
    target = tmp_path / f"{stem}.csv"
    with atomic_write(target) as unfinished:
        unfinished.write_text("a")
    assert names(tmp_path) == [target.name]


@pytest.mark.parametrize("flush", [False, True])
def test_a_folder_appears_with_all_that_is_in_it(tmp_path: Path, flush: bool) -> None:
    target = tmp_path / "new" / "model"
    with atomic_folder(target, flush=flush) as unfinished:
        (unfinished / "deep").mkdir()
        (unfinished / "deep" / "weights").write_text("1")
        assert not target.exists()
    assert (target / "deep" / "weights").read_text() == "1"
    assert names(target.parent) == ["model"]


def test_a_folder_takes_the_place_of_an_empty_one_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with atomic_folder(tmp_path / "empty") as unfinished:
        (unfinished / "weights").write_text("1")
    assert names(tmp_path / "empty") == ["weights"]
    with (
        pytest.raises(OSError, match="not empty"),
        atomic_folder(tmp_path / "full") as unfinished,
    ):
        (unfinished / "weights").write_text("1")
    assert names(tmp_path / "full") == ["notes.txt"]
    assert names(tmp_path) == ["empty", "full"]


def test_an_error_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_half_a_folder(tmp_path / "model")
    assert names(tmp_path) == []


def write_half_a_folder(target: Path) -> None:
    with atomic_folder(target) as unfinished:
        (unfinished / "weights").write_text("1")
        raise KeyboardInterrupt


def test_leftovers_of_one_file_are_removed_and_no_others(tmp_path: Path) -> None:
    for name in ("[a].ckpt", "b.ckpt"):
        with atomic_write(tmp_path / name) as unfinished:
            unfinished.write_text("whole")
            unfinished.with_name(f"{unfinished.stem}0{unfinished.suffix}").write_text("half")
    other = find_leftovers(tmp_path)[1]
    remove_leftovers(tmp_path / "[a].ckpt")
    assert find_leftovers(tmp_path) == [other]
    assert names(tmp_path) == sorted(["[a].ckpt", "b.ckpt", other.name])
