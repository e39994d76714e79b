"""Predictions of clips -> scores and intervals, compared with what was worked out by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.estimates import Estimate, find_interval, to_cell
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.row_scores import estimate_score, value_classes
from oragen.reporting.table_formats import Cell
from oragen.training.scoring import score_clips
from tests.scored_heads import resample

MASKS = ("none", "tissue")


def draws(num_resamples: int = 400, seed: int = 0) -> SpeakerDraws:
    return SpeakerDraws(np.random.default_rng(seed), num_resamples)


def clip(number: int, speaker: str = "a", seed: int = 0, **known: Any) -> dict[str, Any]:
    """One clip of a woman of 30 without a mask, predicted correctly but for what is `known`."""
    row = {
        "corpus": "x", "speaker_id": speaker, "clip_id": f"{number}", "seed": seed,
        "gender": "female", "predicted_gender": "female", "age_years": 30.0,
        "predicted_age_years": 30.0, "age_low": np.nan, "age_high": np.nan, "mask_type": "none",
        "predicted_mask_type": "none",
    }  # fmt: skip
    shares = {f"gender_{label}": 0.5 for label in ("female", "male")}
    return row | shares | {f"mask_type_{label}": 0.5 for label in MASKS} | known


def man(number: int, speaker: str, predicted: str, seed: int = 0) -> dict[str, Any]:
    return clip(number, speaker, seed, gender="male", predicted_gender=predicted)


def four_clips() -> list[dict[str, Any]]:
    """Three clips of a woman predicted correctly, one of a man predicted as a woman."""
    return [*(clip(number) for number in range(3)), man(3, "b", "female")]


def find_score(rows: pd.DataFrame, measure: Any, num_resamples: int = 400) -> Cell | None:
    [of_head] = resample({"": rows}, num_resamples).values()
    found = estimate_score(of_head, value_classes(of_head, measure), np.ones(len(rows), bool))
    return None if found is None else to_cell(measure, found, min_speakers=1)


def score(rows: list[dict[str, Any]], measure: Any) -> Cell:
    found = find_score(pd.DataFrame(rows), measure)
    assert found is not None
    return found


def test_every_gender_counts_the_same_in_the_average_recall() -> None:
    found = score(four_clips(), "gender_uar")
    assert (found.value, found.clips, found.speakers) == (0.5, 4, 2)
    assert score(four_clips()[:3], "gender_recall").value == 1.0  # of one gender


def test_several_seeds_give_mean_and_spread_and_count_clips_once() -> None:
    """UAR 1 and 0.5: the deviation is 0.25 * sqrt(2)."""
    rows = [clip(0), man(1, "b", "male"), clip(0, seed=1), man(1, "b", "female", seed=1)]
    found = score(rows, "gender_uar")
    assert found.value == 0.75
    assert found.std_over_seeds == pytest.approx(0.25 * 2**0.5)
    assert (found.clips, found.speakers) == (2, 2)


def test_one_seed_has_no_spread() -> None:
    assert score(four_clips(), "gender_uar").std_over_seeds is None


def test_clips_of_a_speaker_stay_together() -> None:
    """Ten clips each, errors of 0 and 10 years: a resample has a mean of 0, 5 or 10, no other."""
    rows = [clip(number, "a") for number in range(10)]
    rows += [clip(number, "b", predicted_age_years=40.0) for number in range(10, 20)]
    found = score(rows, "age_mae_years")
    assert (found.value, found.low, found.high) == (5.0, 0.0, 10.0)


def test_a_class_that_a_resample_lacks_does_not_count_in_its_mean() -> None:
    """The woman twice is 1, the man twice 0; counted as wrong, the lacking one would halve it."""
    found = score([clip(0), man(1, "b", "female")], "gender_uar")
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_speakers_who_are_alike_give_an_interval_of_no_width() -> None:
    rows = []
    for number, speaker in enumerate("abcdef"):
        rows.append(clip(3 * number, speaker, predicted_age_years=33.0))
        rows += [man(3 * number + 1, speaker, "male"), man(3 * number + 2, speaker, "female")]
    gender, age = score(rows, "gender_uar"), score(rows[::3], "age_mae_years")
    assert (gender.value, gender.low, gender.high) == (0.75, 0.75, 0.75)
    assert (age.value, age.low, age.high) == (3.0, 3.0, 3.0)


def test_one_speaker_has_a_score_and_no_interval() -> None:
    found = score([clip(0), clip(1, predicted_age_years=34.0)], "age_mae_years")
    assert found[1:5] == (2.0, None, None, None)
    assert (found.clips, found.speakers) == (2, 1)


def test_speakers_of_two_corpora_are_two_by_the_same_name() -> None:
    assert score([clip(0), clip(1, corpus="y")], "age_mae_years").speakers == 2


def test_one_class_gives_no_average_recall() -> None:
    women = pd.DataFrame([clip(0), clip(1, "b")])
    assert find_score(women, "gender_uar") is None
    assert find_score(women, "mask_type_uar") is None
    assert find_score(women.assign(predicted_gender="male"), "gender_uar") is None


def test_clips_without_prediction_or_label_are_skipped() -> None:
    """Of the other four one has no prediction, one no gender, one is a child; a man is correct."""
    rows = [
        *four_clips(),
        clip(4, "c", predicted_gender=None, predicted_age_years=np.nan),
        clip(5, "c", gender=None),
        clip(6, "c", gender="child"),
        man(7, "c", "male"),
    ]
    found = score(rows, "gender_uar")
    assert (found.value, found.clips, found.speakers) == (0.75, 5, 3)
    assert score(rows, "age_mae_years").clips == 7
    beside_others = [row | {"gender_child": np.nan} for row in rows]  # a head that knows children
    assert score(beside_others, "gender_uar") == found
    unpredicted = pd.DataFrame(rows).assign(predicted_age_years=np.nan)
    assert find_score(unpredicted, "age_mae_years") is None
    assert find_score(unpredicted, "gender_uar") is None


def test_a_clip_without_window_that_was_filled_is_scored() -> None:
    rows = [clip(0), clip(1, "b", num_windows=0, predicted_age_years=44.0)]
    assert score(rows, "age_mae_years").value == 7.0


def test_a_head_that_does_not_predict_masks_has_no_mask_score() -> None:
    rows = pd.DataFrame([clip(0), clip(1, "b", mask_type="tissue")])
    assert find_score(rows, "mask_type_uar") is not None
    without = rows.drop(columns=["predicted_mask_type", "mask_type_none", "mask_type_tissue"])
    assert find_score(without, "mask_type_uar") is None
    beside_others = rows.assign(
        predicted_mask_type=None, mask_type_none=np.nan, mask_type_tissue=np.nan
    )
    assert find_score(beside_others, "mask_type_uar") is None


@pytest.mark.parametrize(
    ("predicted", "error", "bias"), [((27.0, 35.0), 4.0, 1.0), ((20.0, 28.0), 6.0, -6.0)]
)
def test_the_error_of_ages_has_no_sign_and_the_bias_has(
    predicted: tuple[float, float], error: float, bias: float
) -> None:
    rows = [clip(n, f"{n}", predicted_age_years=age) for n, age in enumerate(predicted)]
    rows += [clip(2, "c", age_years=np.nan), clip(3, "c", age_years=-1.0)]
    assert score(rows, "age_mae_years").value == error
    assert score(rows, "age_bias_years").value == bias
    assert score(rows, "age_mae_years").clips == score(rows, "age_bias_years").clips == 2


@pytest.mark.parametrize(
    ("predicted", "error"),
    [(20.0, 0.0), (29.9, 0.0), (18.5, 1.5), (33.0, 3.0), (24.0, 0.0)],
)
def test_an_age_in_its_band_is_no_error(predicted: float, error: float) -> None:
    """The band of the twenties ends at the thirtieth birthday; a clip without one is skipped."""
    rows = [clip(0, age_low=20, age_high=29, predicted_age_years=predicted), clip(1, "b")]
    found = score(rows, "age_interval_error_years")
    assert found.value == pytest.approx(error)
    assert found.clips == 1


def test_no_band_gives_no_score() -> None:
    rows = pd.DataFrame([clip(0, age_high=29.0), clip(1, "b")])
    assert find_score(rows, "age_interval_error_years") is None


def test_rows_of_two_heads_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="one head and one set of modalities"):
        find_score(pd.DataFrame([clip(0), clip(0)]), "age_mae_years")


def many_clips(num_speakers: int = 12, num_seeds: int = 2) -> pd.DataFrame:
    """Clips of speakers who have one to five, predicted by chance."""
    generator = np.random.default_rng(3)
    rows = [
        clip(
            10 * speaker + number, f"s{speaker}", seed,
            gender=("female", "male")[speaker % 2],
            predicted_gender=str(generator.choice(["female", "male"])),
            predicted_age_years=float(generator.normal(30, 9)),
            mask_type=MASKS[number % 2],
            predicted_mask_type=str(generator.choice(MASKS)),
            num_windows=1,
        )
        for seed in range(num_seeds)
        for speaker in range(num_speakers)
        for number in range(1 + speaker % 5)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("measure", ["gender_uar", "mask_type_uar", "age_mae_years"])
def test_the_order_of_the_rows_does_not_matter(measure: Any) -> None:
    rows = many_clips()
    shuffled = rows.sample(frac=1, random_state=1)
    assert find_score(rows, measure) == find_score(shuffled, measure)


@pytest.mark.parametrize("measure", ["gender_uar", "mask_type_uar", "age_mae_years"])
def test_scores_are_those_that_heads_are_selected_by(measure: Any) -> None:
    rows = many_clips(num_seeds=1)
    found = find_score(rows, measure)
    assert found is not None
    assert found.value == pytest.approx(score_clips(rows)[measure])
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low < found.value < found.high


@pytest.mark.parametrize("measure", ["gender_uar", "age_mae_years"])
def test_a_seed_that_predicts_the_same_narrows_no_interval(measure: Any) -> None:
    one = many_clips(num_seeds=1)
    again = [one.assign(seed=seed) for seed in range(5)]
    once = find_score(one, measure)
    often = find_score(pd.concat(again, ignore_index=True), measure)
    assert once is not None
    assert often is not None
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))
    assert often.std_over_seeds == pytest.approx(0)
    assert (often.clips, often.speakers) == (once.clips, once.speakers)


def average(
    values: np.ndarray, speakers: np.ndarray, speaker_draws: SpeakerDraws
) -> tuple[float, float]:
    """Return the interval of the mean of clips."""
    clips, table = np.arange(len(values)), pd.DataFrame({"seed": np.zeros(len(values), int)})
    weights = speaker_draws.among(int(speakers.max()) + 1).astype(np.float32)
    found: Estimate = ResampledRows(table, clips, speakers, weights).average({"": values})[""]
    low, high = find_interval(found.means)
    assert low is not None
    assert high is not None
    return low, high


def test_the_interval_holds_the_truth_in_about_95_of_100_studies() -> None:
    """Mean 10, of 25 speakers who differ by 2 and their 8 clips by 1; drawn by clip it fails."""
    generator = np.random.default_rng(5)
    speakers = np.repeat(np.arange(25), 8)
    held = {"speakers": 0, "clips": 0}
    for _ in range(100):
        values = 10 + generator.normal(0, 2, 25)[speakers] + generator.normal(0, 1, 200)
        for name, drawn in {"speakers": speakers, "clips": np.arange(200)}.items():
            low, high = average(values, drawn, draws(200))
            held[name] += low <= 10 <= high
    assert 85 <= held["speakers"] <= 100
    assert held["clips"] < 75


def test_the_interval_is_the_middle_95_percent_of_the_resamples() -> None:
    """Speakers of 0 and 1, half each: the mean of 100 is 0.5, its deviation 0.05."""
    values = np.repeat([0.0, 1.0], 50)
    interval = average(values, np.arange(100), draws(4000))
    assert interval == pytest.approx((0.4, 0.6), abs=0.011)


def test_as_many_speakers_are_drawn_as_there_are_and_always_alike() -> None:
    weights = draws(2000).among(7)
    assert weights.shape == (2000, 7)
    assert set(weights.sum(axis=1)) == {7}
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.1)
    others = draws(2000)
    others.among(3)
    assert (others.among(7) == weights).all()
    assert (draws(2000, seed=1).among(7) != weights).any()


def test_seeds_that_predicted_different_clips_are_averaged_all_the_same() -> None:
    """Errors of 2 and 6 years; a resample without the clip of one seed has the other's mean."""
    rows = [clip(0, "a", 0, predicted_age_years=32.0), clip(1, "b", 1, predicted_age_years=36.0)]
    found = score(rows, "age_mae_years")
    assert (found.value, found.low, found.high) == (4.0, 2.0, 6.0)
