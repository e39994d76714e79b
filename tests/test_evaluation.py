"""Trained heads and held-out windows -> a row for every clip, and scores by corpus."""

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
from oragen.schema.choices.heads import HeadName
from oragen.schema.errors import UserError
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import GENDERS, MODALITY_SETS, OVERALL
from oragen.training.evaluation import predict_all, refuse_other_features, score_all
from oragen.training.inference import predict_clips
from tests.feature_stores import load_people, write_people

SIZES = HeadSizes(
    audio_steps=4,
    audio_width=3,
    face_slots=2,
    face_layers=2,
    face_width=6,
    num_genders=2,
    num_mask_types=6,
)
PREDICTED = ["predicted_gender", "predicted_age_years", "predicted_mask_type", "gender_female"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Twelve clips of two corpora, of which one is never heard, one never seen, one neither."""
    folder = tmp_path_factory.mktemp("people")
    corpora = [
        write_people(folder / corpus, num_clips, split="test", corpus=corpus)
        for corpus, num_clips in {"x": 8, "y": 4}.items()
    ]
    table = pd.concat(corpora, ignore_index=True)
    unheard = table["clip_id"] == "x/test-001"
    table.loc[unheard, ["audio_store", "audio_intermediate"]] = None
    unseen = table["clip_id"] == "x/test-002"
    table.loc[unseen, "face_store"] = None
    table.loc[unseen, "face_intermediate"] = pd.Series([[None, None]] * len(table))
    lost = table["clip_id"] == "x/test-003"
    without = {"has_window": False, "start": -1, "stop": -1}
    table = pd.concat([table[~lost], table[lost].iloc[:1].assign(**without)], ignore_index=True)
    DATASET.write(folder / "dataset.parquet", table)
    return DATASET.read(folder / "dataset.parquet")


@pytest.fixture(scope="module")
def dataset(table: pd.DataFrame) -> WindowDataset:
    return load_people(table[table["has_window"]].reset_index(drop=True))


def make_head(seed: int, name: HeadName = "late_fusion") -> Head:
    torch.manual_seed(seed)
    return build_head(name, SIZES, width=16).eval()


@pytest.fixture(scope="module")
def predictions(dataset: WindowDataset, table: pd.DataFrame) -> pd.DataFrame:
    heads = {5: make_head(5), 7: make_head(7)}
    return predict_all(heads, dataset, table, genders=GENDERS).assign(head="late_fusion")


def test_every_clip_has_a_row_for_each_seed_and_evidence(predictions: pd.DataFrame) -> None:
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


def test_a_prediction_is_missing_where_there_is_no_window_and_nowhere_else(
    predictions: pd.DataFrame,
) -> None:
    for column in PREDICTED:
        assert (predictions[column].isna() == (predictions["num_windows"] == 0)).all()


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


def test_seeds_are_told_apart(predictions: pd.DataFrame) -> None:
    ages = predictions.pivot_table(
        index=["clip_id", "modalities"], columns="seed", values="predicted_age_years"
    )
    assert (ages[5] != ages[7]).all()


def test_scores_are_by_corpus_evidence_and_seed_and_over_all(predictions: pd.DataFrame) -> None:
    scores = score_all(predictions)
    assert len(scores) == 3 * 3 * 2
    assert scores["corpus"].unique().tolist() == ["x", "y", OVERALL]
    clips = scores.groupby("corpus")["clips"].unique()
    assert {corpus: list(number) for corpus, number in clips.items()} == {
        "x": [8], "y": [4], OVERALL: [12],
    }  # fmt: skip
    heard = scores[(scores["corpus"] == "x") & (scores["modalities"] == "audio")]
    assert heard["without_window"].tolist() == [2, 2]


def test_one_corpus_needs_no_overall_score(predictions: pd.DataFrame) -> None:
    scores = score_all(predictions[predictions["corpus"] == "y"])
    assert scores["corpus"].unique().tolist() == ["y"]


def test_scores_are_those_of_the_predictions(predictions: pd.DataFrame) -> None:
    """The mean absolute error of one corpus, evidence and seed, from its rows."""
    chosen = predictions.query("corpus == 'y' and evidence == 'audio' and seed == 7")
    errors = (chosen["age_years"] - chosen["predicted_age_years"]).abs()
    scores = score_all(predictions).query("corpus == 'y' and evidence == 'audio' and seed == 7")
    assert scores["age_mae_years"].item() == pytest.approx(errors.mean())


def test_a_corpus_that_is_never_heard_is_still_scored(
    dataset: WindowDataset, table: pd.DataFrame
) -> None:
    silent = np.full_like(dataset.audio.row_of, NONE)
    unheard = replace(dataset, audio=replace(dataset.audio, row_of=silent))
    scores = score_all(
        predict_all({0: make_head(0)}, unheard, table, genders=GENDERS).assign(head="late_fusion")
    )
    heard = scores[scores["modalities"] == "audio"]
    assert heard["without_window"].tolist() == heard["clips"].tolist()
    assert heard["gender_uar"].isna().all()
    assert scores.loc[scores["modalities"] == "face", "gender_uar"].notna().all()


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
def test_a_head_of_one_modality_is_asked_with_that_one_alone(
    dataset: WindowDataset, table: pd.DataFrame, name: HeadName, modalities: str
) -> None:
    answers = predict_all({1: make_head(1, name)}, dataset, table, genders=GENDERS)
    assert set(answers["modalities"]) == {modalities}
    assert len(answers) == table["clip_id"].nunique()
