"""Scores of all heads -> one head with all modalities, and with one withheld."""

from typing import Final

from oragen.reporting.scores import HeadScores, count_clips
from oragen.reporting.table_formats import PRESENTATIONS, Column, ReportTable, Row
from oragen.reporting.tables.rows import MEASURES, MODALITY_SET_NAMES, has_age_bands

NOTE: Final = "What the same head scores when the voice or the face of each clip is hidden from it."


def compare_modalities(scores: HeadScores, head: str) -> ReportTable:
    """Show one head with all modalities, and with one withheld, by corpus."""
    measures = [name for names in MEASURES.values() for name in names]
    if not has_age_bands(scores.clips):
        measures.remove("age_interval_error_years")
    rows = [
        Row(
            {
                "corpus": scope,
                "modalities": MODALITY_SET_NAMES[modalities],
                **count_clips(scores.predictions(head, modalities, scope))._asdict(),
            },
            [scores.cell(head, modalities, scope, measure) for measure in measures],
        )
        for scope in scores.scopes
        for modalities in scores.modality_sets(head)
    ]
    return ReportTable(
        "modalities", f"{head} with all modalities, and with one withheld", NOTE,
        [Column(name, PRESENTATIONS[name].title) for name in measures], rows,
    )  # fmt: skip
