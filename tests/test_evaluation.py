"""Trained heads and held-out windows -> a row for every clip, seed and set of modalities."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import torch

from oragen.features.dataset import WindowDataset
from oragen.features.rows import NONE
from oragen.models.heads import Head, HeadSizes, build_head
from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.scores import HeadScores, to_details
from oragen.schema.choices.heads import HeadName
from oragen.schema.errors import UserError
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import GENDERS, MODALITY_SETS
from oragen.training.calibration import Calibration
from oragen.training.conformal import Conformal, Threshold
from oragen.training.evaluation import group_windows, predict_all, refuse_other_features
from oragen.training.inference import predict_clips, predict_windows
from oragen.training.scoring import WindowPredictions
from tests.feature_stores import load_speakers, write_speakers

SIZES = HeadSizes(
    audio_steps=4,
    audio_width=3,
    face_slots=2,
    face_layers=2,
    face_width=6,
    num_genders=2,
    num_mask_types=6,
)
KIND = {
    "head": "late_fusion", "variant": "late_fusion", "level": "intermediate", "trained_on": "x",
}  # fmt: skip
PREDICTED = ["predicted_gender", "predicted_age_years", "predicted_mask_type", "gender_female"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Twelve clips of two corpora: one has no audio, one no face, one neither."""
    folder = tmp_path_factory.mktemp("people")
    corpora = [
        write_speakers(folder / corpus, num_clips, split="test", corpus=corpus)
        for corpus, num_clips in {"x": 8, "y": 4}.items()
    ]
    table = pd.concat(corpora, ignore_index=True)
    silent = table["clip_id"] == "x/test-001"
    table.loc[silent, ["audio_store", "audio_intermediate"]] = None
    faceless = table["clip_id"] == "x/test-002"
    table.loc[faceless, "face_store"] = None
    table.loc[faceless, "face_intermediate"] = pd.Series([[None, None]] * len(table))
    lost = table["clip_id"] == "x/test-003"
    without = {"has_window": False, "start": -1, "stop": -1}
    table = pd.concat([table[~lost], table[lost].iloc[:1].assign(**without)], ignore_index=True)
    DATASET.write(folder / "dataset.parquet", table)
    return DATASET.read(folder / "dataset.parquet")


@pytest.fixture(scope="module")
def dataset(table: pd.DataFrame) -> WindowDataset:
    return load_speakers(table[table["has_window"]].reset_index(drop=True))


def make_head(seed: int, name: HeadName = "late_fusion") -> Head:
    torch.manual_seed(seed)
    return build_head(name, SIZES, width=16).eval()


@pytest.fixture(scope="module")
def predictions(dataset: WindowDataset, table: pd.DataFrame) -> pd.DataFrame:
    heads = {5: make_head(5), 7: make_head(7)}
    return predict_all(heads, dataset, table, genders=GENDERS)


def test_every_clip_has_a_row_for_each_seed_and_set_of_modalities(
    predictions: pd.DataFrame,
) -> None:
    assert len(predictions) == 12 * 2 * 3
    rows = predictions.groupby(["seed", "modalities"])["clip_id"].agg(lambda clips: clips.nunique())
    assert rows.tolist() == [12] * 6
    assert set(predictions["seed"]) == {5, 7}
    assert set(predictions["modalities"]) == set(MODALITY_SETS)


def test_a_clip_is_predicted_from_what_it_has(predictions: pd.DataFrame) -> None:
    num_windows = predictions[predictions["seed"] == 5].pivot_table(
        index="clip_id", columns="modalities", values="num_windows"
    )
    assert num_windows.loc["x/test-000"].to_dict() == {"audio": 2, "audio_visual": 2, "face": 2}
    assert num_windows.loc["x/test-001"].to_dict() == {"audio": 0, "audio_visual": 2, "face": 2}
    assert num_windows.loc["x/test-002"].to_dict() == {"audio": 2, "audio_visual": 2, "face": 0}
    assert num_windows.loc["x/test-003"].to_dict() == {"audio": 0, "audio_visual": 0, "face": 0}


