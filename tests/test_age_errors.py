"""Errors of the age by band and in their tails, compared with scikit-learn and with hands."""

import numpy as np
import pytest
from sklearn.metrics import (
    mean_absolute_error,
    median_absolute_error,
    root_mean_squared_error,
)

from oragen.reporting.table_formats import TOO_SMALL
from oragen.reporting.tables.age_bands import (
    MACRO,
    compare_age_bands,
    compare_bias_by_decade,
    name_bands,
)
from oragen.reporting.tables.age_errors import compare_age_errors
from tests.scored_heads import people, score, values


def test_errors_are_counted_by_their_size() -> None:
    """Off by 0, 1, 2, 4, 5, 8, 11 and 20 years: at most 1 are 2 of 8, at most 10 are 6."""
    true = np.array([20.0] * 8)
    predicted = true + np.array([0, -1, 2, -4, 5, -8, 11, -20])
    table = compare_age_errors(score(people(true, predicted)))
    assert table is not None
    mae, rmse, median, tail, *shares = values(table)[0]
    assert mae == pytest.approx(mean_absolute_error(true, predicted))
    assert rmse == pytest.approx(root_mean_squared_error(true, predicted))
    assert (median, tail) == (4.0, 20.0)
    assert shares == [2 / 8, 3 / 8, 5 / 8, 6 / 8, 2 / 8]


def test_the_median_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    true = generator.uniform(10, 80, 301)  # of an odd number both definitions are one
    predicted = true + generator.normal(0, 9, 301)
    table = compare_age_errors(score(people(true, predicted)))
    assert table is not None
    assert values(table)[0][2] == pytest.approx(median_absolute_error(true, predicted))


def test_unknown_ages_and_lost_clips_are_not_counted() -> None:
    table = compare_age_errors(score(people([20.0, np.nan, -1.0, 30.0], [22.0, 20, 20, np.nan])))
    assert table is not None
    cell = table.rows[0].cells[0]
    assert (cell.value, cell.clips, cell.speakers) == (2.0, 1, 1)
    assert compare_age_errors(score(people([np.nan], [20.0]))) is None
    assert compare_age_bands(score(people([np.nan], [20.0]))) is None


def test_bands_count_alike_in_the_macro_average() -> None:
    """Off by 1 in 13-15, by 3 and 5 in 16-17: 1 and 4 years, and 2.5 in the mean."""
    table = compare_age_bands(score(people([14.0, 16.0, 17.9], [15.0, 13.0, 22.9])))
    assert table is not None
    assert [column.header for column in table.columns] == [
        "13-15 (1 clips, 1 speakers)", "16-17 (2 clips, 2 speakers)", MACRO,
    ]  # fmt: skip
    assert values(table) == [[1.0, 4.0, 2.5]]


def test_a_band_of_few_speakers_is_not_in_the_macro_average() -> None:
    people_of = people([14.0, 16.0, 17.0], [15.0, 13.0, 22.0])
    table = compare_age_bands(score(people_of, min_speakers=2))
    assert table is not None
    assert values(table) == [[None, 4.0, 4.0]]
    assert table.rows[0].cells[0].mark == TOO_SMALL
    nobody = compare_age_bands(score(people_of, min_speakers=3))
    assert nobody is not None
    assert [cell.mark for cell in nobody.rows[0].cells] == [TOO_SMALL] * 3


def test_bias_has_a_sign_and_is_by_decade() -> None:
    table = compare_bias_by_decade(score(people([9.0, 12.0, 18.0, 95.0], [19.0, 15.0, 17.0, 80.0])))
    assert table is not None
    assert [column.name for column in table.columns] == ["0-9", "10-19", "80 and over"]
    assert values(table) == [[10.0, 1.0, -15.0]]


def test_bands_are_named_by_their_first_and_last_year() -> None:
    assert name_bands((0, 13, 18)) == ["0-12", "13-17", "18 and over"]
