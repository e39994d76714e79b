"""`oragen cache`: statistics, damage that is named and removed, and compaction."""

import json
from pathlib import Path

import pytest
from typer.testing import Result

from oragen.config import paths
from oragen.store.parts import PartStore
from tests.lettered_stores import (
    enter_project,
    fill,
    fill_audio,
    flip_a_byte,
    key_of,
    keys_of,
    name_features,
    read_all,
    run,
    stamps,
    write_clips,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter_project(tmp_path, monkeypatch)


def test_parts_of_another_schema_version_are_shown_and_dropped(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    with monkeypatch.context() as patch:
        patch.setattr("oragen.store.writing.SCHEMA_VERSION", 1)
        fill(store, "ab")
    fill(store, "ab")
    name_features("mini", sorted(keys_of("ab")))
    assert len(store.parts()) == 2
    assert "(schema version 1)" in run("stats").output
    assert run("compact", "--keep-unused").exit_code == 0
    assert len(store.parts()) == 2
    assert run("compact").exit_code == 0
    assert len(store.parts()) == 1
    assert set(read_all(store)) == keys_of("ab")
    assert "schema version" not in run("stats").output


def test_verify_says_that_all_is_whole(project: Path) -> None:
    fill_audio("mini", {"a": 30})
    fill(PartStore(paths.feature_store("mini", "identity"), "zarr"), "abc")
    done = run("verify")
    assert "3 parts, 0 damaged." in done.stdout
    assert done.exit_code == 0


def test_a_damaged_part_is_named_and_removed_and_only_its_rows_are_made_again(
    project: Path,
) -> None:
    sound = fill_audio("mini", {"c": 30})
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "abcde")
    before = read_all(store)
    damaged = store.index()[key_of("c")].part
    flip_a_byte(damaged)
    done = run("verify")
    assert done.exit_code == 1
    assert str(damaged) in done.stdout
    assert "4 parts, 1 damaged" in done.stdout
    assert not any(part.name in done.stdout for part in store.parts() if part != damaged)
    assert damaged.exists()

    done = run("verify", "--remove")
    assert done.exit_code == 0
    assert "dvc repro" in done.stdout
    others = {part: stamps(part) for part in [*store.parts(), *sound.parts()]}
    assert len(others) == 3
    fill(store, "abcde")
    assert {part: stamps(part) for part in others} == others
    assert store.index()[key_of("c")].part == damaged
    assert len(store.parts()) == 3
    assert read_all(store) == before
    assert run("verify").exit_code == 0


def test_damaged_sound_is_found(project: Path) -> None:
    (part,) = fill_audio("mini", {"c": 30}).parts()
    content = bytearray(part.read_bytes())
    content[content.find(b"c\0c\0")] ^= 1
    part.write_bytes(content)
    done = run("verify")
    assert done.exit_code == 1
    assert part.name in done.stdout


def test_unfinished_leftovers_are_listed_and_no_damage(project: Path) -> None:
    fill_audio("mini", {"a": 30})
    leftover = paths.audio_store("mini") / "part-0.h5.unfinished-1"
    leftover.write_bytes(b"half")
    done = run("verify")
    assert f"{leftover} is unfinished" in done.stdout
    assert done.exit_code == 0


def test_stats_are_a_table_or_json(project: Path) -> None:
    fill_audio("mini", {"a": 30, "b": 20})
    write_clips("mini", "a")
    fill(PartStore(paths.feature_store("mini", "identity"), "zarr"), "abcde")
    name_features("mini", sorted(keys_of("abc")))
    shown = run("stats")
    assert shown.exit_code == 0
    assert cells_of(shown, "features")[1:10] == [
        *("mini", "identity", "intermediate", "fp32", "f"),
        *("3", "5", "3", "2"),
    ]
    assert cells_of(shown, "total")[6:10] == ["4", "7", "4", "3"]
    found = json.loads(run("stats", "--json").stdout)
    assert found["total"]["rows"] == 7
    assert [(line["kind"], line["rows"], line["rows_in_use"]) for line in found["stores"]] == [
        ("audio", 2, 1),
        ("features", 5, 3),
    ]


def test_a_dry_run_says_what_it_would_do_and_does_nothing(project: Path) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "abcde")
    name_features("mini", sorted(keys_of("abc")))
    before = stamps(store.folder)
    done = run("compact", "--dry-run")
    assert cells_of(done, "identity")[1:6] == ["3", "0", "2", "3", "3"]
    assert "dvc repro" not in done.stdout
    assert stamps(store.folder) == before


def cells_of(done: Result, name: str) -> list[str]:
    (line,) = (line for line in done.stdout.splitlines() if name in line)
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_the_command_compacts_to_the_size_of_params(project: Path) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "abcde")
    name_features("mini", sorted(keys_of("abc")))
    before = read_all(store)
    done = run("compact")
    assert done.exit_code == 0
    assert cells_of(done, "identity")[1:6] == ["3", "0", "2", "3", "1"]
    assert "dvc repro" in done.stdout
    assert read_all(store) == {key: before[key] for key in keys_of("abc")}
    again = run("compact")
    assert cells_of(again, "identity")[1:6] == ["1", "1", "0", "0", "1"]
    assert "dvc repro" not in again.stdout


def test_the_command_can_merge_alone(project: Path) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "abcde")
    name_features("mini", [])
    before = read_all(store)
    assert cells_of(run("compact", "--keep-unused"), "identity")[1:6] == ["3", "0", "0", "5", "1"]
    assert read_all(store) == before
    run("compact")
    assert store.parts() == []


@pytest.mark.parametrize("command", ["stats", "verify", "compact"])
def test_no_store_is_no_mistake(project: Path, command: str) -> None:
    assert run(command).exit_code == 0