def test_a_row_says_what_the_clip_itself_is_predicted_from(predictions: pd.DataFrame) -> None:
    used = predictions[predictions["seed"] == 5].pivot(
        index="clip_id", columns="modalities", values="modalities_used"
    )
    assert used.loc["x/test-000"].tolist() == ["audio", "audio_visual", "face"]
    assert used.loc["x/test-001"].fillna("").tolist() == ["", "face", "face"]
    assert used.loc["x/test-002"].fillna("").tolist() == ["audio", "audio", ""]
    assert used.loc["x/test-003"].isna().all()


def test_a_prediction_is_missing_where_there_is_no_window_and_nowhere_else(
    predictions: pd.DataFrame,
) -> None:
    for column in PREDICTED:
        assert (predictions[column].isna() == (predictions["num_windows"] == 0)).all()


def test_a_clip_with_output_that_is_not_finite_has_a_row_and_no_prediction(
    dataset: WindowDataset, table: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    head = make_head(0, "audio_only")
    with torch.no_grad():
        head.get_parameter("decisions.gender.bias").fill_(torch.inf)
    rows = predict_all({0: head}, dataset, table, genders=GENDERS)
    assert len(rows) == 12
    assert (rows["num_windows"] == 0).all()
    assert rows["predicted_gender"].isna().all()
    assert "10 clips have no prediction, as the model's output for them is not" in caplog.text


def test_of_the_clips_of_a_dataset_only_those_without_numbers_are_left_out(
    dataset: WindowDataset,
) -> None:
    assert dataset.in_memory is not None
    damaged = {name: part.copy() for name, part in dataset.in_memory.items()}
    first = next(name for name in damaged if name.modality == "audio")
    damaged[first][0] = np.nan  # one position of one window
    head = make_head(0, "audio_only")
    whole = predict_windows(head, dataset, modalities="audio")
    found = predict_windows(head, replace(dataset, in_memory=damaged), modalities="audio")
    assert len(found.not_finite) == 1
    lost = dataset.table["clip_id"].iloc[whole.windows].isin(found.not_finite).to_numpy()
    assert found.windows.tolist() == whole.windows[~lost].tolist()
    assert np.array_equal(found.predictions.gender, whole.predictions.gender[~lost])


@pytest.mark.parametrize("name", ["late_fusion", "concatenation", "joint", "cross_attention"])
@pytest.mark.parametrize("kept", ["audio", "face"])
def test_a_withheld_modality_has_no_influence(
    dataset: WindowDataset, name: HeadName, kept: Literal["audio", "face"]
) -> None:
    """Other features of the one modality change nothing but what is predicted with it."""
    head = make_head(0, name)
    values = dataset.in_memory
    assert values is not None
    withheld = {"face": "audio", "audio": "face"}[kept]
    changed = {
        name: part * -3 + 1 if name.modality == withheld else part for name, part in values.items()
    }
    other = replace(dataset, in_memory=changed)
    without = [
        predict_clips(head, data, genders=GENDERS, modalities=kept) for data in (dataset, other)
    ]
    pd.testing.assert_frame_equal(*without)
    with_both = [predict_clips(head, data, genders=GENDERS) for data in (dataset, other)]
    assert (with_both[0]["gender_female"] - with_both[1]["gender_female"]).abs().max() > 1e-4


def test_an_unfamiliar_clip_has_no_interval(dataset: WindowDataset, table: pd.DataFrame) -> None:
    """Clip 0 sounds unlike those of training, and looks like them; clip 1 has no known distance."""
    distances = pd.DataFrame(
        {"audio": [1.5, np.nan, 0.5], "face": [0.25, np.nan, 1.0]},
        pd.Index(["x/test-000", "x/test-001", "x/test-002"]),
    )
    calibrations = {0: Calibration(age_half_width_years=9.0)}
    conformal = Conformal(0.8, {"all": {"age": Threshold(7.0, 50), "gender": Threshold(1.0, 50)}})
    rows = predict_all(
        {0: make_head(0)}, dataset, table, genders=GENDERS, calibrations=calibrations,
        conformals={0: conformal}, distances=distances,
    ).set_index(["modalities", "clip_id"])  # fmt: skip
    for modalities, expected in (
        ("audio_visual", [1.5, np.nan, 1.0]),
        ("audio", [1.5, np.nan, 0.5]),
        ("face", [0.25, np.nan, 1.0]),
    ):
        of_set = rows.loc[modalities].loc[distances.index]
        assert of_set["unfamiliarity"].tolist() == pytest.approx(expected, nan_ok=True)
        widths = [np.nan if distance > 1 else 9.0 for distance in expected]
        assert of_set["age_half_width_years"].tolist() == pytest.approx(widths, nan_ok=True)
        has_interval = of_set["modalities_used"].notna() & ~(of_set["unfamiliarity"] > 1)
        conditional = of_set["age_conditional_half_width_years"]
        assert conditional.tolist() == pytest.approx(
            [7.0 if has else np.nan for has in has_interval], nan_ok=True
        )
        assert of_set["set_of_gender"].notna().tolist() == has_interval.tolist()
    unknown = predict_all({0: make_head(0)}, dataset, table, genders=GENDERS)
    assert unknown["unfamiliarity"].isna().all()


def test_seeds_are_told_apart(predictions: pd.DataFrame) -> None:
    ages = predictions.pivot_table(
        index=["clip_id", "modalities"], columns="seed", values="predicted_age_years"
    )
    assert (ages[5] != ages[7]).all()


def test_a_corpus_without_audio_is_still_predicted(
    dataset: WindowDataset, table: pd.DataFrame
) -> None:
    silent = np.full_like(dataset.audio.row_of, NONE)
    without = replace(dataset, audio=replace(dataset.audio, row_of=silent))
    predictions = predict_all({0: make_head(0)}, without, table, genders=GENDERS)
    by_modalities = predictions.set_index("modalities")["predicted_gender"]
    assert by_modalities["audio"].isna().all()
    assert by_modalities["face"].notna().any()
    scores = HeadScores(predictions.assign(**KIND), SpeakerDraws(np.random.default_rng(0), 10))
    for corpus, details in to_details(scores)["late_fusion"].items():
        assert details["audio"]["without_window"] == details["audio"]["clips"], corpus
        assert "gender_uar" not in details["audio"]
        assert "gender_uar" in details["face"]


def test_predictions_can_be_kept_as_a_table(predictions: pd.DataFrame, tmp_path: Path) -> None:
    predictions.to_parquet(tmp_path / "predictions.parquet", index=False)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "predictions.parquet"), predictions)


