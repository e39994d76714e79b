"""Labelled predictions of clips -> scores with a 95 % interval, by resampling speakers.

Clips of one speaker are alike. So speakers are resampled, with all their clips and the predictions
of all training seeds: more clips of a speaker, or more seeds, do not narrow the interval by
themselves. Every score is an unweighted mean over classes of the mean over clips. For UAR the
classes are the labels, and a clip counts 1 where it is predicted correctly. An error in years has
one class.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, assert_never

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt16

from oragen.schema.vocabulary import ClassTask
from oragen.training.metrics import list_predicted_labels

Measure = Literal[
    "gender_uar",
    "gender_recall",  # share predicted correctly, also where there is only one gender
    "mask_type_uar",
    "age_mae_years",
    "age_bias_years",  # mean of predicted minus true: above 0 where people are predicted too old
    "age_interval_error_years",  # distance to the years of the age band, 0 within it
    "age_fixed_coverage",  # shares of clips whose interval or set holds the truth: see `coverage`
    "age_interval_coverage",
    "gender_set_coverage",
    "mask_type_set_coverage",
]
INTERVAL: Final = (0.025, 0.975)
SPEAKERS_AT_ONCE: Final = 1_000_000  # over the resamples of a block: some 30 MB


@dataclass(frozen=True)
class Score:
    """A score over some clips; shares from 0 to 1, errors in years."""

    value: float  # mean over the seeds
    low: float | None  # of the 95 % interval; None for a single speaker
    high: float | None
    std_over_seeds: float | None  # None for a single seed
    clips: int  # labelled and predicted
    speakers: int


class SpeakerDraws:
    """How often each speaker is drawn in each resample.

    The draws depend on the number of speakers alone. So two heads are scored on the same speakers,
    and a score does not depend on what was scored before.
    """

    def __init__(self, generator: np.random.Generator, num_resamples: int = 1000) -> None:
        """Take one number from `generator`, which decides all draws."""
        self._entropy = int(generator.integers(2**63))
        self.num_resamples = num_resamples
        self.among = lru_cache(maxsize=4)(self._draw)

    def _draw(self, num_speakers: int) -> UInt16[np.ndarray, "resamples speakers"]:
        """Draw as many speakers as there are, with replacement.

        The counts are multinomial. Counting draws is far faster than numpy's multinomial where
        there are many speakers.
        """
        generator = np.random.default_rng(self._entropy)
        weights = np.empty((self.num_resamples, num_speakers), np.uint16)
        for weight in weights:
            drawn = generator.integers(num_speakers, size=num_speakers)
            weight[:] = np.bincount(drawn, minlength=num_speakers)
        return weights


def score_predictions(
    predictions: pd.DataFrame,
    measure: Measure,
    draws: SpeakerDraws,
) -> Score | None:
    """Score the predictions of one head from one set of modalities.

    Clips are skipped that have no prediction, no label, or a label that the head does not know
    (it gives no probability of it).

    Args:
        predictions: a row for each clip and seed: `corpus`, `speaker_id`, `clip_id`, `seed`, the
            labels, `predicted_*`, and the probabilities `gender_<label>`, `mask_type_<label>`.
        measure: what to score.
        draws: of speakers, sorted by their names: the order of the rows does not matter.

    Returns:
        None where there is nothing to score, or for UAR only one class.

    Raises:
        ValueError: two rows have the same clip and seed.
    """
    if predictions.duplicated(["seed", "clip_id"]).any():
        raise ValueError(
            "Each clip and seed must have one row: choose one head and one set of modalities."
        )
    speakers = number_speakers(predictions)
    values, classes = value_clips(predictions, measure)
    scored = values.notna().to_numpy()
    class_codes = pd.factorize(classes[scored], sort=True)[0]
    least = 2 if measure in ("gender_uar", "mask_type_uar") else 1
    if len(np.unique(class_codes)) < least:
        return None
    return bootstrap_means(
        values.to_numpy()[scored],
        class_codes,
        predictions["seed"].to_numpy()[scored],
        speakers[scored],
        draws,
    )


def number_speakers(rows: pd.DataFrame) -> Int[np.ndarray, " rows"]:
    """Return the number of the speaker of each row, in the order of their names."""
    return np.asarray(rows.groupby(["corpus", "speaker_id"], observed=True).ngroup())


def is_scored(predictions: pd.DataFrame, task: ClassTask) -> "pd.Series[bool]":
    """Return which rows have a prediction, and a label that the head knows."""
    if f"predicted_{task}" not in predictions:
        return pd.Series(False, index=predictions.index)
    predicted = predictions[f"predicted_{task}"].notna()
    predicted &= predictions["predicted_age_years"].notna()
    return predicted & predictions[task].isin(list_predicted_labels(predictions, task))


def bootstrap_means(
    values: Float[np.ndarray, " rows"],
    classes: Int[np.ndarray, " rows"],
    seeds: Int[np.ndarray, " rows"],
    speakers: Int[np.ndarray, " rows"],
    draws: SpeakerDraws,
) -> Score:
    """Average over clips, then classes, then seeds; the percentile interval over speakers.

    A class of which a resample has no clip does not count in that resample's mean.

    Args:
        values: of each clip and seed; at least one.
        classes: over which to average unweighted.
        seeds: of the training, of each row; a resample has the same speakers for all of them.
        speakers: of each row.
        draws: of the speakers.
    """
    order = np.lexsort((values, classes, seeds, speakers))  # sums are then always the same
    codes = [
        np.unique(labels, return_inverse=True)[1]
        for labels in (speakers[order], seeds[order], classes[order])
    ]
    by_speaker = _sum_up(values[order], *codes)
    num_speakers, _, num_seeds, _ = by_speaker.shape
    # speakers, 2, seeds, classes -> 2, seeds, classes -> seeds
    of_seeds = _average_classes(by_speaker.sum(axis=0))
    low = high = None
    if num_speakers > 1:
        # speakers, 2, seeds, classes -> resamples, 2, seeds, classes -> resamples, seeds
        resampled = _average_classes(_resample(by_speaker, draws.among(num_speakers)))
        low, high = np.quantile(mean_of_known(resampled), INTERVAL).tolist()
    return Score(
        value=float(mean_of_known(of_seeds)),
        low=low,
        high=high,
        std_over_seeds=float(of_seeds.std(ddof=1)) if num_seeds > 1 else None,
        clips=int(np.bincount(codes[1]).max()),
        speakers=num_speakers,
    )


def value_clips(
    predictions: pd.DataFrame, measure: Measure
) -> tuple["pd.Series[float]", pd.Series]:
    """Return the value of each row, NaN where it is not scored, and its class."""
    true = predictions["age_years"].astype(float)
    predicted = predictions["predicted_age_years"].astype(float)
    no_class = pd.Series(0, index=predictions.index)
    match measure:
        case "gender_uar" | "gender_recall":
            return _value_labels(predictions, "gender")
        case "mask_type_uar":
            return _value_labels(predictions, "mask_type")
        case "age_mae_years":
            return (predicted - true).abs().where(true >= 0), no_class
        case "age_bias_years":
            return (predicted - true).where(true >= 0), no_class
        case "age_interval_error_years":
            low = predictions["age_low"].astype(float)
            end = predictions["age_high"].astype(float) + 1  # 29 lasts until the 30th birthday
            return (low - predicted).clip(lower=0) + (predicted - end).clip(lower=0), no_class
        case (
            "age_fixed_coverage"
            | "age_interval_coverage"
            | "gender_set_coverage"
            | "mask_type_set_coverage"
        ):
            return predictions[measure], no_class  # of `add_coverage`
        case _:
            assert_never(measure)


def _value_labels(
    predictions: pd.DataFrame, task: ClassTask
) -> tuple["pd.Series[float]", pd.Series]:
    """Return 1 for a correct row, 0 for another, NaN where it is not scored; and the labels."""
    true = predictions[task]
    predicted = predictions.get(f"predicted_{task}", pd.Series(None, index=predictions.index))
    return (predicted == true).astype(float).where(is_scored(predictions, task)), true


def _sum_up(
    values: Float[np.ndarray, " rows"],
    speakers: Int[np.ndarray, " rows"],
    seeds: Int[np.ndarray, " rows"],
    classes: Int[np.ndarray, " rows"],
) -> Float[np.ndarray, "speakers 2 seeds classes"]:
    """Return the sum and the number of the values of each speaker, seed and class."""
    codes = speakers, seeds, classes
    shape = tuple(int(code.max()) + 1 for code in codes)
    cells = np.ravel_multi_index(codes, shape)
    size = int(np.prod(shape))
    sums = np.bincount(cells, weights=values, minlength=size).reshape(shape)
    counts = np.bincount(cells, minlength=size).reshape(shape).astype(float)
    # 2 times speakers, seeds, classes -> speakers, 2, seeds, classes
    return np.stack([sums, counts], axis=1)


def _resample(
    by_speaker: Float[np.ndarray, "speakers 2 seeds classes"],
    weights: UInt16[np.ndarray, "resamples speakers"],
) -> Float[np.ndarray, "resamples 2 seeds classes"]:
    """Add up the drawn speakers, some resamples at a time."""
    num_speakers, *shape = by_speaker.shape
    # speakers, 2, seeds, classes -> speakers, 2 * seeds * classes
    flat = by_speaker.reshape(num_speakers, -1)
    block = max(1, SPEAKERS_AT_ONCE // num_speakers)
    starts = range(0, len(weights), block)
    sums = [weights[start : start + block].astype(float) @ flat for start in starts]
    # blocks of resamples, 2 * seeds * classes -> resamples, 2, seeds, classes
    return np.concatenate(sums).reshape(-1, *shape)


def _average_classes(
    by_class: Float[np.ndarray, "*resamples 2 seeds classes"],
) -> Float[np.ndarray, "*resamples seeds"]:
    """Sums and counts -> the mean over the classes that have clips; NaN where none has."""
    # resamples, 2, seeds, classes -> twice resamples, seeds, classes
    sums, counts = by_class[..., 0, :, :], by_class[..., 1, :, :]
    means = np.full_like(sums, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return mean_of_known(means)


def mean_of_known(numbers: Float[np.ndarray, "*rows last"]) -> Float[np.ndarray, "*rows"]:
    """Mean over the last axis without NaN; NaN where there is nothing else, and no warning."""
    known = ~np.isnan(numbers)
    mean = np.full(numbers.shape[:-1], np.nan)
    total = np.where(known, numbers, 0.0).sum(axis=-1)
    np.divide(total, known.sum(axis=-1), out=mean, where=known.any(axis=-1))
    return mean
