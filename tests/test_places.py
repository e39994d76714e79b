"""Which parts a dataset needs: by the table of places, which is a hint and no more."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from oragen.config import paths
from oragen.features.needed import find_parts, list_needed, name_missing_parts
from oragen.features.places import PLACES, list_places, name_parts
from oragen.features.rows import MissingFeaturesError, locate_features
from oragen.schema.tables import DATASET, FEATURE_ROWS
from oragen.schema.vocabulary import Level
from oragen.store.compaction import compact, plan_compaction
from oragen.store.failures import warn_once
from oragen.store.parts import PartStore
from tests.feature_stores import load_speakers, write_speakers
from tests.lettered_stores import enter_project, fill, key_of, name_features, run

STORE = paths.feature_store("mini", "identity")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PartStore:
    """Five rows in three parts."""
    monkeypatch.chdir(tmp_path)
    store = PartStore(STORE, "zarr")
    fill(store, "abcde")
    return store


def feature_rows(*keys: str, next_key: str | None = None) -> pd.DataFrame:
    return FEATURE_ROWS.frame(
        [
            {"key": f"input {key}", "level": "intermediate", "feature_key": key,
             "store": str(STORE), "next_feature_key": next_key}
            for key in keys
        ]
    )  # fmt: skip


def write_places(*names: str) -> None:
    rows = feature_rows(*map(key_of, names))
    PLACES.write(paths.places_table("mini", "audio"), list_places(rows))


def part_of(store: PartStore, name: str) -> Path:
    return store.index()[key_of(name)].part


def dataset(*names: str) -> pd.DataFrame:
    return DATASET.frame(
        [
            {"clip_id": f"mini/{name}", "start": 0, "stop": 4, "has_window": True, "corpus": "mini",
             "split": "train", "speaker_id": name, "audio_store": str(STORE),
             "audio_intermediate": key_of(name), "face_intermediate": []}
            for name in names
        ]
    )  # fmt: skip


def test_each_row_in_use_has_its_part(store: PartStore) -> None:
    places = list_places(feature_rows(key_of("a"), key_of("c"), next_key=key_of("e")))
    assert dict(zip(places["feature_key"], places["part"], strict=True)) == {
        key_of(name): part_of(store, name).name for name in "ace"
    }
    assert list_places(FEATURE_ROWS.empty()).empty


def test_a_dataset_needs_only_the_parts_of_its_rows(store: PartStore) -> None:
    write_places(*"abcde")
    (needed,) = list_needed(dataset("a", "b"), "intermediate")
    assert (needed.store, needed.kind) == (STORE, "audio")
    assert find_parts(needed) == [part_of(store, "a")]  # which holds b, too
    assert list_needed(dataset("a"), "late") == []


def test_faces_and_following_stretches_are_needed_too() -> None:
    table = dataset("a")
    table["audio_next_intermediate"] = key_of("b")
    table["face_store"] = "data/features/mini/off-the-shelf"
    table["face_intermediate"] = [[key_of("c"), None, key_of("c")]]
    sound, face = list_needed(table, "intermediate")
    assert {*sound.keys} == {key_of("a"), key_of("b")}
    assert (face.kind, [*face.keys]) == ("off_the_shelf", [key_of("c")])


def test_where_a_row_has_no_place_nothing_is_guessed() -> None:
    (needed,) = list_needed(dataset("a", "e"), "intermediate")
    assert find_parts(needed) is None
    write_places(*"ab")
    assert find_parts(needed) is None


def test_a_table_that_names_parts_from_before_a_compaction_does_no_harm(store: PartStore) -> None:
    write_places(*"abcde")
    compact(store, plan_compaction(store, None, 2**20), 2**20)
    (needed,) = list_needed(dataset(*"abcde"), "intermediate")
    named = find_parts(needed)
    assert named is not None
    assert not {*named} & {*store.parts()}
    assert len(locate_features({str(STORE): needed.keys})) == 5


@pytest.mark.parametrize(("level", "opens_all"), [("intermediate", False), ("late", True)])
def test_only_the_parts_of_a_level_in_use_are_opened(
    store: PartStore, caplog: pytest.LogCaptureFixture, level: Level, *, opens_all: bool
) -> None:
    write_places(*"ab")
    other = part_of(store, "c")
    (other / "zarr.json").write_text("{")
    warn_once.cache_clear()
    assert len(locate_features({str(STORE): [key_of("b"), key_of("a")]}, level)) == 2
    assert (f"{other} cannot be read" in caplog.text) is opens_all


def test_a_dataset_is_loaded_from_the_parts_of_its_level_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write_speakers(tmp_path, 3)
    all_needed = list_needed(table, "intermediate")
    for needed in all_needed:
        rows = pd.DataFrame({"feature_key": needed.keys, "store": str(needed.store)})
        rows = rows.assign(level="intermediate", next_feature_key=None)
        PLACES.write(needed.places, list_places(rows))
        (needed.store / f"part-{'0' * 32}.zarr").mkdir()  # which cannot be read
    warn_once.cache_clear()
    caplog.clear()
    assert len(load_speakers(table)) == 6
    assert "cannot be read" not in caplog.text
    for needed in all_needed:
        needed.places.unlink()
    assert len(load_speakers(table)) == 6
    assert caplog.text.count("cannot be read") == 2  # one of sound, one of faces


@pytest.mark.parametrize("part", ["another", f"part-{'0' * 32}.zarr", "../../part-1.zarr"])
def test_a_table_that_names_wrong_parts_changes_no_row(store: PartStore, part: str) -> None:
    keys = [key_of(name) for name in "ea"]
    expected = locate_features({str(STORE): keys})
    place_all(keys, part_of(store, "c").name if part == "another" else part)
    found = locate_features({str(STORE): keys}, "intermediate")
    assert found.parts == expected.parts
    assert found.start_of.tolist() == expected.start_of.tolist()


def test_only_what_is_named_like_a_part_is_fetched() -> None:
    (needed,) = list_needed(dataset("a"), "intermediate")
    place_all([key_of("a")], part := f"part-{'0' * 32}.zarr")
    assert find_parts(needed) == [STORE / part]
    place_all([key_of("a")], "../../../elsewhere")
    assert find_parts(needed) is None


def place_all(keys: list[str], part: str) -> None:
    rows = PLACES.frame([{"store": str(STORE), "feature_key": key, "part": part} for key in keys])
    PLACES.write(paths.places_table("mini", "audio"), rows.assign(level="intermediate"))


def test_tables_of_places_that_name_nothing_do_no_harm(store: PartStore) -> None:
    write_places(*"ab")
    table = paths.places_table("mini", "audio")
    assert name_parts(STORE, "intermediate") == {part_of(store, "a").name}
    DATASET.write(table.with_name("face.parquet"), dataset("a"))
    assert name_parts(STORE, "intermediate") == {part_of(store, "a").name}
    pq.write_table(pq.read_table(table).drop_columns("level"), table)  # as 0.1.0 wrote it
    assert name_parts(STORE, "intermediate") == set()
    assert len(PLACES.read(table)) == 2
    table.write_bytes(table.read_bytes()[:-9])
    assert name_parts(STORE, "intermediate") == set()
    assert len(locate_features({str(STORE): [key_of("a")]}, "intermediate")) == 1


def test_compaction_writes_the_places_anew(
    store: PartStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter_project(tmp_path, monkeypatch)
    name_features("mini", [key_of(name) for name in "abcde"])
    write_places(*"abcde")
    assert run("compact").exit_code == 0
    (part,) = store.parts()
    (needed,) = list_needed(dataset(*"abcde"), "intermediate")
    assert find_parts(needed) == [part]


def test_missing_parts_are_named_with_the_command(store: PartStore, tmp_path: Path) -> None:
    table = tmp_path / "dataset.parquet"
    DATASET.write(table, dataset(*"abcde"))
    write_places(*"abcde")
    gone = part_of(store, "c")
    shutil.rmtree(gone)
    with (
        pytest.raises(MissingFeaturesError, match=rf"1 of 3 parts .*{gone}.*`fetch this`"),
        name_missing_parts(table, "intermediate", "fetch this"),
    ):
        locate_features({str(STORE): [key_of(name) for name in "abcde"]})


def test_rows_that_no_part_has_are_named_as_ever(tmp_path: Path) -> None:
    table = tmp_path / "dataset.parquet"
    DATASET.write(table, dataset(*"ab"))
    with (
        pytest.raises(MissingFeaturesError, match="lacks 1 of 1 feature rows"),
        name_missing_parts(table, "intermediate", "fetch this"),
    ):
        locate_features({str(STORE): [key_of("z")]})


def test_the_key_of_needed_rows_is_that_of_the_store(tmp_path: Path) -> None:
    table = write_speakers(tmp_path, 3)
    needed = list_needed(table, "intermediate")
    assert [each.kind for each in needed] == ["audio", "face"]
    for each in needed:
        assert PartStore(each.store, "zarr").locate(each.keys).are_found.all()
    assert len(load_speakers(table)) == 6
