"""Age thresholds: who passes and who is referred onward, counted by hand and by fairlearn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import false_negative_rate, false_positive_rate
from matplotlib.figure import Figure

from oragen.reporting.age_decisions import find_sides
from oragen.reporting.challenge_rates import measure_challenges
from oragen.reporting.figures.challenge_ages import draw_challenges
from oragen.reporting.table_formats import TOO_SMALL
from oragen.reporting.tables.challenge_ages import BUFFERS_YEARS, compare_challenge_ages
from oragen.reporting.tables.thresholds import compare_threshold_groups, compare_thresholds
from tests.figure_inputs import keep_figures, words_of
from tests.scored_heads import labels, people, score, values

TRUE = [15.0, 16.0, 17.0, 17.0, 18.0, 20.0, 30.0, 40.0]
PREDICTED = [14.0, 19.0, 18.0, 16.0, 17.0, 22.0, 28.0, 50.0]


def eight(**columns: Any) -> pd.DataFrame:
    """Four under 18, of whom two pass by the point; four of age, of whom one does not."""
    return people(TRUE, PREDICTED, **({"age_half_width_years": 3.0} | columns))


def test_decisions_are_counted_by_the_point_and_by_the_lower_end() -> None:
    """Intervals of 3 years to both sides: only 22, 28 and 50 pass; 14 is refused, four not sure."""
    table = compare_thresholds(score(eight()), [18])
    assert table is not None
    assert values(table) == [[0.5, 0.25, 0.0, 0.25, 0.5]]
    (row,) = table.rows
    assert row.labels == {
        "threshold": 18, "method": "ours", "under": "4 clips, 4 speakers",
        "of_age": "4 clips, 4 speakers",
    }  # fmt: skip
    assert [cell.clips for cell in row.cells] == [4, 4, 4, 4, 8]


def test_rates_are_those_of_fairlearn() -> None:
    generator = np.random.default_rng(0)
    true = generator.uniform(10, 40, 200)
    predicted = true + generator.normal(0, 6, 200)
    table = compare_thresholds(score(people(true, predicted)), [13, 18, 25])
    assert table is not None
    for row, years in zip(values(table), (13, 18, 25), strict=True):
        is_of_age, passes = true >= years, predicted >= years
        assert row[0] == pytest.approx(false_positive_rate(is_of_age, passes))
        assert row[1] == pytest.approx(false_negative_rate(is_of_age, passes))


def test_a_clip_without_an_interval_is_referred_onward() -> None:
    half_widths = [3.0] * 6 + [np.nan, 3.0]
    table = compare_thresholds(score(eight(age_half_width_years=half_widths)), [18])
    assert table is not None
    assert values(table) == [[0.5, 0.25, 0.0, 0.5, 5 / 8]]


def test_the_interval_is_that_of_the_condition_as_a_prediction_has_it() -> None:
    """Of 1 year to both sides: 19 passes, too; 18 and 17 are not sure. 50 has its 3 years."""
    narrow = eight(age_conditional_half_width_years=[1.0] * 7 + [np.nan])
    table = compare_thresholds(score(narrow), [18])
    assert table is not None
    assert values(table) == [[0.5, 0.25, 0.25, 0.25, 2 / 8]]


def test_a_head_without_intervals_is_judged_by_the_point_alone() -> None:
    table = compare_thresholds(score(eight(age_half_width_years=np.nan)), [18])
    assert table is not None
    assert values(table) == [[0.5, 0.25, None, None, None]]


def test_a_clip_without_a_prediction_is_in_no_rate() -> None:
    table = compare_thresholds(score(eight(predicted_age_years=[np.nan, *PREDICTED[1:]])), [18])
    assert table is not None
    cell = table.rows[0].cells[0]
    assert (cell.value, cell.clips, cell.clips_in_all) == (2 / 3, 3, 4)


@pytest.mark.parametrize(
    ("years", "low", "high", "side"),
    [
        (17.9, np.nan, np.nan, "under"), (18.0, np.nan, np.nan, "of age"),
        (16.5, 16, 17, "under"), (17.5, 17, 18, None), (18.5, 18, 19, "of age"),
        (np.nan, np.nan, np.nan, None), (-1.0, np.nan, np.nan, None),
    ],
)  # fmt: skip
def test_a_band_of_ages_counts_where_it_is_on_one_side(
    years: float, low: float, high: float, side: str | None
) -> None:
    table = pd.DataFrame({"age_years": [years], "age_low": [low], "age_high": [high]})
    under, of_age = find_sides(table.astype(float), 18)
    assert (under[0], of_age[0]) == (side == "under", side == "of age")


def test_a_threshold_without_people_on_both_sides_is_left_out() -> None:
    table = compare_thresholds(score(eight()), [60, 18, 13])
    assert table is not None
    assert labels(table, "threshold") == [18]
    assert compare_thresholds(score(people([30.0], [30.0])), [18]) is None


def test_groups_are_modalities_genders_and_mask_types() -> None:
    """One of each pair is a man, who alone pass under age; the face alone takes all for 50."""
    changes = {"gender": ["female", "male"] * 4, "mask_type": ["none"] * 6 + ["ffp"] * 2}
    faces = eight(**changes, predicted_age_years=50.0, modalities="face")
    table = compare_threshold_groups(score(eight(**changes), faces), "ours", [18])
    assert table is not None
    found = {row.labels["group"]: (row.cells[0].value, row.cells[1].value) for row in table.rows}
    assert found == {
        "audio-visual": (0.5, 0.25), "female": (0.5, 0.5), "male": (0.5, 0.0),
        "none": (0.5, 0.5), "ffp": (None, 0.0), "face only": (1.0, 0.0),
    }  # fmt: skip


def test_rates_of_few_speakers_are_not_shown() -> None:
    table = compare_thresholds(score(eight(), min_speakers=5), [18])
    assert table is not None
    assert [cell.mark for cell in table.rows[0].cells] == [TOO_SMALL] * 4 + [""]


def test_a_buffer_lets_fewer_pass() -> None:
    """From 20 nobody under age passes, from 25 two of four of age do, from 28 the same two."""
    (rates,) = measure_challenges(score(eight()), "ours", [18], (0, 2, 7, 10))
    assert [found.value for found in rates.false_positives] == [0.5, 0.0, 0.0, 0.0]
    assert [found.value for found in rates.false_negatives] == [0.25, 0.25, 0.5, 0.5]
    table = compare_challenge_ages(score(eight()), "ours", [18, 60])
    assert table is not None
    assert labels(table, "rate") == ["FPR under age %", "FNR over age %"]
    assert len(table.rows[0].cells) == len(BUFFERS_YEARS)


def test_both_rates_are_drawn_for_each_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: Any = keep_figures(monkeypatch)
    figures: list[Figure] = next(kept)
    (drawn,) = draw_challenges(tmp_path, score(eight(), min_speakers=3), "ours", [16, 18, 60])
    words = words_of(figures[0])
    assert "Threshold 18" in words
    assert "Threshold 60" not in words
    assert "under age, pass (4 speakers)" in words
    assert "under age, pass: too small (1 speaker)" in words
    assert drawn.path.read_bytes().startswith(b"\x89PNG")
    assert draw_challenges(tmp_path, score(eight()), "ours", [60]) == []
