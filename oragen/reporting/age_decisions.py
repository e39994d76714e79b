"""Predicted ages and a threshold -> who passes, and who is referred onward; a number for each row.

A person passes who is taken to be of age. By the point that is a predicted age of the threshold or
more. By the interval it is a lower end of the threshold or more; whose interval holds the threshold
is referred onward, to a document or a person. docs/report.md has the sources.
"""

from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from oragen.reporting.coverage import find_half_widths

Decision = Literal["fpr_point", "fnr_point", "fpr_lower_end", "fnr_lower_end", "referred"]
DECISIONS: Final[tuple[Decision, ...]] = (
    "fpr_point", "fnr_point", "fpr_lower_end", "fnr_lower_end", "referred",
)  # fmt: skip


class Sides(NamedTuple):
    """Which rows are of people under a threshold, and which of people of it or older."""

    under: Bool[np.ndarray, " rows"]
    of_age: Bool[np.ndarray, " rows"]

    @property
    def known(self) -> Bool[np.ndarray, " rows"]:
        """The rows of which one of both is known."""
        known: Bool[np.ndarray, " rows"] = self.under | self.of_age
        return known


def find_sides(table: pd.DataFrame, threshold_years: int) -> Sides:
    """Find the side of each row; of neither is a row of unknown age.

    An age that is known as a band counts where the whole band is on one side: 16 to 17 is under 18,
    and 17 to 18 is not known.
    """
    years = table["age_years"].to_numpy(float)
    low, high = table["age_low"].to_numpy(float), table["age_high"].to_numpy(float)
    is_band = ~np.isnan(low) & ~np.isnan(high)
    youngest = np.where(is_band, low, years)
    oldest = np.where(is_band, high + 1, years)  # 17 lasts until the 18th birthday
    of_age = youngest >= threshold_years
    under = np.where(is_band, oldest <= threshold_years, oldest < threshold_years) & (youngest >= 0)
    return Sides(under, of_age)


def decide(
    table: pd.DataFrame, threshold_years: int, sides: Sides
) -> dict[Decision, Float[np.ndarray, " rows"]]:
    """Return each decision about each row: 1, 0, or NaN where it does not count.

    The mean of `fpr_*` is the share of people under age who pass, that of `fnr_*` the share of
    people of age who do not, and that of `referred` the share of all who are referred onward. A row
    without an interval is referred, unless the head has none at all: then only the two by the point
    are returned.
    """
    predicted = table["predicted_age_years"].to_numpy(float)
    by_point = _count_errors(predicted >= threshold_years, predicted, sides)
    decisions: dict[Decision, Float[np.ndarray, " rows"]] = {
        "fpr_point": by_point[0], "fnr_point": by_point[1],
    }  # fmt: skip
    half_width = find_half_widths(table).to_numpy()
    if not np.isnan(half_width).all():
        passes = predicted - half_width >= threshold_years  # never where there is no interval
        fails = predicted + half_width < threshold_years
        by_end = _count_errors(passes, predicted, sides)
        decisions["fpr_lower_end"], decisions["fnr_lower_end"] = by_end
        decisions["referred"] = np.where(
            sides.known & ~np.isnan(predicted), ~passes & ~fails, np.nan
        )
    return decisions


def challenge(
    table: pd.DataFrame, challenge_years: int, sides: Sides
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Return false positives and negatives where one passes who is predicted older than the law is.

    Args:
        table: of predictions.
        challenge_years: the age from which one passes, such as 25 for a threshold of 18.
        sides: of the threshold.
    """
    predicted = table["predicted_age_years"].to_numpy(float)
    return _count_errors(predicted >= challenge_years, predicted, sides)


def _count_errors(
    passes: Bool[np.ndarray, " rows"], predicted: Float[np.ndarray, " rows"], sides: Sides
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Return 1 for who passes under age, and 1 for who does not pass of age."""
    is_predicted = ~np.isnan(predicted)
    return (
        np.where(sides.under & is_predicted, passes, np.nan),
        np.where(sides.of_age & is_predicted, ~passes, np.nan),
    )
