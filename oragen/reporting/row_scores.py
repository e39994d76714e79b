"""The rows of a head -> a score over some of them, as an estimate."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from oragen.reporting.bootstrap import Measure, value_clips
from oragen.reporting.estimates import Estimate, average_parts
from oragen.reporting.resampled_rows import ResampledRows

UARS: Final[tuple[Measure, ...]] = ("gender_uar", "mask_type_uar")
WHOLE: Final = ""  # in the place of a class: the clips of all


def value_classes(rows: ResampledRows, measure: Measure) -> dict[str, Float[np.ndarray, " rows"]]:
    """Return what a score averages: class -> a number for each row, or NaN; `WHOLE` has all."""
    values, classes = value_clips(rows.table, measure)
    by_class = {WHOLE: values.to_numpy(float)}
    if measure in UARS:
        for label in sorted(classes[values.notna()].unique()):
            by_class[label] = np.where(classes == label, by_class[WHOLE], np.nan)
    return by_class


def estimate_score(
    rows: ResampledRows,
    by_class: Mapping[str, Float[np.ndarray, " rows"]],
    members: Bool[np.ndarray, " rows"],
) -> Estimate | None:
    """Average over clips, then classes; None where there is nothing to score.

    Args:
        rows: of one head.
        by_class: of `value_classes`. Of several classes two must have clips.
        members: the rows that count.
    """
    found = rows.average(by_class, members)
    whole = found.pop(WHOLE)
    if not found:
        return whole if whole.clips else None
    parts = [part for part in found.values() if part.clips]
    return average_parts(parts, whole) if len(parts) > 1 else None
