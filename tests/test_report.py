"""Predictions -> what a report says, shows and gives to DVC, compared with numbers by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from oragen.reporting.page import PagePicture, PageTable
from oragen.reporting.report import (
    Figure,
    Origin,
    choose_predictions,
    describe_run,
    draw_pictures,
    lay_out,
    list_explanations,
    measure_coverage,
    summarise,
    to_metrics,
    write_json,
    write_plot_data,
)
from oragen.reporting.table_formats import Cell, Column, ReportTable, Row
from oragen.training.evaluation import score_all


def scores(
    corpus: str, modalities: str, seed: int, head: str = "joint", **known: float | None
) -> dict[str, Any]:
    """The scores of one seed; what is not given could not be scored."""
    tasks = ("gender_uar", "gender_macro_f1", "mask_type_uar", "mask_type_macro_f1")
    nothing = dict.fromkeys((*tasks, "age_mae_years", "age_ccc"))
    counts = {"clips": 40, "speakers": 10, "without_window": 3}
    about = {"corpus": corpus, "head": head, "modalities": modalities, "seed": seed}
    return about | counts | nothing | known


def two_seeds() -> list[dict[str, Any]]:
    """Mean 0.8 and 0.7; deviations of 0.1 / sqrt(2) * 2 = 0.141 and 0; ages 6 and 8 years."""
    return [
        scores("a", "audio_visual", seed, gender_uar=uar, gender_macro_f1=0.7, age_mae_years=years)
        for seed, uar, years in ((0, 0.7, 6.0), (1, 0.9, 8.0))
    ]


def test_metrics_are_plain_numbers_by_head_corpus_and_evidence() -> None:
    rows = [*two_seeds(), scores("all corpora", "audio", 0, mask_type_uar=1 / 3)]
    assert to_metrics(summarise(pd.DataFrame(rows))) == {
        "joint": {
            "a": {
                "audio_visual": {
                    "clips": 40, "speakers": 10, "without_window": 3,
                    "gender_uar": 0.8, "gender_uar_std": 0.1414,
                    "gender_macro_f1": 0.7, "gender_macro_f1_std": 0.0,
                    "age_mae_years": 7.0, "age_mae_years_std": 1.414,
                },
            },
            "all_corpora": {
                "audio": {
                    "clips": 40, "speakers": 10, "without_window": 3,
                    "mask_type_uar": 0.3333, "mask_type_uar_std": 0.0,
                },
            },
        },
    }  # fmt: skip


def test_metrics_can_be_read_back(tmp_path: Path) -> None:
    metrics = to_metrics(summarise(pd.DataFrame(two_seeds())))
    path = tmp_path / "reports" / "metrics.json"
    write_json(path, metrics)
    assert json.loads(path.read_text()) == metrics
    assert path.read_text().startswith('{\n  "joint": {\n')


def test_a_head_that_tells_no_mask_type_is_scored_beside_one_that_does(
    predictions: pd.DataFrame,
) -> None:
    told = [name for name in predictions if "mask_type_" in name or name == "predicted_mask_type"]
    plain = predictions.drop(columns=told).assign(head="plain")
    scored = score_all(pd.concat([predictions, plain], ignore_index=True))
    by_head = scored.groupby("head")["mask_type_uar"].agg(lambda scores: scores.notna().any())
    assert by_head.to_dict() == {"joint": True, "plain": False}


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Three clips of two speakers, asked with two kinds of evidence; the ages are wrong by 1 to 3.

    The third clip is not answered from the face.
    """
    clips = pd.DataFrame(
        {
            "corpus": ["a", "a", "b"], "clip_id": ["a/1", "a/2", "b/1"],
            "speaker_id": ["x", "x", "x"], "gender": ["female", "female", "male"],
            "mask_type": ["none", "ffp", "none"], "age_years": [20.0, 30.0, 40.0],
            "predicted_gender": ["female", "male", "male"],
            "predicted_mask_type": ["none", "ffp", "ffp"],
            "predicted_age_years": [21.0, 32.0, 43.0], "num_windows": [1, 1, 1],
            "gender_female": [0.9, 0.2, 0.1], "gender_male": [0.1, 0.8, 0.9],
            "mask_type_none": [0.8, 0.1, 0.4], "mask_type_ffp": [0.2, 0.9, 0.6],
        }
    )  # fmt: skip
    about = {"head": "joint", "seed": 0, "split": "test", "age_half_width_years": 2.0}
    wide = clips.assign(modalities="audio_visual", **about)
    narrow = wide.assign(modalities="face")
    narrow.loc[2, ["predicted_gender", "predicted_age_years", "predicted_mask_type"]] = None
    return pd.concat([wide, narrow], ignore_index=True)


CARD = Origin("clean", ["test"], [0, 1], {"tiny": ["a", "b"], "large": []})


def test_the_widest_evidence_is_looked_at(predictions: pd.DataFrame) -> None:
    other = predictions.assign(head="late_fusion")
    chosen = choose_predictions(pd.concat([other, predictions]), "joint")
    assert chosen[["head", "modalities"]].drop_duplicates().to_numpy().tolist() == [
        ["joint", "audio_visual"]
    ]


