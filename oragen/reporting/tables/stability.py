"""Scores of all heads -> how steady predictions of one person are, also behind a mask."""

from typing import Final

from oragen.reporting.bootstrap import Measure
from oragen.reporting.estimates import to_cell
from oragen.reporting.paired import decide_differences
from oragen.reporting.scores import HeadScores, Method
from oragen.reporting.stability import BARE, compare_with_bare, estimate_spreads
from oragen.reporting.table_formats import (
    PRESENTATIONS,
    Column,
    ReportTable,
    Row,
    TableMeasure,
)
from oragen.reporting.tables.differences import HOLDS, to_difference_cell, warn_of_few_resamples
from oragen.reporting.tables.rows import drop_equal_labels, label_method
from oragen.schema.vocabulary import MASK_TYPES

SECTION: Final = "Stability"
SPREADS: Final[tuple[TableMeasure, ...]] = (
    "age_std_within_person_years", "age_std_within_clip_years", "female_std_within_person",
    "female_std_within_clip", "people_of_two_genders",
)  # fmt: skip
MASKED: Final[tuple[Measure, ...]] = ("age_mae_years", "age_bias_years", "gender_recall")
ANY: Final = "any mask"
SPREAD_NOTE: Final = (
    "Lower is steadier. Within a person: over the clips of one person, of predicted minus true age "
    "and of the probability of `female`. Within a clip: over its windows."
)
MASK_NOTE: Final = (
    "Mean over the speakers who have both: their masked clips minus their bare ones. "
    f"`{HOLDS}`: beyond chance at 5 %, corrected by Holm's method for all cells."
)


def compare_stability(scores: HeadScores) -> ReportTable | None:
    """Show how far apart each head's predictions of one person are; None where nobody has two."""
    rows = [_score_spreads(scores, method) for method in scores.methods]
    if not any(cell.clips for row in rows for cell in row.cells):
        return None
    columns = [Column(name, PRESENTATIONS[name].title) for name in SPREADS]
    return ReportTable(
        "stability", "Standard deviations of predictions", SPREAD_NOTE, columns,
        drop_equal_labels(rows), SECTION,
    )  # fmt: skip


def compare_masked_speakers(scores: HeadScores, head: str) -> ReportTable | None:
    """Show what a mask changes for the same speakers; None where nobody is masked and bare."""
    of_head = scores.widest_rows(head)
    worn = {name: [name] for name in MASK_TYPES if name != BARE}
    estimates = compare_with_bare(of_head, {ANY: list(worn), **worn}, MASKED)
    differences = decide_differences(estimates, scores.min_speakers)
    rows = [
        Row(
            {"mask_type": name},
            [
                to_difference_cell(measure, differences.get((name, measure)), of_head.num_clips)
                for measure in MASKED
            ],
        )
        for name in (ANY, *worn)
        if any((name, measure) in differences for measure in MASKED)
    ]
    if not rows:
        return None
    columns = [Column(name, PRESENTATIONS[name].title) for name in MASKED]
    title = f"{head}: masked minus bare, of the same speakers"
    num_tests = sum(found.p_value is not None for found in differences.values())
    note = MASK_NOTE + warn_of_few_resamples(num_tests, scores.draws.num_resamples)
    return ReportTable("masked_speakers", title, note, columns, rows, SECTION)


def _score_spreads(scores: HeadScores, method: Method) -> Row:
    rows = scores.widest_rows(method.head)
    found = estimate_spreads(rows)
    cells = [
        to_cell(
            name, found.get(name), min_speakers=scores.min_speakers, clips_in_all=rows.num_clips
        )
        for name in SPREADS
    ]
    return Row(label_method(method), cells)
