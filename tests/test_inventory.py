"""Stores -> their parts, rows and bytes, and which of the rows are in use."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oragen.config import paths
from oragen.schema.tables import CROPS, DATASET, EXAMPLES, FEATURE_ROWS
from oragen.store.inventory import add_up, find_damage, remove_part, size_on_disk, take_statistics
from oragen.store.keys import audio_key
from oragen.store.parts import PartStore
from oragen.store.usage import CorpusStore, find_stores, find_usage
from tests.feature_stores import make_spec, write_features
from tests.lettered_stores import (
    AUDIO,
    FACES,
    embed,
    enter_project,
    fill,
    fill_audio,
    fill_folder,
    key_of,
    keys_of,
    name_features,
    read_all,
    run,
    write_clips,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter_project(tmp_path, monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", "zarr")


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


def test_hidden_layers_of_one_level_are_counted_apart(project: Path) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "ab")
    for layers in [(6, 12), (0, 1, 2)]:
        write_features(store.folder, embed("cd"), replace(make_spec(), layers=layers))
    (found,) = find_stores()
    lines = take_statistics(found, find_usage([found], audio=AUDIO, faces=FACES)[found])
    assert [line.level for line in lines] == [
        "intermediate",
        "intermediate (layers 0 to 2)",
        "intermediate (layers 6, 12)",
    ]


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


def test_a_whole_part_has_no_damage(store: PartStore) -> None:
    fill(store, "ab")
    (part,) = store.parts()
    assert find_damage(part, "zarr") is None
    assert size_on_disk(part) == sum(len(p.read_bytes()) for p in part.rglob("*") if p.is_file())


def test_a_removed_part_is_gone(store: PartStore) -> None:
    fill(store, "abc")
    first, second = store.parts()
    remove_part(first)
    assert store.parts() == [second]
    assert [*store.folder.iterdir()] == [second]


def test_the_stretch_that_a_window_reaches_into_is_in_use(project: Path) -> None:
    store = PartStore(paths.feature_store("mini", "identity"), "zarr")
    fill(store, "ab")
    one, two = sorted(keys_of("ab"))
    name_features("mini", [one])
    assert count_in_use("features") == 1
    rows = FEATURE_ROWS.read(paths.feature_rows_table("mini", "audio"))
    rows["next_feature_key"] = two
    FEATURE_ROWS.write(paths.feature_rows_table("mini", "audio"), rows)
    assert count_in_use("features") == 2
