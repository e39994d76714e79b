"""Compaction: rows in use are kept bit for bit, in few parts, also after a kill."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from oragen.schema.files import find_leftovers
from oragen.store.compaction import compact, plan_compaction, write_merged
from oragen.store.failures import DamagedPartError
from oragen.store.formats import PartFormat, read_layout, verify_part
from oragen.store.inventory import remove_part
from oragen.store.keys import audio_key
from oragen.store.parts import PartStore
from oragen.store.usage import Usage
from oragen.store.writing import PartWriter
from tests.lettered_stores import (
    AUDIO,
    enter_project,
    fill,
    fill_audio,
    flip_a_byte,
    key_of,
    keys_of,
    read_all,
    stamps,
)

ROW_BYTES = 24  # 4 positions x 3 numbers x 2 bytes


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter_project(tmp_path, monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", "zarr")


def clips_by_part(store: PartStore) -> list[list[str]]:
    """The letters in each part."""
    tables = [read_layout(part, store.part_format).table for part in store.parts()]
    return sorted([row.clip_id[-1] for row in table.to_rows()] for table in tables)


def run_compaction(store: PartStore, usage: Usage | None, rows_per_part: int) -> None:
    part_bytes = rows_per_part * ROW_BYTES
    compact(store, plan_compaction(store, usage, part_bytes), part_bytes)


def test_compaction_keeps_rows_in_use_bit_for_bit_and_drops_the_others(store: PartStore) -> None:
    fill(store, "abcdefg")
    before = read_all(store)
    run_compaction(store, Usage(keys_of("abfg")), 4)
    assert read_all(store) == {key: before[key] for key in keys_of("abfg")}
    assert [before[key_of(name)][1] for name in "abfg"] == [4, 4, 4, 3]
    assert len(store.parts()) == 1
    verify_part(store.parts()[0], "zarr")


def test_reasons_and_clips_survive(project: Path) -> None:
    store = fill_audio("mini", {"a": 3, "b": 0, "c": 2})
    before = {key: located.row for key, located in store.index().items()}
    usage = Usage({audio_key("file c", AUDIO)}, {"mini/b"})
    run_compaction(store, usage, 4)
    after = {key: located.row for key, located in store.index().items()}
    assert [*after] == [audio_key("file b", AUDIO), audio_key("file c", AUDIO)]
    for key, row in after.items():
        assert (row.clip_id, row.reason) == (before[key].clip_id, before[key].reason)
    (values,) = (
        values for row, values in store.read_many([*store.index().values()]) if len(values)
    )
    assert values.tolist() == [ord("c")] * 2


def test_large_parts_wholly_in_use_are_not_touched(store: PartStore) -> None:
    fill(store, "abcde")  # ab, cd, e
    before = {part: stamps(part) for part in store.parts()}
    run_compaction(store, Usage(keys_of("abce")), 2)
    assert sorted(map(sorted, clips_by_part(store))) == [["a", "b"], ["c", "e"]]
    (untouched,) = set(store.parts()) & set(before)
    assert stamps(untouched) == before[untouched]


def test_a_small_part_alone_stays(store: PartStore) -> None:
    fill(store, "abcde")
    before = stamps(store.folder)
    run_compaction(store, Usage(keys_of("abcde")), 2)
    assert stamps(store.folder) == before


def test_compacting_again_changes_nothing(store: PartStore) -> None:
    fill(store, "abcdefh", rows_per_part=1)
    usage = Usage(keys_of("abdfh"))
    run_compaction(store, usage, 3)
    assert sorted(map(len, clips_by_part(store))) == [2, 3]
    before = stamps(store.folder)
    run_compaction(store, usage, 3)
    assert stamps(store.folder) == before


def test_rows_of_two_specs_do_not_share_a_part(store: PartStore) -> None:
    for fingerprint in ("f", "g"):
        fill(store, "abcd", rows_per_part=1, fingerprint=fingerprint)
    before = read_all(store)
    run_compaction(store, None, 8)
    assert len(store.parts()) == 2
    for part in store.parts():
        layout = read_layout(part, "zarr")
        keys = {row.key for row in layout.table.to_rows()}
        assert keys == keys_of("abcd", layout.header["spec"]["fingerprint"])
    assert read_all(store) == before


def test_without_usage_nothing_but_second_copies_is_dropped(
    store: PartStore, tmp_path: Path
) -> None:
    """Two people's stores, merged by copying: c and d were made by both."""
    other = PartStore(tmp_path / "other", "zarr")
    fill(store, "abcd", rows_per_part=3)
    fill(other, "cdef", rows_per_part=2)
    for part in other.parts():
        shutil.copytree(part, store.folder / part.name)
    before = read_all(store)
    plan = plan_compaction(store, None, 6 * ROW_BYTES)
    assert (plan.num_dropped, plan.num_merged) == (2, 6)
    compact(store, plan, 6 * ROW_BYTES)
    assert read_all(store) == before
    assert {*before} == keys_of("abcdef")
    assert [sorted(names) for names in clips_by_part(store)] == [list("abcdef")]


def test_a_kill_before_the_removal_leaves_all_rows(store: PartStore) -> None:
    fill(store, "abcde")
    before = read_all(store)
    usage = Usage(keys_of("abce"))
    plan = plan_compaction(store, usage, 4 * ROW_BYTES)
    write_merged(store, plan, 4 * ROW_BYTES)
    assert len(store.parts()) == 4
    assert read_all(store) == before
    run_compaction(store, usage, 4)
    assert read_all(store) == {key: before[key] for key in keys_of("abce")}
    assert len(store.parts()) == 1


def test_compaction_after_a_kill_leaves_no_row_behind(store: PartStore) -> None:
    """Also where a row is in an old part and in the new one that comes out as it was."""
    for names in ("abcde", "edcba", "caebd", "dbeac"):
        for part in store.parts():
            remove_part(part)
        fill(store, names)
        usage = Usage(keys_of("abce"))
        write_merged(store, plan_compaction(store, usage, 4 * ROW_BYTES), 4 * ROW_BYTES)
        run_compaction(store, usage, 4)
        assert set(read_all(store)) == keys_of("abce")


def test_a_kill_in_a_removal_leaves_no_half_part(
    store: PartStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, "abcde")
    before = read_all(store)

    def stop(path: Path) -> None:
        next(path.rglob("zarr.json")).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            run_compaction(store, None, 5)
    assert read_all(store) == before
    assert len(find_leftovers(store.folder)) == 1
    fill(store, "f")
    assert find_leftovers(store.folder) == []


def test_a_part_that_comes_out_as_it_was_is_not_removed(store: PartStore) -> None:
    """What is left over after the last full new part may be a part that was there before."""
    for names in ("a", "b", "c"):
        fill(store, names)
    before = read_all(store)
    run_compaction(store, None, 2)
    assert sorted(map(len, clips_by_part(store))) == [1, 2]
    assert read_all(store) == before


@pytest.mark.parametrize("part_format", ["h5", "zarr"])
def test_damage_is_not_copied_under_a_name_that_fits(
    tmp_path: Path, part_format: PartFormat
) -> None:
    store = PartStore(tmp_path / "store", part_format)
    for name in "ab":
        with PartWriter(store, {}, 2**20) as writer:
            writer.add(key_of(name), name, np.full(50, ord("c"), np.uint8).reshape(1, 50))
    flip_a_byte(store.parts()[0])
    before = stamps(store.folder)
    with pytest.raises(DamagedPartError, match=r"part-.*Remove it.*compact again"):
        run_compaction(store, None, 1000)
    assert stamps(store.folder) == before
