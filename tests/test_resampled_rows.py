"""Means and quantiles over resampled speakers, compared with rows that are really repeated."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from jaxtyping import Float

from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.estimates import Estimate, average_parts, find_interval, to_cell
from oragen.reporting.resampled_rows import MIN_RANKS, ResampledRows
from oragen.reporting.table_formats import TOO_SMALL, Cell

RESAMPLES = 30


def make_rows(num_speakers: int, clips_each: int, num_seeds: int = 1) -> ResampledRows:
    """Clips of speakers in turn, each with every seed."""
    num_clips = num_speakers * clips_each
    clips = np.tile(np.arange(num_clips), num_seeds)
    table = pd.DataFrame({"seed": np.repeat(np.arange(num_seeds), num_clips)})
    weights = SpeakerDraws(np.random.default_rng(0), RESAMPLES).among(num_speakers)
    return ResampledRows(table, clips, clips % num_speakers, weights.astype(np.float32))


def repeat_rows(num_speakers: int, num_clips: int, resample: int) -> np.ndarray[Any, Any]:
    """The clips of a resample, each as often as its speaker was drawn."""
    weights = SpeakerDraws(np.random.default_rng(0), RESAMPLES).among(num_speakers)
    return np.repeat(np.arange(num_clips), weights[resample][np.arange(num_clips) % num_speakers])


def test_means_are_those_of_rows_that_are_repeated_as_speakers_are_drawn() -> None:
    """Two values share no clip that is known; a group has half of the speakers."""
    rows = make_rows(7, 9, num_seeds=2)
    values = np.random.default_rng(1).normal(30, 9, 126)
    values[[3, 66]] = np.nan
    group = np.tile(np.arange(63) % 7 < 4, 2)
    found = rows.average({"a": values, "b": np.where(values > 30, 1.0, np.nan)}, group)
    assert (found["a"].clips, found["a"].speakers) == (35, 4)
    for seed in range(2):
        of_seed = np.where(group, values, np.nan)[63 * seed : 63 * seed + 63]
        assert found["a"].of_seeds[seed] == pytest.approx(np.nanmean(of_seed))
        for resample in range(RESAMPLES):
            repeated = of_seed[repeat_rows(7, 63, resample)]
            assert found["a"].resampled[resample, seed] == pytest.approx(np.nanmean(repeated))
    assert found["b"].value == 1.0


@pytest.mark.parametrize("clips_each", [4, MIN_RANKS])
def test_quantiles_are_those_of_rows_that_are_repeated_as_speakers_are_drawn(
    clips_each: int,
) -> None:
    """The speakers differ so much that the ranks around the quantile of all do not reach."""
    rows, num_clips = make_rows(5, clips_each), 5 * clips_each
    values = np.random.default_rng(1).normal(0, 1, num_clips) + 10 * (np.arange(num_clips) % 5)
    for share, found in zip((0.5, 0.95), rows.find_quantiles(values, (0.5, 0.95)), strict=True):
        assert found.of_seeds[0] == np.quantile(values, share, method="inverted_cdf")
        assert (found.clips, found.speakers) == (num_clips, 5)
        for resample in range(RESAMPLES):
            repeated = values[repeat_rows(5, num_clips, resample)]
            expected = np.quantile(repeated, share, method="inverted_cdf")
            assert found.resampled[resample, 0] == expected


def test_not_a_bit_changes_with_the_order_of_the_rows() -> None:
    generator = np.random.default_rng(0)
    values, clips = generator.normal(0, 9, 900), np.arange(900)
    weights = SpeakerDraws(np.random.default_rng(0), RESAMPLES).among(3)
    found = []
    for order in (clips, generator.permutation(900)):
        table = pd.DataFrame({"seed": np.zeros(900, int)})
        rows = ResampledRows(table, order, order % 3, weights.astype(np.float32))
        found.append(rows.average({"a": values[order]})["a"])
    assert (found[0].resampled == found[1].resampled).all()


def estimate(*of_seeds: float, speakers: int = 5, resampled: Any = None) -> Estimate:
    resamples: Float[np.ndarray, "resamples seeds"] = np.array(
        [of_seeds] * 4 if resampled is None else resampled, dtype=float
    )
    return Estimate(np.array(of_seeds, dtype=float), resamples, 10, speakers, speakers)


def test_parts_are_averaged_alike_and_one_that_is_not_there_does_not_count() -> None:
    parts = [estimate(1.0, 0.0), estimate(0.5, np.nan, speakers=2)]
    whole = average_parts(parts, estimate(0.9, 0.9, speakers=6))
    assert whole.of_seeds.tolist() == [0.75, 0.0]
    assert whole.resampled[0].tolist() == [0.75, 0.0]
    assert (whole.speakers, whole.least_speakers) == (6, 2)


def test_a_cell_of_few_speakers_counts_them_and_shows_no_score() -> None:
    small = to_cell("age_mae_years", estimate(3.0, speakers=2), min_speakers=3, clips_in_all=12)
    assert small == Cell(
        "age_mae_years", None, clips=10, clips_in_all=12, speakers=2, mark=TOO_SMALL
    )
    large = to_cell("age_mae_years", estimate(3.0, 5.0), min_speakers=3)
    assert large[1:4] == (4.0, 4.0, 4.0)
    assert large.std_over_seeds == pytest.approx(2**0.5)


def test_an_interval_needs_finite_numbers() -> None:
    assert find_interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert find_interval(np.array([1.0, np.inf])) == (None, None)
    assert find_interval(np.array([np.nan])) == (None, None)
