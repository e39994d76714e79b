"""Statistics, integrity and compaction of the stores."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from oragen.cli import app
from oragen.config import paths
from oragen.schema.files import find_leftovers
from oragen.schema.tables import CLIPS, CROPS, DATASET, EXAMPLES, FEATURE_ROWS
from oragen.store.compaction import compact, plan_compaction, write_merged
from oragen.store.failures import DamagedPartError
from oragen.store.formats import PartFormat, read_header, verify_part
from oragen.store.inventory import (
    add_up,
    find_damage,
    remove_part,
    size_on_disk,
    take_statistics,
)
from oragen.store.keys import audio_key
from oragen.store.parts import PartStore, PartWriter
from oragen.store.usage import CorpusStore, Usage, find_stores, find_usage
from tests.feature_stores import make_spec, write_features
from tests.project import REPOSITORY

ROW_BYTES = 24  # 4 positions x 3 numbers x 2 bytes
AUDIO = {"max_duration_s": 7200.0}  # as in params.yaml
FACES = {"crop_px": 96}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and the working directory in it."""
    shutil.copy2(REPOSITORY / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", "zarr")


def embed(names: str) -> dict[str, np.ndarray]:
    """A letter each -> an embedding that no other letter has; `g` has one position less."""
    return {
        name: np.random.default_rng(ord(name)).standard_normal((3 if name == "g" else 4, 3))
        for name in names
    }


def fill(store: PartStore, names: str, *, rows_per_part: int = 2, fingerprint: str = "f") -> None:
    """Write the features of inputs named by letters, so many a part in the order of the names."""
    spec = make_spec(fingerprint=fingerprint)
    for start in range(0, len(names), rows_per_part):
        write_features(store.folder, embed(names[start : start + rows_per_part]), spec)


def key_of(name: str, fingerprint: str = "f") -> str:
    return make_spec(fingerprint=fingerprint).key_of(name)


def keys_of(names: str, fingerprint: str = "f") -> set[str]:
    return {key_of(name, fingerprint) for name in names}


def read_all(store: PartStore) -> dict[str, tuple[bytes, int]]:
    """Each key's bytes, and how many of its positions are real."""
    rows = store.read_many([*store.index().values()])
    return {located.row.key: (values.tobytes(), len(values)) for located, values in rows}


def clips_by_part(store: PartStore) -> list[list[str]]:
    """The letters in each part."""
    headers = [read_header(part, store.part_format) for part in store.parts()]
    return sorted([name[-1] for name in header["entries"]["clip_id"]] for header in headers)


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When every file was written, and its number on the disk."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}


def run_compaction(store: PartStore, usage: Usage | None, rows_per_part: int) -> None:
    part_bytes = rows_per_part * ROW_BYTES
    compact(store, plan_compaction(store, usage, part_bytes), part_bytes)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cache", *arguments])


def name_features(corpus: str, keys: Sequence[str], encoder: str = "identity") -> None:
    """Write the tables that say which features of the sound are in use; of faces none is."""
    store = str(paths.feature_store(corpus, encoder))
    rows: list[dict[str, object]] = [
        {"key": f"input of {key}", "level": "intermediate", "feature_key": key, "store": store}
        for key in keys
    ]
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, "audio"), FEATURE_ROWS.frame(rows))
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, "face"), FEATURE_ROWS.empty())


def write_clips(corpus: str, names: str) -> None:
    rows: list[dict[str, object]] = [
        {
            "clip_id": f"{corpus}/{name}",
            "corpus": corpus,
            "split": "train",
            "speaker_id": name,
            "audio_hash": f"file {name}",
        }
        for name in names
    ]
    CLIPS.write(paths.clips_table(corpus), CLIPS.frame(rows))


def fill_audio(corpus: str, lengths: dict[str, int]) -> PartStore:
    """Write the sound of clips, 0 samples for a broken one; all in one part."""
    return fill_folder(paths.audio_store(corpus), corpus, lengths, {"audio": AUDIO})


def fill_folder(
    folder: Path, corpus: str, lengths: dict[str, int], spec: dict[str, Any]
) -> PartStore:
    store = PartStore(folder, "h5")
    with PartWriter(store, spec, 2**20) as writer:
        for name, length in lengths.items():
            writer.add(
                audio_key(f"file {name}", AUDIO),
                f"{corpus}/{name}",
                np.full(length, ord(name), np.int16),
                reason=None if length else "empty file",
            )
    return store


def flip_a_byte(part: Path) -> None:
    """Change one bit of the values."""
    (file,) = [part] if part.is_file() else (path for path in part.rglob("0") if path.is_file())
    content = bytearray(file.read_bytes())
    content[len(content) // 3 if part.is_dir() else content.find(b"ccc")] ^= 16
    file.write_bytes(content)


def test_rows_bytes_and_parts_are_counted(project: Path) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "abcde")
    fill(store, "ab", fingerprint="g1234567890")
    name_features("mini", sorted(keys_of("abc")))
    (found,) = find_stores()
    lines = take_statistics(found, find_usage([found], audio=AUDIO, faces=FACES)[found])
    assert [(line.fingerprint, line.parts, line.rows, line.rows_in_use) for line in lines] == [
        ("f", 3, 5, 3),
        ("g1234567", 1, 2, 0),
    ]
    assert {
        (line.kind, line.corpus, line.encoder, line.level, line.precision) for line in lines
    } == {("features", "mini", "identity", "intermediate", "fp32")}
    total = add_up(lines)
    assert (total.parts, total.rows, total.rows_in_use) == (4, 7, 3)
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert total.bytes == sum(len(path.read_bytes()) for path in files) > 0


