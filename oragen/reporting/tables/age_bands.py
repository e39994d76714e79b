"""Scores of all heads -> the error of the age by bands of years, and its bias by decade."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool

from oragen.reporting.bootstrap import Measure
from oragen.reporting.estimates import Estimate, average_parts, to_cell
from oragen.reporting.group_estimates import signed_errors
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import Column, ReportTable, Row
from oragen.reporting.tables.age_errors import SECTION
from oragen.reporting.tables.rows import name_with_counts

# Around the ages of laws, then in decades.
BAND_STARTS_YEARS: Final = (0, 13, 16, 18, 21, 25, 35, 45, 55, 65)
DECADE_STARTS_YEARS: Final = tuple(range(0, 90, 10))
MACRO: Final = "all bands alike"
BANDS_NOTE: Final = (
    "MAE in years of the people of each band; the last column is the unweighted mean of the "
    "numbers to its left, so that rare ages count as much as common ones."
)
DECADES_NOTE: Final = (
    "Mean of predicted minus true age in years: above 0 where people of that age are taken for "
    "older, below 0 where they are taken for younger."
)
Bands = Mapping[str, Bool[np.ndarray, " rows"]]


def compare_age_bands(scores: HeadScores) -> ReportTable | None:
    """Compare the MAE of all heads by age band, and its mean over the bands (macro-average).

    None where no age is known.
    """
    return _compare(scores, BAND_STARTS_YEARS, "age_mae_years")


def compare_bias_by_decade(scores: HeadScores) -> ReportTable | None:
    """Compare the bias of all heads by decade of the true age; None where no age is known."""
    return _compare(scores, DECADE_STARTS_YEARS, "age_bias_years")


def name_bands(starts_years: Sequence[int]) -> list[str]:
    """Write the names of bands, such as `13-15`, and `65 and over` for the last."""
    lasts = [start - 1 for start in starts_years[1:]]
    names = [f"{start}-{last}" for start, last in zip(starts_years, lasts, strict=False)]
    return [*names, f"{starts_years[-1]} and over"]


def _compare(
    scores: HeadScores, starts_years: Sequence[int], measure: Measure
) -> ReportTable | None:
    bands = _divide(scores.clips, starts_years)
    if not bands:
        return None
    rows = []
    for method in scores.methods:
        of_head = scores.widest_rows(method.head)
        estimates = _measure(of_head, starts_years, measure, scores.min_speakers)
        cells = [
            to_cell(measure, estimate, min_speakers=scores.min_speakers, clips_in_all=in_all)
            for estimate, in_all in estimates
        ]
        rows.append(Row({"method": method.head}, cells))
    columns = [
        Column(name, name_with_counts(name, scores.clips[mask])) for name, mask in bands.items()
    ]
    if measure == "age_mae_years":
        columns.append(Column("macro_mae", MACRO))
        return ReportTable("age_bands", "Error by age band", BANDS_NOTE, columns, rows, SECTION)
    return ReportTable(
        "age_bias_by_decade", "Bias by decade of age", DECADES_NOTE, columns, rows, SECTION
    )


def _divide(table: pd.DataFrame, starts_years: Sequence[int]) -> Bands:
    """Return the rows of each band that has any."""
    years = table["age_years"].to_numpy(float)
    numbers = np.where(years >= 0, np.searchsorted(starts_years, years, side="right") - 1, -1)
    names = enumerate(name_bands(starts_years))
    return {name: numbers == number for number, name in names if (numbers == number).any()}


def _measure(
    rows: ResampledRows, starts_years: Sequence[int], measure: Measure, min_speakers: int
) -> list[tuple[Estimate, int]]:
    """Return the estimate and the number of clips of each band; last the macro-average of errors.

    Bands of fewer than `min_speakers` do not count in it.
    """
    bands, errors = _divide(rows.table, starts_years), signed_errors(rows.table)
    errors = np.abs(errors) if measure == "age_mae_years" else errors
    found = rows.average({name: np.where(mask, errors, np.nan) for name, mask in bands.items()})
    estimates = [(found[name], rows.count_clips(mask)) for name, mask in bands.items()]
    if measure == "age_mae_years":
        large = [name for name, estimate in found.items() if estimate.speakers >= min_speakers]
        shown = large or list(found)
        members = np.logical_or.reduce([bands[name] for name in shown])
        whole = rows.average({MACRO: errors}, members)[MACRO]
        macro = average_parts([found[name] for name in shown], whole)
        estimates.append((macro, rows.count_clips(members)))
    return estimates
