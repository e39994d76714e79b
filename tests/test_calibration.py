"""Temperatures and conformal intervals, by hand and by simulation."""

import numpy as np
import pandas as pd
import pytest

from oragen.schema.vocabulary import GENDERS
from oragen.training.calibration import (
    Calibration,
    apply_temperature,
    conformal_half_width,
    fit_calibration,
    fit_temperature,
    read_calibration,
)
from oragen.training.scoring import WindowPredictions

TWO_CLASSES = ("a", "b")


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1.0, [0.8, 0.2]),
        (2.0, [2 / 3, 1 / 3]),  # square roots: 4 to 1 becomes 2 to 1
        (0.5, [16 / 17, 1 / 17]),  # squares: 16 to 1
    ],
)
def test_a_temperature_divides_the_logits(temperature: float, expected: list[float]) -> None:
    calibrated = apply_temperature(np.array([[0.8, 0.2]]), temperature)
    np.testing.assert_allclose(calibrated, [expected])


def test_a_probability_of_1_can_be_calibrated() -> None:
    assert np.isfinite(apply_temperature(np.array([[1.0, 0.0]]), 3.0)).all()


def test_too_certain_predictions_get_the_frequency_at_which_they_are_right() -> None:
    """Of 200 predictions of 99 %, three quarters are right: they should be 75 %."""
    clips = pd.Series([f"clip-{number}" for number in range(200)])
    probabilities = np.tile([[0.99, 0.01]], (200, 1))
    labels = pd.Series(["a"] * 150 + ["b"] * 50, index=clips)
    temperature = fit_temperature(clips, probabilities, labels, TWO_CLASSES)
    assert apply_temperature(probabilities, temperature)[0, 0] == pytest.approx(0.75, abs=1e-3)


def test_too_few_labelled_clips_teach_no_temperature() -> None:
    clips = pd.Series([f"clip-{number}" for number in range(9)])
    labels = pd.Series(["a"] * 5 + ["b"] * 4, index=clips)
    assert fit_temperature(clips, np.tile([[0.9, 0.1]], (9, 1)), labels, TWO_CLASSES) == 1.0


@pytest.mark.parametrize(
    ("num_errors", "expected"),
    [
        (8, None),  # ceil(9 x 0.9) = 9 of 8
        (9, 9.0),  # ceil(10 x 0.9) = 9: the largest
        (19, 18.0),  # ceil(20 x 0.9) = 18: the second largest
    ],
)
def test_the_half_width_is_the_error_of_the_right_rank(
    num_errors: int, expected: float | None
) -> None:
    errors = np.random.default_rng(0).permutation(np.arange(1.0, num_errors + 1))
    assert conformal_half_width(errors, 0.9) == expected


def test_intervals_cover_nine_of_ten_new_ages() -> None:
    """Whatever the errors are like: here they are far from normal."""
    generator = np.random.default_rng(0)
    covered = []
    for errors in generator.exponential(5, (300, 39)):
        half_width = conformal_half_width(errors, 0.9)
        assert half_width is not None
        covered.append(np.mean(generator.exponential(5, 100) <= half_width))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)


def test_what_dev_teaches_is_applied_and_survives_json() -> None:
    """Two windows a clip; 12 women predicted with doubt, ages that are wrong by their rank."""
    clips = pd.Series([f"clip-{number // 2}" for number in range(24)])
    gender = np.tile([[0.6, 0.4]], (24, 1)).astype(np.float32)
    ages = np.repeat(30.0 + np.arange(1, 13), 2).astype(np.float32)
    labels = pd.DataFrame(
        {"gender": "female", "age_years": 30.0, "mask_type": None},
        index=pd.Index([f"clip-{number}" for number in range(12)]),
    )
    predictions = WindowPredictions(gender, ages, None)
    calibration = fit_calibration(clips, predictions, labels, genders=GENDERS)
    assert calibration.age_half_width_years == 12.0  # ceil(13 x 0.9) = 12
    assert calibration.gender_temperature < 0.1  # always right, so it may be certain
    assert calibration.mask_type_temperature == 1.0
    assert calibration.apply(predictions).gender[0, 0] > 0.95
    assert read_calibration(calibration.as_json()) == calibration
    assert Calibration().apply(predictions).gender is gender
