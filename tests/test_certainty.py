"""Probabilities and labels -> Brier score, NLL, ECE and AURC, by hand and by scikit-learn."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.certainty import (
    MAX_LEVELS,
    estimate_certainty,
    judge_probabilities,
    rank_confidence,
)
from oragen.reporting.estimates import to_cell
from oragen.reporting.table_formats import TOO_SMALL, Cell, TableMeasure
from oragen.reporting.tables.calibration import compare_calibration
from tests.scored_heads import by_name, clips, predict, resample, score, values


def women(*shares: float, truly: str = "", seed: int = 0) -> pd.DataFrame:
    """A clip of a speaker of their own for each probability of `female`; f or m is the truth."""
    names = {"f": "female", "m": "male"}
    rows = pd.DataFrame({"gender_female": shares, "gender_male": 1 - np.array(shares)})
    rows["gender"] = [names[letter] for letter in truly or "f" * len(shares)]
    rows["predicted_gender"] = np.where(rows["gender_female"] >= 0.5, "female", "male")
    numbers = [str(number) for number in rows.index]
    return rows.assign(
        corpus="x", clip_id=numbers, speaker_id=numbers, seed=seed, predicted_age_years=30.0
    )


def find_all(table: pd.DataFrame, num_resamples: int = 300) -> dict[TableMeasure, Cell]:
    rows = resample({"ours": table}, num_resamples)["ours"]
    return {
        measure: to_cell(measure, estimate, min_speakers=1)
        for measure, estimate in estimate_certainty(rows, "gender").items()
    }


def find(rows: pd.DataFrame, measure: TableMeasure) -> Cell:
    return find_all(rows)[measure]


def test_brier_and_nll_worked_out_by_hand() -> None:
    """0.9 for the truth is off by 0.1 twice; 0.2 by 0.8 twice."""
    rows = women(0.9, 0.2)
    assert find(rows, "brier").value == pytest.approx((2 * 0.1**2 + 2 * 0.8**2) / 2)
    assert find(rows, "nll").value == pytest.approx(-(np.log(0.9) + np.log(0.2)) / 2)


def test_a_probability_of_zero_for_the_truth_is_a_finite_loss() -> None:
    assert find(women(0.0), "nll").value == pytest.approx(-np.log(1e-12))


def test_scikit_learn_agrees() -> None:
    """Its Brier score of two classes counts one of them, so it is half of ours."""
    generator = np.random.default_rng(1)
    rows = women(*generator.random(200), truly="".join(generator.choice(["f", "m"], 200)))
    true = (rows["gender"] == "female").to_numpy(int)
    assert find(rows, "nll").value == pytest.approx(log_loss(true, rows["gender_female"]))
    half = brier_score_loss(true, rows["gender_female"])
    assert find(rows, "brier").value == pytest.approx(2 * half)


def test_the_calibration_error_worked_out_by_hand() -> None:
    """Of two near 0.85 one is right: a gap of 0.35. The one at 0.65 is right: a gap of 0.35."""
    rows = women(0.84, 0.86, 0.65, truly="fmf")
    assert find(rows, "ece").value == pytest.approx((2 * 0.35 + 0.35) / 3)


def test_the_area_under_risk_and_coverage_worked_out_by_hand() -> None:
    """The surest first: right, wrong, right, wrong. Risks of 0, 1/2, 1/3, 2/4."""
    rows = women(0.95, 0.9, 0.8, 0.6, truly="fmfm")
    assert find(rows, "aurc").value == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    other = find(women(0.95, 0.9, 0.8, 0.6, truly="ffmm"), "aurc")
    assert other.value == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)


def test_clips_of_equal_confidence_are_answered_together() -> None:
    """The first is right. Then a wrong and a right one, whatever their order: 0, 1/3, 1/3."""
    for truly in ("fmf", "ffm"):
        assert find(women(0.9, 0.7, 0.7, truly=truly), "aurc").value == pytest.approx(2 / 9)


def test_many_confidences_share_levels_in_resamples_alone() -> None:
    generator = np.random.default_rng(3)
    shares = generator.uniform(0.5, 1, 5000)
    wrong = generator.random(5000) > shares
    rows = women(*shares, truly="".join(np.where(wrong, "m", "f")))
    levels = rank_confidence(shares, np.zeros(5000, int), MAX_LEVELS)
    assert len(np.unique(levels)) == MAX_LEVELS
    assert np.bincount(levels).max() <= 101
    in_order = wrong[np.argsort(-shares)]
    exact = (in_order.cumsum() / np.arange(1, 5001)).mean()
    found = find(rows, "aurc")
    assert found.value == pytest.approx(exact)
    assert found.low is not None
    assert found.high is not None
    assert found.high - exact == pytest.approx(exact - found.low, rel=0.3)


def test_the_intervals_are_those_of_resampled_speakers() -> None:
    """The bootstrap written as a loop, of speakers who have three clips each."""
    generator = np.random.default_rng(4)
    rows = women(*generator.random(36).round(3), truly="".join(generator.choice(["f", "m"], 36)))
    rows["speaker_id"] = [f"{number // 3:02}" for number in range(36)]
    draws = SpeakerDraws(np.random.default_rng(0), 40)
    found = find_all(rows, 40)
    groups = [group for _, group in rows.groupby("speaker_id")]
    resampled = []
    for weights in draws.among(12):
        drawn = pd.concat([groups[n] for n, weight in enumerate(weights) for _ in range(weight)])
        drawn = drawn.assign(clip_id=range(len(drawn)), speaker_id="one")
        resampled.append(find_all(drawn, 1))
    for measure, of_all in found.items():
        drawn_values = [float(cells[measure].value or 0.0) for cells in resampled]
        low, high = np.quantile(drawn_values, [0.025, 0.975])
        assert (of_all.low, of_all.high) == pytest.approx((low, high), rel=1e-5)


def test_seeds_are_scored_each_and_averaged() -> None:
    both = pd.concat([women(0.9), women(0.2, seed=1)], ignore_index=True)
    found = find(both, "ece")
    assert found.value == pytest.approx((0.1 + 0.8) / 2)
    assert found.std_over_seeds == pytest.approx(0.7 / 2**0.5)
    assert (found.clips, found.speakers) == (1, 1)


def test_clips_without_a_label_or_a_prediction_are_not_judged() -> None:
    rows = women(0.9, 0.8, 0.7, 0.6)
    rows.loc[1, "gender"] = None
    rows.loc[2, "predicted_age_years"] = np.nan
    rows.loc[3, "gender"] = "child"
    assert judge_probabilities(rows, "gender").index.tolist() == [0]
    assert estimate_certainty(resample({"ours": rows})["ours"], "mask_type") == {}


def test_heads_are_compared_by_their_probabilities() -> None:
    """All of the first head are right by 0.5; the second is sure, and wrong of one of four."""
    sure: dict[str, Any] = {"gender_female": [1.0, 1.0, 0.0, 1.0], "gender_male": [0.0, 0, 1, 0]}
    wrong = clips().assign(**sure)
    wrong.loc[3, "predicted_gender"] = "female"
    tables = by_name(compare_calibration(score(predict(), predict(wrong, "sure"))))
    assert list(tables) == ["calibration_gender", "calibration_mask_type"]
    half, right = values(tables["calibration_gender"])
    assert half == pytest.approx([0.5, np.log(2), 0.5, 0.0])
    assert right == pytest.approx([0.5, -np.log(1e-12) / 4, 0.25, 0.25])
    cell = tables["calibration_gender"].rows[0].cells[2]
    assert (cell.clips, cell.clips_in_all, cell.speakers) == (4, 4, 2)
    (small, _) = compare_calibration(score(predict(), min_speakers=3))
    assert {cell.mark for cell in small.rows[0].cells} == {TOO_SMALL}


def test_a_task_that_nobody_labelled_has_no_calibration() -> None:
    tables = compare_calibration(score(predict(clips().assign(mask_type=None))))
    assert [table.name for table in tables] == ["calibration_gender"]
