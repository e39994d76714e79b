"""Predictions with intervals and sets -> whether each holds the truth, and how wide it is."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from oragen.schema.label_sets import split_label_set
from oragen.schema.vocabulary import ClassTask

CoverageMeasure = Literal[
    "age_fixed_coverage",  # of the interval of one width for all clips
    "age_interval_coverage",  # of the interval of the clip's condition
    "gender_set_coverage",
    "mask_type_set_coverage",
]
COVERAGE_MEASURES: Final[tuple[CoverageMeasure, ...]] = get_args(CoverageMeasure)
HALF_WIDTHS: Final[Mapping[CoverageMeasure, str]] = {
    "age_fixed_coverage": "age_half_width_years",
    "age_interval_coverage": "age_conditional_half_width_years",
}
TASKS: Final[Mapping[CoverageMeasure, ClassTask]] = {
    "gender_set_coverage": "gender", "mask_type_set_coverage": "mask_type",
}  # fmt: skip
BEFORE_A_CHOICE: Final = 0.9  # of predictions of earlier versions


class Coverage(NamedTuple):
    """Of each prediction; NaN where the truth or the interval is not known."""

    holds: "pd.Series[float]"  # 1: the truth is within, 0: it is not
    size: "pd.Series[float]"  # years, or number of labels


def find_coverage(predictions: pd.DataFrame, measure: CoverageMeasure) -> Coverage:
    """Compare predictions with the truth.

    Args:
        predictions: with the columns of `predict_all`; those of earlier versions may lack some, and
            nothing is known of them then.
        measure: which interval or set.
    """
    if measure in TASKS:
        return _find_in_sets(predictions, TASKS[measure])
    nothing = pd.Series(np.nan, predictions.index)
    return cover_ages(predictions, predictions.get(HALF_WIDTHS[measure], nothing).astype(float))


def cover_ages(predictions: pd.DataFrame, half_width: "pd.Series[float]") -> Coverage:
    """Compare true ages with the intervals of these half widths around the predicted ones."""
    true = predictions["age_years"].astype(float)
    errors = (true - predictions["predicted_age_years"].astype(float)).abs()
    known = errors.notna() & half_width.notna() & (true >= 0)
    return Coverage(
        (errors <= half_width).astype(float).where(known), (2 * half_width).where(known)
    )


def find_half_widths(predictions: pd.DataFrame) -> "pd.Series[float]":
    """Return half the width of the age interval of each prediction, in years; NaN: it has none.

    It is that of the clip's condition, as `Predictor` tells it. Heads of earlier versions have one
    width for all clips.
    """
    nothing = pd.Series(np.nan, predictions.index)
    fixed, conditional = (predictions.get(name, nothing) for name in HALF_WIDTHS.values())
    return conditional.astype(float).fillna(fixed.astype(float))


def find_level(predictions: pd.DataFrame) -> float:
    """Return the share of clips that intervals and sets are to hold for."""
    level = predictions.get("interval_coverage", pd.Series(dtype=float)).dropna()
    return float(level.iloc[0]) if len(level) else BEFORE_A_CHOICE


def _find_in_sets(predictions: pd.DataFrame, task: ClassTask) -> Coverage:
    nothing = pd.Series(None, predictions.index, dtype=object)
    sets, labels = predictions.get(f"set_of_{task}", nothing), predictions[task]
    known = (sets.notna() & labels.notna()).to_numpy()
    set_codes, kinds = pd.factorize(sets[known])
    label_codes, names = pd.factorize(labels[known])
    members = [set(split_label_set(str(kind))) for kind in kinds]
    # kind of set, label -> whether it has it
    has = np.array([[name in of_kind for name in names] for of_kind in members], float)
    holds, size = (np.full(len(predictions), np.nan) for _ in range(2))
    if known.any():
        holds[known] = has[set_codes, label_codes]
        size[known] = np.array([len(of_kind) for of_kind in members], float)[set_codes]
    return Coverage(pd.Series(holds, predictions.index), pd.Series(size, predictions.index))
