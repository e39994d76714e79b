"""Labelled predictions of clips -> what each score averages, and the speakers of its resamples.

Clips of one speaker are alike. So speakers are resampled, with all their clips and the predictions
of all training seeds: more clips of a speaker, or more seeds, do not narrow an interval by
themselves. Every score is an unweighted mean over classes of the mean over clips. For UAR the
classes are the labels, and a clip counts 1 where it is predicted correctly. An error in years has
one class.
"""

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
]
INTERVAL: Final = (0.025, 0.975)


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
        case _:
            assert_never(measure)


def _value_labels(
    predictions: pd.DataFrame, task: ClassTask
) -> tuple["pd.Series[float]", pd.Series]:
    """Return 1 for a correct row, 0 for another, NaN where it is not scored; and the labels."""
    true = predictions[task]
    predicted = predictions.get(f"predicted_{task}", pd.Series(None, index=predictions.index))
    return (predicted == true).astype(float).where(is_scored(predictions, task)), true


def mean_of_known(numbers: Float[np.ndarray, "*rows last"]) -> Float[np.ndarray, "*rows"]:
    """Mean over the last axis without NaN; NaN where there is nothing else, and no warning."""
    known = ~np.isnan(numbers)
    mean = np.full(numbers.shape[:-1], np.nan)
    total = np.where(known, numbers, 0.0).sum(axis=-1)
    np.divide(total, known.sum(axis=-1), out=mean, where=known.any(axis=-1))
    return mean
