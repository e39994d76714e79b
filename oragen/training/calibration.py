"""Answers for dev clips -> how far to trust later ones: temperatures, and a half-width of ages.

Probabilities are brought to the frequencies at which they come true by a temperature (Guo et al.
2017, arXiv 1706.04599); the age gets a split-conformal interval (Lei et al. 2018,
doi 10.1080/01621459.2017.1307116), which covers the truth at the stated rate for clips like those
of dev, whatever the model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float

from oragen.schema.vocabulary import MASK_TYPES
from oragen.training.metrics import group_probabilities
from oragen.training.scoring import WindowPredictions, group_predictions

COVERAGE: Final = 0.9
MIN_LABELLED_CLIPS: Final = 10  # with fewer there is nothing to learn a temperature from
MAX_TEMPERATURE: Final = 20.0
_SMALLEST: Final = 1e-12  # of a probability, before its logarithm


@dataclass(frozen=True)
class Calibration:
    """What dev clips taught about a head; the defaults change nothing and give no interval."""

    gender_temperature: float = 1.0
    mask_type_temperature: float = 1.0
    age_half_width_years: float | None = None  # of an interval that covers `coverage` of the ages
    coverage: float = COVERAGE

    def as_json(self) -> dict[str, float | None]:
        """Return it as it stands in head.json."""
        return asdict(self)

    def apply(self, answers: WindowPredictions) -> WindowPredictions:
        """Return answers with calibrated probabilities."""
        mask_type = answers.mask_type
        return WindowPredictions(
            apply_temperature(answers.gender, self.gender_temperature),
            answers.age_years,
            None if mask_type is None else apply_temperature(mask_type, self.mask_type_temperature),
        )


UNCALIBRATED: Final = Calibration()


def read_calibration(saved: Mapping[str, float | None]) -> Calibration:
    """Return what `as_json` gave."""
    return Calibration(**saved)  # type: ignore[arg-type]  # checked by beartype and by the tests


def apply_temperature(
    probabilities: Float[np.ndarray, "parts classes"], temperature: float
) -> Float[np.ndarray, "parts classes"]:
    """Divide the logits behind probabilities by a temperature: above 1 they become less certain."""
    if temperature == 1.0:
        return probabilities
    logits = np.log(np.clip(probabilities.astype(np.float64), _SMALLEST, 1.0)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    tempered = powers / powers.sum(axis=1, keepdims=True)
    return np.asarray(tempered, probabilities.dtype)


def fit_calibration(
    clips: pd.Series, answers: WindowPredictions, labels: pd.DataFrame, *, genders: Sequence[str]
) -> Calibration:
    """Learn from the answers for the parts of dev clips.

    Args:
        clips: the `clip_id` of each part.
        answers: of each part, not yet calibrated.
        labels: `gender`, `age_years`, `mask_type` of each clip, indexed by `clip_id`.
        genders: the head's labels in order.
    """
    grouped = group_predictions(clips, answers, genders=genders)
    ages = labels["age_years"].reindex(grouped.index)
    errors = (ages - grouped["predicted_age_years"]).abs().dropna()
    mask_type_temperature = 1.0
    if answers.mask_type is not None:
        mask_type_temperature = fit_temperature(
            clips, answers.mask_type, labels["mask_type"], MASK_TYPES
        )
    return Calibration(
        gender_temperature=fit_temperature(clips, answers.gender, labels["gender"], genders),
        mask_type_temperature=mask_type_temperature,
        age_half_width_years=conformal_half_width(errors.to_numpy(), COVERAGE),
    )


def fit_temperature(
    clips: pd.Series,
    probabilities: Float[np.ndarray, "parts classes"],
    labels: pd.Series,
    classes: Sequence[str],
) -> float:
    """Find the temperature at which the clips' mean probabilities are least surprised.

    It lies between 1 / `MAX_TEMPERATURE` and `MAX_TEMPERATURE`, and is 1 where fewer than
    `MIN_LABELLED_CLIPS` clips have a label.
    """
    from scipy.optimize import minimize_scalar  # not needed to apply what was learned

    codes = labels.map({label: code for code, label in enumerate(classes)}).dropna().astype(int)

    def nll(log_temperature: float) -> float:
        grouped = group_probabilities(
            clips, apply_temperature(probabilities, math.exp(log_temperature))
        )
        known = grouped.loc[grouped.index.isin(codes.index)]
        truth = known.to_numpy()[np.arange(len(known)), codes[known.index]]
        return float(-np.log(np.clip(truth, _SMALLEST, 1.0)).mean())

    if codes.index.intersection(pd.Index(clips.unique())).size < MIN_LABELLED_CLIPS:
        return 1.0
    limit = math.log(MAX_TEMPERATURE)
    found = minimize_scalar(nll, bounds=(-limit, limit), method="bounded")
    return math.exp(float(found.x))


def conformal_half_width(errors: Float[np.ndarray, " clips"], coverage: float) -> float | None:
    """Return the error that a further clip stays within at the rate `coverage`.

    It is the k-th smallest of n errors, k = ceil((n + 1) x coverage); None where k exceeds n, that
    is with fewer than 9 clips for 90 %.
    """
    rank = math.ceil((len(errors) + 1) * coverage)
    if rank > len(errors):
        return None
    return float(np.sort(errors)[rank - 1])