def test_a_run_is_described_with_its_protocol_counts_and_encoders(
    predictions: pd.DataFrame,
) -> None:
    """Both corpora have a speaker x, who are two; two of three errors are at most 2 years."""
    scored, trained, covered = describe_run(predictions, "joint", CARD)
    assert scored.startswith("Scored on test of a, b: 3 clips of 2 speakers, by the protocol")
    assert "`clean`: heads are selected on dev" in scored
    assert trained == (
        "Training seeds: 0, 1. Encoders: tiny (fine-tuned on a, b); large (as it comes)."
    )
    assert covered.startswith("Of the true ages 67% lie in the 90 % interval of joint")
    paper = describe_run(predictions, "joint", CARD._replace(protocol="paper"))[0]
    assert "train and dev are merged" in paper


def test_without_an_interval_nothing_is_said_of_coverage(predictions: pd.DataFrame) -> None:
    uncalibrated = predictions.assign(age_half_width_years=np.nan)
    assert measure_coverage(uncalibrated) is None
    assert len(describe_run(uncalibrated, "joint", CARD)) == 2


def test_the_edge_of_an_interval_is_inside(predictions: pd.DataFrame) -> None:
    assert measure_coverage(predictions.iloc[:2]) == 1.0
    assert measure_coverage(predictions.iloc[:2].assign(age_half_width_years=1.99)) == 0.5


HISTORY = pd.DataFrame(
    {
        "seed": [0, 0], "phase": [1, 1], "epoch": [1, 2], "train_loss": [2.0, 1.0],
        "dev_score": [0.5, 0.6], "gender_uar": [0.5, 0.6], "age_mae_years": [9.0, 8.0],
        "mask_type_uar": [0.5, 0.6],
    }
)  # fmt: skip


def test_every_picture_is_drawn_and_can_be_told_by_its_words(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    drawn = draw_pictures(
        tmp_path, choose_predictions(predictions, "joint"), {"joint": HISTORY}, "j"
    )
    assert {one.path.name for one in drawn} == {
        "confusion_gender.png", "confusion_mask_type.png", "ages.png", "age_errors.png",
        "reliability_gender.png", "reliability_mask_type.png", "training.png",
    }  # fmt: skip
    assert all(one.path.read_bytes().startswith(b"\x89PNG") for one in drawn)
    assert len({one.alt for one in drawn}) == len(drawn)


def test_a_head_that_was_never_selected_is_drawn_too(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    """By the published protocol there is no dev score."""
    unselected = HISTORY.assign(dev_score=np.nan, gender_uar=np.nan, age_mae_years=np.nan)
    draw_pictures(
        tmp_path, choose_predictions(predictions, "joint"), {"joint": unselected}, "joint"
    )
    assert (tmp_path / "training.png").is_file()


def test_dvc_gets_the_numbers_behind_the_pictures(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    write_plot_data(tmp_path, choose_predictions(predictions, "joint"), {"joint": HISTORY})
    confusion = pd.read_csv(tmp_path / "confusion_gender.csv")
    assert confusion.to_numpy().tolist() == [
        ["female", "female"], ["female", "male"], ["male", "male"],
    ]  # fmt: skip
    ages = pd.read_csv(tmp_path / "ages.csv")
    assert ages["true_age_years"].tolist() == [20.0, 30.0, 40.0]
    assert ages["predicted_age_years"].tolist() == [21.0, 32.0, 43.0]
    assert len(pd.read_csv(tmp_path / "training.csv")) == 2
    assert {path.stem for path in tmp_path.iterdir()} >= {
        "reliability_gender", "reliability_mask_type", "confusion_mask_type",
    }  # fmt: skip


def test_single_clips_come_in_their_order_each_before_its_attention(tmp_path: Path) -> None:
    for name in ("10-clip", "2-attention", "2-clip", "10-attention"):
        (tmp_path / f"{name}.png").touch()
    drawn = list_explanations(tmp_path, "joint")
    assert [one.path.stem for one in drawn] == ["2-clip", "2-attention", "10-clip", "10-attention"]
    assert drawn[1].alt == "Attention in its fullest window, as joint sees it"


def test_a_page_holds_all_tables_and_pictures() -> None:
    cells = [Cell("gender_uar", 0.5)]
    table = ReportTable(
        "name", "Title", "A note.", [Column("a", "A")], [Row({"method": "joint"}, cells)]
    )
    picture, example = Figure(Path("a.png"), "alt", "caption"), Figure(Path("b.png"), "clip")
    counts = replace(table, title="Counts")
    scored, pictured, single, counted = lay_out([table, counts], [picture], [example], "joint")
    assert scored.parts == [PageTable("Title", ["Method", "A"], [["joint", "50.0"]], "A note.")]
    assert pictured.parts == [PagePicture(Path("a.png"), "alt", "caption")]
    assert single.parts == [PagePicture(Path("b.png"), "clip")]
    assert [part.title for part in counted.parts if isinstance(part, PageTable)] == ["Counts"]
    without = lay_out([table, counts], [picture], [], "joint")
    assert [section.title for section in without] == ["Scores", "joint in pictures", "Counts"]
