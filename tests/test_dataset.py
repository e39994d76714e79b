"""Tables and features -> windows and batches, worked out by hand on a tiny corpus."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from oragen.features.dataset import Batch, WindowDataset
from oragen.features.loading import EmptyDatasetError, load_dataset, read_dataset
from oragen.features.rows import MissingFeaturesError, MixedFeaturesError
from oragen.features.table import join_dataset
from oragen.schema.tables import CLIPS, CROPS, DATASET, FEATURE_ROWS, WINDOWS
from oragen.schema.vocabulary import GENDERS, GENDERS_WITH_CHILD, Modality
from tests.feature_stores import make_spec, write_features

CPU = torch.device("cpu")
AUDIO, FACE = make_spec("audio", shape=(3, 2)), make_spec("face", shape=(1, 2))
# Three clips: `c/a` with two windows, of which the second is silent; `c/b` with audio and no face;
# `c/c` without a window. Crop 1 of `c/a` is in both windows, crop 2 in none.
SOUNDS = {"a-sound": [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], "b-sound": [[5.0, 5.0], [6.0, 6.0]]}
CROP_VALUES = {"a-crop-0": [[10.0, 10.0]], "a-crop-1": [[11.0, 11.0]], "a-crop-2": [[12.0, 12.0]]}


def window(clip_id: str, start: int, crops: list[int], key: str | None) -> dict[str, object]:
    return {
        "window_id": f"{clip_id}#{start}", "clip_id": clip_id, "start": start, "stop": start + 100,
        "has_speech": key is not None, "crops": crops, "key": key, "audio_key": key,
    }  # fmt: skip


def crop(number: int) -> dict[str, object]:
    box = {"x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0, "score": 0.5}
    key = f"a-crop-{number}"
    return {"clip_id": "c/a", "crop": number, "key": key, "faces_key": "f", "sample": 0, **box}


def clip(clip_id: str, **labels: Any) -> dict[str, object]:
    return {"clip_id": clip_id, "corpus": "c", "split": "train", "speaker_id": clip_id, **labels}


CLIP_ROWS = [
    clip("c/a", gender="male", age_years=40.0, mask_type="ffp"),
    clip("c/b", gender="child"),
    clip("c/c", age_years=7.5, split="dev"),
]
WINDOW_ROWS = [
    window("c/a", 0, [0, 1], "a-sound"),
    window("c/a", 50, [1, -1], None),
    window("c/b", 0, [-1, -1], "b-sound"),
]


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """The tiny corpus, joined; its features are in two stores."""
    stores = {"audio": tmp_path / "audio", "face": tmp_path / "face"}
    audio = write_features(stores["audio"], to_arrays(SOUNDS), AUDIO)
    face = write_features(stores["face"], to_arrays(CROP_VALUES), FACE)
    return join_dataset(
        CLIPS.frame(CLIP_ROWS),
        WINDOWS.frame(WINDOW_ROWS),
        CROPS.frame([crop(number) for number in range(3)]),
        feature_rows(audio, stores["audio"]),
        feature_rows(face, stores["face"]),
    )


def to_arrays(values: dict[str, list[list[float]]]) -> dict[str, np.ndarray]:
    return {key: np.array(rows) for key, rows in values.items()}


def feature_rows(keys: dict[str, str], store: Path) -> pd.DataFrame:
    rows: list[dict[str, object]] = [
        {"key": key, "level": "intermediate", "feature_key": feature, "store": str(store)}
        for key, feature in keys.items()
    ]
    return FEATURE_ROWS.frame(rows)


def load(
    table: pd.DataFrame, genders: Sequence[str] = GENDERS, memory_bytes: int = 2**20
) -> WindowDataset:
    return load_dataset(table, level="intermediate", genders=genders, memory_bytes=memory_bytes)


@pytest.fixture(params=[2**20, 1], ids=["in memory", "streamed"])
def dataset(request: pytest.FixtureRequest, table: pd.DataFrame, tmp_path: Path) -> WindowDataset:
    DATASET.write(tmp_path / "dataset.parquet", table)
    windows = read_dataset(tmp_path / "dataset.parquet", ["train"])
    return load(windows, memory_bytes=request.param)


def whole(dataset: WindowDataset) -> Batch:
    """All windows in one batch, in their order."""
    [batch] = dataset.batches(len(dataset), CPU)
    order = batch.windows.argsort()
    return Batch(**{field.name: getattr(batch, field.name)[order] for field in fields(Batch)})


def test_a_row_for_each_window_and_one_for_a_clip_without(table: pd.DataFrame) -> None:
    found = table[["clip_id", "start", "stop", "has_window"]].to_records(index=False).tolist()
    assert found == [
        ("c/a", 0, 100, True), ("c/a", 50, 150, True), ("c/b", 0, 100, True),
        ("c/c", -1, -1, False),
    ]  # fmt: skip


def test_a_row_names_the_features_of_its_sound_and_slots(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    with_both, with_face, with_audio, neither = table.to_dict("records")
    sound, crops = AUDIO.key_of("a-sound"), [FACE.key_of("a-crop-0"), FACE.key_of("a-crop-1")]
    assert with_both["audio_intermediate"] == sound
    assert with_both["audio_store"] == str(tmp_path / "audio")
    assert list(with_both["face_intermediate"]) == crops
    assert list(with_face["face_intermediate"]) == [crops[1], None]
    assert with_face["face_store"] == str(tmp_path / "face")
    assert pd.isna([with_face["audio_intermediate"], with_face["audio_store"]]).all()
    assert list(with_audio["face_intermediate"]) == [None, None]
    assert pd.isna(with_audio["face_store"])
    assert pd.isna([neither[name] for name in ("audio_intermediate", "face_intermediate")]).all()
    assert pd.isna([with_both[name] for name in ("audio_early", "audio_late")]).all()


def test_a_row_carries_its_clip_s_labels(table: pd.DataFrame) -> None:
    assert table["split"].tolist() == ["train", "train", "train", "dev"]
    assert table["age_years"].tolist()[:2] == [40.0, 40.0]
    assert table["mask_type"].isna().tolist() == [False, False, True, True]


def test_the_joined_table_keeps_its_contract(table: pd.DataFrame, tmp_path: Path) -> None:
    DATASET.write(tmp_path / "dataset.parquet", table)
    assert len(DATASET.read(tmp_path / "dataset.parquet")) == 4


@pytest.mark.parametrize("broken", [window("c/a", 0, [9], "a-sound"), window("c/a", 0, [0], "x")])
def test_a_window_of_other_tables_is_no_row(broken: dict[str, object], tmp_path: Path) -> None:
    rows = feature_rows({"a-sound": "A", "a-crop-0": "B"}, tmp_path)
    tables = CLIPS.frame(CLIP_ROWS), WINDOWS.frame([broken]), CROPS.frame([crop(0)])
    with pytest.raises(KeyError):
        join_dataset(*tables, rows, rows)


def test_only_windows_are_loaded(dataset: WindowDataset) -> None:
    assert len(dataset) == 3
    assert dataset.table["clip_id"].tolist() == ["c/a", "c/a", "c/b"]


def test_a_batch_holds_what_is_there_and_says_what_is_not(dataset: WindowDataset) -> None:
    batch = whole(dataset)
    assert batch.audio[0].tolist() == SOUNDS["a-sound"]
    assert batch.audio[2].tolist() == [*SOUNDS["b-sound"], [0.0, 0.0]]
    assert batch.audio_valid.tolist() == [[True] * 3, [False] * 3, [True, True, False]]
    assert batch.face[0].tolist() == [CROP_VALUES["a-crop-0"], CROP_VALUES["a-crop-1"]]
    assert batch.face[1, 0].tolist() == CROP_VALUES["a-crop-1"]
    assert batch.face_valid.tolist() == [[True, True], [True, False], [False, False]]


def test_a_feature_in_two_windows_is_in_memory_once(dataset: WindowDataset) -> None:
    assert len(dataset.face.rows) == 2  # crops 0 and 1; crop 2 is in no window
    assert len(dataset.audio.rows) == 2
    if dataset.in_memory is not None:
        assert [len(part) for part in dataset.in_memory.values()] == [3 + 2, 3]  # steps, layers


def test_an_unknown_label_is_no_class(dataset: WindowDataset) -> None:
    batch = whole(dataset)
    assert batch.gender.tolist() == [1, 1, -1]  # no child among female and male
    assert batch.mask_type.tolist() == [3, 3, -1]
    assert batch.age_years.isnan().tolist() == [False, False, True]
    assert batch.age_years[0] == 40.0


def test_labels_count_by_the_list_they_are_given(table: pd.DataFrame) -> None:
    batch = whole(load(table, GENDERS_WITH_CHILD))
    assert batch.gender.tolist() == [2, 2, 0]


def test_half_precision_in_memory_becomes_single_in_a_batch(dataset: WindowDataset) -> None:
    batch = whole(dataset)
    if dataset.in_memory is not None:
        assert {part.dtype for part in dataset.in_memory.values()} == {np.dtype(np.float16)}
    assert (batch.audio.dtype, batch.face.dtype) == (torch.float32, torch.float32)
    assert batch.age_years.dtype == torch.float32


@pytest.mark.parametrize("generator", [None, torch.Generator().manual_seed(0)])
@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1, 1, 1]), (2, [2, 1]), (8, [3])])
def test_batches_hold_every_window_once(
    dataset: WindowDataset,
    batch_size: int,
    sizes: list[int],
    generator: torch.Generator | None,
) -> None:
    batches = list(dataset.batches(batch_size, CPU, generator=generator))
    assert [len(batch.gender) for batch in batches] == sizes
    starts = [value for batch in batches for value in sum_of_modalities(batch)]
    assert sorted(starts) == sorted(sum_of_modalities(whole(dataset)))


def sum_of_modalities(batch: Batch) -> list[float]:
    """A number that tells the three windows apart."""
    audio = (batch.audio * batch.audio_valid[..., None]).sum((1, 2))
    return (audio + (batch.face * batch.face_valid[..., None, None]).sum((1, 2, 3))).tolist()


def test_a_batch_says_which_windows_it_holds(dataset: WindowDataset) -> None:
    modalities = [54.0, 22.0, 22.0]
    for batch in dataset.batches(1, CPU, generator=torch.Generator().manual_seed(0)):
        assert sum_of_modalities(batch) == [modalities[window] for window in batch.windows.tolist()]


def test_the_generator_decides_the_order(dataset: WindowDataset) -> None:
    def ages(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        epochs = [dataset.batches(1, CPU, generator=generator) for _ in range(6)]
        return [[int(batch.audio_valid.sum()) for batch in epoch] for epoch in epochs]

    assert ages(0) == ages(0)
    assert ages(0) != ages(1)
    assert len({tuple(epoch) for epoch in ages(0)}) > 1  # every epoch another one


@pytest.mark.parametrize("memory_bytes", [2**20, 1])
def test_two_corpora_are_one_dataset(
    table: pd.DataFrame, tmp_path: Path, memory_bytes: int
) -> None:
    """Both have a store of the same name for the same key, with other values in it."""
    other = tmp_path / "other"
    write_features(other / "audio", {"a-sound": np.full((3, 2), 9.0)}, AUDIO)
    write_features(other / "face", {"a-crop-0": np.full((1, 2), 8.0)}, FACE)
    row = table.iloc[[0]].assign(
        clip_id="d/a", audio_store=str(other / "audio"), face_store=str(other / "face"),
        face_intermediate=[[FACE.key_of("a-crop-0"), None]],
    )  # fmt: skip
    batch = whole(load(pd.concat([table, row]), memory_bytes=memory_bytes))
    assert batch.audio[:, 0, 0].tolist()[0::3] == [1.0, 9.0]
    assert batch.face[:, 0, 0, 0].tolist()[0::3] == [10.0, 8.0]


def test_features_of_another_encoder_are_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    other = make_spec("audio", shape=(3, 2), fingerprint="e" * 64)
    write_features(tmp_path / "other", {"b-sound": np.ones((3, 2))}, other)
    table.loc[2, ["audio_store", "audio_intermediate"]] = [
        str(tmp_path / "other"),
        other.key_of("b-sound"),
    ]
    with pytest.raises(MixedFeaturesError):
        load(table)


def test_features_that_are_gone_are_missed(table: pd.DataFrame, tmp_path: Path) -> None:
    for part in (tmp_path / "audio").glob("part-*"):
        part.rename(tmp_path / part.name)
    with pytest.raises(MissingFeaturesError, match="lacks 2 of 2"):
        load(table)


@pytest.mark.parametrize("memory_bytes", [2**20, 1], ids=["in memory", "streamed"])
def test_a_dataset_may_lack_a_modality_altogether(table: pd.DataFrame, memory_bytes: int) -> None:
    without_audio, without_face = (
        load(table.iloc[row : row + 1], GENDERS, memory_bytes) for row in (1, 2)
    )
    assert (set(without_audio.specs), set(without_face.specs)) == ({"face"}, {"audio"})
    assert not whole(without_audio).audio_valid.any()
    assert whole(without_audio).face[0, 0].tolist() == CROP_VALUES["a-crop-1"]
    assert not whole(without_face).face_valid.any()
    assert whole(without_face).audio[0].tolist() == [*SOUNDS["b-sound"], [0.0, 0.0]]
    both = load(table.iloc[1:3], GENDERS, memory_bytes)
    assert set(both.specs) == {"audio", "face"}


def test_what_is_absent_has_the_size_that_a_head_expects(table: pd.DataFrame) -> None:
    specs = load(table).specs
    without_audio = load_dataset(
        table.iloc[1:2], level="intermediate", genders=GENDERS, memory_bytes=1, specs=specs
    )
    assert whole(without_audio).audio.shape == (1, 3, 2)
    assert without_audio.specs == specs


def test_a_modality_that_a_head_does_not_know_is_not_looked_at(table: pd.DataFrame) -> None:
    known = load(table).specs
    specs: dict[Modality, dict[str, Any]] = {"face": known["face"]}
    face_only = load_dataset(
        table, level="intermediate", genders=GENDERS, memory_bytes=2**20, specs=specs
    )
    assert not whole(face_only).audio_valid.any()
    assert whole(face_only).face_valid.sum() == 3
    assert set(face_only.specs) == {"face"}


def test_a_dataset_without_any_features_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(EmptyDatasetError, match="features of level late"):
        load_dataset(table, level="late", genders=GENDERS, memory_bytes=1)


def test_splits_are_chosen_on_reading(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "dataset.parquet"
    DATASET.write(path, table)
    assert read_dataset(path, ["train"])["clip_id"].tolist() == ["c/a", "c/a", "c/b"]
    assert read_dataset(path, ["dev", "train"])["clip_id"].tolist()[-1] == "c/c"


@pytest.mark.parametrize(("split", "num_clips"), [("dev", 1), ("test", 0)])
def test_a_split_without_a_window_is_refused(
    table: pd.DataFrame, tmp_path: Path, split: str, num_clips: int
) -> None:
    DATASET.write(tmp_path / "dataset.parquet", table)
    with pytest.raises(EmptyDatasetError, match=rf"no window in {split} \({num_clips} clips\)"):
        read_dataset(tmp_path / "dataset.parquet", [split])
