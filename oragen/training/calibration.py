"""Predictions of dev clips -> temperatures of probabilities, and the half-width of an age interval.

A temperature brings probabilities to the frequencies at which predictions are right (Guo et al.
2017, arXiv 1706.04599). The age gets a split-conformal interval (Lei et al. 2018,
doi 10.1080/01621459.2017.1307116). For clips like those of dev it covers the true age at the stated
rate, whatever the model.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field

from oragen.models.description import Form, check_form
from oragen.schema.vocabulary import MASK_TYPES
from oragen.training.metrics import group_probabilities
from oragen.training.scoring import WindowPredictions, group_predictions

COVERAGE: Final = 0.9  # where none is chosen
MIN_LABELLED_CLIPS: Final = 10  # with fewer the temperature stays 1
MAX_TEMPERATURE: Final = 20.0
_SMALLEST: Final = 1e-12  # of a probability, before its logarithm


# A fit ends between 1 / `MAX_TEMPERATURE` and `MAX_TEMPERATURE`; others may have fitted otherwise.
Temperature = Annotated[float, Field(ge=1e-3, le=1e3)]


@dataclass(frozen=True)
class Calibration:
    """The calibration of one head; the defaults change nothing and have no interval."""

    gender_temperature: float = 1.0
    mask_type_temperature: float = 1.0
    age_half_width_years: float | None = None  # covers `coverage` of the ages
    coverage: float = COVERAGE

    def as_json(self) -> dict[str, float | None]:
        """Return it as it is written in head.json."""
        return asdict(self)

    def apply(self, predictions: WindowPredictions) -> WindowPredictions:
        """Return predictions with calibrated probabilities."""
        mask_type = predictions.mask_type
        return WindowPredictions(
            gender=apply_temperature(predictions.gender, self.gender_temperature),
            age_years=predictions.age_years,
            mask_type=None
            if mask_type is None
            else apply_temperature(mask_type, self.mask_type_temperature),
        )


UNCALIBRATED: Final = Calibration()


class CalibrationForm(Form):
    """A `Calibration`, as it is written in head.json."""

    gender_temperature: Temperature = 1.0
    mask_type_temperature: Temperature = 1.0
    age_half_width_years: Annotated[float, Field(ge=0, le=1000)] | None = None
    coverage: Annotated[float, Field(gt=0, lt=1)] = COVERAGE


def read_calibration(saved: object, folder: Path = Path()) -> Calibration:
    """Return the calibration of `as_json`.

    Args:
        saved: what a head.json holds; None or nothing: not calibrated.
        folder: of the head, for the message.

    Raises:
        UserError: names the first field that does not fit.
    """
    if saved is None:
        return UNCALIBRATED
    form = check_form(folder, "has a wrong metadata.calibration", CalibrationForm, saved)
    return Calibration(**form.model_dump())


def apply_temperature(
    probabilities: Float[np.ndarray, "windows classes"], temperature: float
) -> Float[np.ndarray, "windows classes"]:
    """Divide the logits behind probabilities by a temperature: above 1 they become less certain."""
    if temperature == 1.0:
        return probabilities
    logits = np.log(np.clip(probabilities.astype(np.float64), _SMALLEST, 1.0)) / temperature
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    calibrated = exponentials / exponentials.sum(axis=1, keepdims=True)
    return np.asarray(calibrated, probabilities.dtype)


def fit_calibration(
    clips: pd.Series,
    predictions: WindowPredictions,
    labels: pd.DataFrame,
    *,
    genders: Sequence[str],
    coverage: float = COVERAGE,
) -> Calibration:
    """Fit a calibration to the predictions of the windows of dev clips.

    Args:
        clips: the `clip_id` of each window.
        predictions: of each window, not calibrated.
        labels: `gender`, `age_years`, `mask_type` of each clip, indexed by `clip_id`.
        genders: the head's labels in order.
        coverage: level of the age interval.
    """
    grouped = group_predictions(clips, predictions, genders=genders)
    ages = labels["age_years"].reindex(grouped.index)
    errors = (ages - grouped["predicted_age_years"]).abs().dropna()
    mask_type_temperature = 1.0
    if predictions.mask_type is not None:
        mask_type_temperature = fit_temperature(
            clips, predictions.mask_type, labels["mask_type"], MASK_TYPES
        )
    return Calibration(
        gender_temperature=fit_temperature(clips, predictions.gender, labels["gender"], genders),
        mask_type_temperature=mask_type_temperature,
        age_half_width_years=conformal_half_width(errors.to_numpy(), coverage),
        coverage=coverage,
    )


def fit_temperature(
    clips: pd.Series,
    probabilities: Float[np.ndarray, "windows classes"],
    labels: pd.Series,
    classes: Sequence[str],
) -> float:
    """Find the temperature with the lowest negative log-likelihood (NLL) of the clips' labels.

    The probabilities of a clip are the mean over its windows. The temperature is between
    1 / `MAX_TEMPERATURE` and `MAX_TEMPERATURE`; it is 1 if fewer than `MIN_LABELLED_CLIPS` clips
    have a label.
    """
    from scipy.optimize import minimize_scalar  # only fitting needs it

    codes = labels.map({label: code for code, label in enumerate(classes)}).dropna().astype(int)

    def nll(log_temperature: float) -> float:
        grouped = group_probabilities(
            clips, apply_temperature(probabilities, math.exp(log_temperature))
        )
        known = grouped.loc[grouped.index.isin(codes.index)]
        # clip, class -> clip: the probability of its true class
        of_label = known.to_numpy()[np.arange(len(known)), codes[known.index]]
        return float(-np.log(np.clip(of_label, _SMALLEST, 1.0)).mean())

    if codes.index.intersection(pd.Index(clips.unique())).size < MIN_LABELLED_CLIPS:
        return 1.0
    limit = math.log(MAX_TEMPERATURE)
    found = minimize_scalar(nll, bounds=(-limit, limit), method="bounded")
    return math.exp(float(found.x))


def conformal_half_width(errors: Float[np.ndarray, " clips"], coverage: float) -> float | None:
    """Return the error that a new clip does not exceed at the rate `coverage`.

    It is the k-th smallest of n errors, k = ceil((n + 1) x coverage). None if k exceeds n: for 90 %
    that is with fewer than 9 clips.
    """
    rank = math.ceil((len(errors) + 1) * coverage)
    if rank > len(errors):
        return None
    return float(np.sort(errors)[rank - 1])
