"""Error rates with a buffer -> a table: how old one must look to pass an age threshold."""

from collections.abc import Sequence
from typing import Final

from oragen.reporting.challenge_rates import ChallengeRates, measure_challenges
from oragen.reporting.estimates import Estimate, to_cell
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import Column, ReportTable, Row, TableMeasure
from oragen.reporting.tables.thresholds import SECTION, find_thresholds

BUFFERS_YEARS: Final = (0, 1, 2, 3, 5, 7, 10)
NOTE: Final = (
    "What it costs to let only those pass who are predicted some years older than the threshold: "
    "FPR falls and FNR rises. +7 at 18 is Challenge 25. Clips of known age only."
)


def compare_challenge_ages(
    scores: HeadScores, head: str, thresholds_years: Sequence[int]
) -> ReportTable | None:
    """Show both error rates of one head by the buffer that is added to each threshold.

    None where no threshold has clips of known age on both sides.
    """
    thresholds = find_thresholds(scores, thresholds_years)
    if not thresholds:
        return None
    rows = [
        row
        for rates in measure_challenges(scores, head, thresholds, BUFFERS_YEARS)
        for row in (
            _make_row(scores, rates, "FPR under age %", "false_positive_rate"),
            _make_row(scores, rates, "FNR over age %", "false_negative_rate"),
        )
    ]
    columns = [Column(f"buffer_{years}", f"+{years}") for years in BUFFERS_YEARS]
    return ReportTable(
        "challenge_ages", f"{head} with a buffer above the threshold", NOTE, columns, rows, SECTION
    )


def _make_row(scores: HeadScores, rates: ChallengeRates, title: str, measure: TableMeasure) -> Row:
    is_under = measure == "false_positive_rate"
    estimates: list[Estimate] = rates.false_positives if is_under else rates.false_negatives
    cells = [to_cell(measure, estimate, min_speakers=scores.min_speakers) for estimate in estimates]
    counts = f"{estimates[0].clips} clips, {estimates[0].speakers} speakers"
    return Row({"threshold": rates.threshold_years, "rate": title, "of": counts}, cells)