def test_features_of_another_encoder_are_refused() -> None:
    spec = {
        "encoder": "tiny", "fingerprint": "a", "level": "intermediate", "precision": "fp32",
        "shape": [199, 96],
    }  # fmt: skip
    other = spec | {"encoder": "large", "fingerprint": "b"}
    refuse_other_features(Path("head"), {"audio": spec}, {"audio": dict(spec)})
    with pytest.raises(UserError, match=r"trained on audio features of tiny .* of large"):
        refuse_other_features(Path("head"), {"audio": spec}, {"audio": other})


@pytest.mark.parametrize(("name", "modalities"), [("audio_only", "audio"), ("face_only", "face")])
def test_a_head_of_one_modality_predicts_from_that_one_alone(
    dataset: WindowDataset, table: pd.DataFrame, name: HeadName, modalities: str
) -> None:
    predictions = predict_all({1: make_head(1, name)}, dataset, table, genders=GENDERS)
    assert set(predictions["modalities"]) == {modalities}
    assert len(predictions) == table["clip_id"].nunique()


def test_predictions_say_how_far_the_windows_of_a_clip_are_apart() -> None:
    """Ages of 20 and 26: a deviation of 3 times the root of 2. One window has none."""
    windows = WindowPredictions(
        gender=np.array([[0.9, 0.1], [0.7, 0.3], [0.5, 0.5]], np.float32),
        age_years=np.array([20.0, 26.0, 40.0], np.float32),
        mask_type=None,
    )
    grouped = group_windows(pd.Series(["a", "a", "b"]), windows, genders=GENDERS)
    assert grouped["predicted_age_years"].tolist() == [23.0, 40.0]
    assert grouped.loc["a", "window_std_age_years"] == pytest.approx(3 * 2**0.5)
    assert grouped.loc["a", "window_std_female"] == pytest.approx(0.1 * 2**0.5)
    assert grouped.loc["b", ["window_std_age_years", "window_std_female"]].isna().all()
    voted = group_windows(pd.Series(["a", "a", "b"]), windows, genders=GENDERS, protocol="paper")
    assert voted.loc["a", "gender_female"] == 1.0
