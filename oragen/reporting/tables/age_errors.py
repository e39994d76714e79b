"""Scores of all heads -> how the errors of the age are distributed: mean, median and tails."""

from typing import Final

import numpy as np

from oragen.reporting.estimates import Estimate, to_cell
from oragen.reporting.group_estimates import signed_errors
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import (
    PRESENTATIONS,
    CellMeasure,
    Column,
    Label,
    ReportTable,
    Row,
)

SECTION: Final = "Errors of the age"
WITHIN_YEARS: Final[dict[CellMeasure, int]] = {
    "age_within_1_year": 1, "age_within_3_years": 3, "age_within_5_years": 5,
    "age_within_10_years": 10,
}  # fmt: skip
NOTE: Final = (
    "How far the predicted age is off over all corpora: CS@k is the share of clips at most k years "
    "off, and one clip in twenty is further off than the 95th percentile."
)


def compare_age_errors(scores: HeadScores) -> ReportTable | None:
    """Compare the errors of all heads from the widest modalities each takes; None: no known age."""
    if not (scores.clips["age_years"] >= 0).any():
        return None
    rows = []
    for method in scores.methods:
        of_head = scores.widest_rows(method.head)
        estimates = measure_errors(of_head)
        cells = [
            to_cell(measure, estimate, min_speakers=scores.min_speakers)
            for measure, estimate in estimates.items()
        ]
        counts = next(iter(estimates.values()))
        labels: dict[str, Label] = {
            "method": method.head, "scored_clips": counts.clips, "scored_speakers": counts.speakers
        }  # fmt: skip
        rows.append(Row(labels, cells))
    columns = [Column(measure, PRESENTATIONS[measure].title) for measure in estimates]
    return ReportTable("age_errors", "How far ages are off", NOTE, columns, rows, SECTION)


def measure_errors(rows: ResampledRows) -> dict[CellMeasure, Estimate]:
    """Measure the distribution of the absolute errors of one head."""
    errors = np.abs(signed_errors(rows.table))
    unknown = np.isnan(errors)
    values = {"mae": errors, "squares": errors**2}
    values |= {
        measure: np.where(unknown, np.nan, errors <= years)
        for measure, years in WITHIN_YEARS.items()
    }
    means = rows.average(values)
    median, tail = rows.find_quantiles(errors, (0.5, 0.95))
    return {
        "age_mae_years": means["mae"],
        "age_rmse_years": means["squares"].transform(np.sqrt),
        "age_median_error_years": median,
        "age_error_95_years": tail,
        **{measure: means[measure] for measure in WITHIN_YEARS},
        "age_over_10_years": means["age_within_10_years"].transform(lambda share: 1 - share),
    }
