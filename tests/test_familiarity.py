"""Windows of training -> how unlike them a clip is, by hand, on small stores, and as files."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from oragen.features.dataset import WindowDataset
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Modality, ModalitySet
from oragen.training.familiarity import (
    Familiarity,
    KnownFeatures,
    find_limit,
    fit_familiarity,
    join_modalities,
    measure_clips,
    measure_windows,
)
from oragen.training.familiarity_files import (
    FAMILIARITY_FILE,
    read_familiarity,
    save_familiarity,
)
from tests.feature_stores import load_speakers, write_speakers

WIDTHS: dict[Modality, int] = {"audio": 2, "face": 3}


def test_a_distance_is_in_standard_deviations_and_units_of_the_limit() -> None:
    """By 3 of 1.5 and 8 of 2 standard deviations: sqrt(2^2 + 4^2) = 4.47, a limit of 2."""
    known = KnownFeatures(
        mean=np.array([1.0, 2.0], np.float32),
        whitening=np.diag([1 / 1.5, 1 / 2.0]).astype(np.float32),
        limit=2.0,
    )
    pooled = np.array([[4.0, 10.0], [1.0, 2.0], [np.nan, np.nan]], np.float32)
    assert known.measure(pooled).tolist() == pytest.approx(
        [np.sqrt(20) / 2, 0.0, np.nan], nan_ok=True
    )


@pytest.mark.parametrize(
    ("number", "rate", "expected"),
    [
        (39, 0.95, 38.0),  # ceil(40 x 0.95) = 38
        (39, 0.975, 39.0),
        (12, 0.95, 12.0),  # too few for the rate: the largest
        (9, 0.95, None),
    ],
)
def test_the_limit_is_the_distance_that_a_new_clip_exceeds_once_in_twenty(
    number: int, rate: float, expected: float | None
) -> None:
    distances = pd.Series([*np.arange(number, 0, -1.0), np.nan])
    assert find_limit(distances, rate) == expected


def test_clips_that_are_all_at_the_mean_have_no_limit() -> None:
    assert find_limit(pd.Series(np.zeros(20)), 0.95) is None


def test_a_limit_that_no_head_may_have_is_none() -> None:
    assert find_limit(pd.Series(np.full(20, 4.2e9)), 0.95) is None


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., WindowDataset]:
    """Make a function that writes the windows of clips and loads them."""

    tables: dict[tuple[str, int], pd.DataFrame] = {}

    def load(
        name: str, num_clips: int, *, noise: float = 0.3, memory_bytes: int = 2**30
    ) -> WindowDataset:
        if (name, num_clips) not in tables:
            folder = tmp_path_factory.mktemp(name)
            tables[name, num_clips] = write_speakers(folder, num_clips, seed=len(name), noise=noise)
        return load_speakers(tables[name, num_clips], memory_bytes=memory_bytes)

    return load


@pytest.fixture(scope="module")
def fitted(split: Callable[..., WindowDataset]) -> Familiarity:
    return fit_familiarity(split("train", 60), split("dev", 60), "audio_visual")


def test_clips_like_those_of_training_are_familiar_and_others_are_not(
    fitted: Familiarity, split: Callable[..., WindowDataset]
) -> None:
    alike = join_modalities(measure_clips(fitted, split("held out", 60)), "audio_visual")
    other = join_modalities(measure_clips(fitted, split("loud", 60, noise=3.0)), "audio_visual")
    assert len(alike) == len(other) == 60
    assert (alike > 1).mean() <= 0.15  # of 60 clips
    assert (other > 1).mean() == 1.0


def test_a_modality_is_measured_by_itself(
    fitted: Familiarity, split: Callable[..., WindowDataset]
) -> None:
    distances = pd.DataFrame({"audio": [0.5, 2.0, np.nan], "face": [0.75, 0.25, np.nan]})
    expected: dict[ModalitySet, list[float]] = {
        "audio_visual": [0.75, 2.0], "audio": [0.5, 2.0], "face": [0.75, 0.25],
    }  # fmt: skip
    for modalities, largest in expected.items():
        found = join_modalities(distances, modalities)
        assert found.tolist() == pytest.approx([*largest, np.nan], nan_ok=True)
    only = fit_familiarity(split("train", 60), split("dev", 60), "audio")
    assert set(only) == {"audio"}
    assert only["audio"].limit <= fitted["audio"].limit  # of two, each has a higher limit


def test_features_that_are_streamed_give_the_same(
    fitted: Familiarity, split: Callable[..., WindowDataset]
) -> None:
    streamed = fit_familiarity(
        split("train", 60, memory_bytes=1), split("dev", 60, memory_bytes=1), "audio_visual"
    )
    for modality, known in fitted.items():
        assert streamed[modality].limit == pytest.approx(known.limit, rel=1e-4)


def test_training_takes_a_bounded_number_of_windows(
    split: Callable[..., WindowDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oragen.training.familiarity.MAX_WINDOWS", 30)
    train, sizes = split("train", 60), list[int]()
    choose = WindowDataset.choose

    def choose_and_count(dataset: WindowDataset, windows: np.ndarray) -> WindowDataset:
        sizes.append(len(windows))
        return choose(dataset, windows)

    monkeypatch.setattr(WindowDataset, "choose", choose_and_count)
    assert set(fit_familiarity(train, split("dev", 60), "audio_visual")) == {"audio", "face"}
    assert sizes == [30]


def test_too_few_clips_or_no_dev_clips_fit_nothing(split: Callable[..., WindowDataset]) -> None:
    train = split("train", 60)
    assert fit_familiarity(train, None, "audio_visual") == {}
    assert fit_familiarity(train, split("dev", 9), "audio_visual") == {}
    assert fit_familiarity(split("few", 4), split("dev", 60), "audio_visual") == {}


def test_a_model_that_cannot_tell_measures_nothing(split: Callable[..., WindowDataset]) -> None:
    dataset = split("dev", 3)
    assert measure_windows({}, dataset).shape == (6, 0)
    assert join_modalities(measure_clips({}, dataset), "audio_visual").isna().all()


def test_chosen_windows_keep_their_features(split: Callable[..., WindowDataset]) -> None:
    dataset = split("train", 5)
    chosen = dataset.choose(np.array([1, 8]))
    cpu = torch.device("cpu")
    [whole], [some] = dataset.batches(16, cpu), chosen.batches(16, cpu)
    assert chosen.table["clip_id"].tolist() == ["tiny/train-000", "tiny/train-004"]
    for name in ("audio", "face", "face_valid", "gender", "age_years", "mask_type"):
        assert torch.equal(getattr(some, name), getattr(whole, name)[[1, 8]])


def known(width: int) -> KnownFeatures:
    generator = np.random.default_rng(width)
    mean, whitening = generator.standard_normal(width), generator.standard_normal((width, width))
    return KnownFeatures(mean.astype(np.float32), whitening.astype(np.float32), 1.0 + width)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Any]:
    return tmp_path, save_familiarity(tmp_path, {"audio": known(2), "face": known(3)})


def test_what_is_saved_is_read_again(saved: tuple[Path, Any]) -> None:
    folder, said = saved
    read = read_familiarity(folder, json.loads(json.dumps(said)), WIDTHS)
    for modality, width in WIDTHS.items():
        assert read[modality].limit == 1.0 + width
        assert np.array_equal(read[modality].mean, known(width).mean)
        assert np.array_equal(read[modality].whitening, known(width).whitening)
    assert save_familiarity(folder, {}) is None
    assert read_familiarity(folder, None, WIDTHS) == {}


@pytest.mark.parametrize(
    ("change", "widths", "message"),
    [
        ({"sha256": "0" * 64}, WIDTHS, "familiarity.safetensors has SHA-256"),
        ({"limits": {"audio": 0.0}}, WIDTHS, "limits.audio"),
        ({"limits": {"smell": 1.0}}, WIDTHS, "limits.smell"),
        ({"limits": {"audio": 1.0}}, WIDTHS, "unknown: face"),
        ({}, {"audio": 2, "face": 4}, r"face.mean \(expected 4, found 3\)"),
        ({}, {"audio": 2}, "is of face, which has width 0"),
        ({}, {"audio": 2, "face": 65_536}, "is of face, which has width 65536"),
    ],
)
def test_a_familiarity_that_does_not_fit_is_refused(
    saved: tuple[Path, Any], change: dict[str, Any], widths: Any, message: str
) -> None:
    folder, said = saved
    with pytest.raises(UserError, match=message):
        read_familiarity(folder, said | change, widths)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.tensor([0.0, torch.inf]), "audio.mean in familiarity.safetensors holds numbers"),
        (torch.tensor([0, 1]), "audio.mean in familiarity.safetensors is int64, expected float32"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    tmp_path: Path, tensor: torch.Tensor, message: str
) -> None:
    said = save_familiarity(tmp_path, {"audio": known(2)})
    assert said is not None
    tensors = safetensors.torch.load_file(tmp_path / FAMILIARITY_FILE) | {"audio.mean": tensor}
    safetensors.torch.save_file(tensors, tmp_path / FAMILIARITY_FILE)
    with pytest.raises(UserError, match="SHA-256"):
        read_familiarity(tmp_path, said, WIDTHS)
    said["sha256"] = sha256((tmp_path / FAMILIARITY_FILE).read_bytes()).hexdigest()
    with pytest.raises(UserError, match=message):
        read_familiarity(tmp_path, said, WIDTHS)


def test_a_file_that_is_missing_is_named(saved: tuple[Path, Any]) -> None:
    folder, said = saved
    (folder / FAMILIARITY_FILE).unlink()
    with pytest.raises(UserError, match=r"familiarity\.safetensors cannot be read"):
        read_familiarity(folder, said, WIDTHS)