def test_stores_are_found_by_kind_and_corpus(project: Path) -> None:
    fill_audio("mini", {"a": 3})
    shutil.copytree(paths.audio_store("mini"), paths.faces_store("other"))
    fill(PartStore(paths.feature_store("mini", "identity"), "zarr"), "a")
    paths.audio_store("empty").mkdir()
    CROPS.write(paths.crops_table("other"), CROPS.empty())
    assert find_stores() == [
        CorpusStore("audio", "mini", Path("data/audio/mini")),
        CorpusStore("faces", "other", Path("data/faces/other")),
        CorpusStore("features", "mini", Path("data/features/mini/identity")),
    ]


def test_sound_of_present_clips_is_in_use_also_before_speech_was_looked_for(project: Path) -> None:
    fill_audio("mini", {"a": 3, "b": 5, "c": 7})
    write_clips("mini", "ac")
    assert count_in_use("audio") == 2


def test_a_clip_that_gave_nothing_is_in_use_as_long_as_it_is_there(project: Path) -> None:
    """Otherwise it would be tried again and again."""
    lengths = {"a": 3, "b": 0, "c": 0}
    fill_audio("mini", lengths)
    fill_folder(paths.faces_store("mini"), "mini", lengths, {"faces": FACES})
    write_clips("mini", "ab")
    CROPS.write(paths.crops_table("mini"), CROPS.empty())
    assert count_in_use("audio") == 2
    assert count_in_use("faces") == 1  # b; no crop of a is named


def test_a_clip_that_gave_nothing_under_other_parameters_is_not_in_use(project: Path) -> None:
    folder = paths.faces_store("mini")
    fill_folder(folder, "mini", {"b": 0}, {"faces": {"crop_px": 64}})
    write_clips("mini", "b")
    CROPS.write(paths.crops_table("mini"), CROPS.empty())
    assert count_in_use("faces") == 0


def count_in_use(kind: str) -> int | None:
    (store,) = (store for store in find_stores() if store.kind == kind)
    return add_up(
        take_statistics(store, find_usage([store], audio=AUDIO, faces=FACES)[store])
    ).rows_in_use


def test_crops_of_the_table_are_in_use(project: Path) -> None:
    fill_audio("mini", {"a": 3, "b": 5})
    shutil.move(paths.audio_store("mini"), paths.faces_store("mini"))
    write_clips("mini", "ab")
    box: dict[str, object] = dict.fromkeys(("x1", "y1", "x2", "y2", "score"), 0.0)
    key = audio_key("file b", AUDIO)
    row: dict[str, object] = {"clip_id": "mini/b", "crop": 0, "key": "k", "faces_key": key}
    CROPS.write(paths.crops_table("mini"), CROPS.frame([row | box | {"sample": 0}]))
    assert count_in_use("faces") == 1


def test_what_examples_and_datasets_name_is_in_use(project: Path) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "abcde")
    name_features("mini", [])
    folder, (a, b, c) = str(store.folder), (key_of(name) for name in "abc")
    clip: dict[str, Any] = {"clip_id": "mini/a", "start": 0, "stop": 4, "corpus": "mini"}
    clip |= {"split": "train", "speaker_id": "a"}
    window = {"has_window": True, "audio_store": folder, "audio_intermediate": a}
    faces = {"face_store": folder, "face_intermediate": [b, None, c]}
    DATASET.write(paths.train_dataset("joint"), DATASET.frame([clip | window | faces]))
    assert count_in_use("features") == 3
    fill_audio("mini", {"a": 3, "b": 5})
    write_clips("mini", "b")
    place = {"content_key": "k", "store": "data/audio/mini", "key": audio_key("file a", AUDIO)}
    assert count_in_use("audio") == 1
    EXAMPLES.write(paths.examples_table("identity"), EXAMPLES.frame([clip | place]))
    assert count_in_use("audio") == 2


def test_features_named_of_another_store_are_not_in_use_here(project: Path) -> None:
    for corpus in ("mini", "other"):
        fill(PartStore(paths.feature_store(corpus, "identity"), "zarr"), "ab")
    name_features("mini", sorted(keys_of("ab")))
    name_features("other", [])
    usage = find_usage(find_stores(), audio=AUDIO, faces=FACES)
    counts = [add_up(take_statistics(store, used)).rows_in_use for store, used in usage.items()]
    assert counts == [2, 0]


def test_nothing_is_unused_as_long_as_a_table_is_missing(project: Path) -> None:
    """DVC removes a stage's tables before it runs, so a killed one leaves rows that none names."""
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "abcde")
    name_features("mini", [])
    paths.feature_rows_table("mini", "face").unlink()
    assert count_in_use("features") is None
    assert "?" in run("stats").stdout
    before = read_all(store)
    done = run("compact")
    assert "a table of mini is missing: nothing is dropped" in done.stdout
    assert len(store.parts()) == 1
    assert read_all(store) == before


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
    fill(store, "abcdefg", rows_per_part=1)
    usage = Usage(keys_of("abdfg"))
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
        header = read_header(part, "zarr")
        assert {*header["entries"]["key"]} == keys_of("abcd", header["spec"]["fingerprint"])
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


def test_parts_of_another_schema_version_are_shown_and_dropped(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    with monkeypatch.context() as patch:
        patch.setattr("oragen.store.parts.SCHEMA_VERSION", 1)
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


def test_a_whole_part_has_no_damage(store: PartStore) -> None:
    fill(store, "ab")
    (part,) = store.parts()
    assert find_damage(part, "zarr") is None
    assert size_on_disk(part) == sum(len(p.read_bytes()) for p in part.rglob("*") if p.is_file())


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


def test_a_removed_part_is_gone(store: PartStore) -> None:
    fill(store, "abc")
    first, second = store.parts()
    remove_part(first)
    assert store.parts() == [second]
    assert [*store.folder.iterdir()] == [second]


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
