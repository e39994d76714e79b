"""Scores of all heads -> the numbers of clips behind them."""

from typing import Final

import pandas as pd

from oragen.reporting.scores import HeadScores, count_clips
from oragen.reporting.table_formats import Label, ReportTable, Row
from oragen.reporting.tables.rows import MODALITY_SET_NAMES

NOTE: Final = "How many clips and speakers there are, are predicted, and have each label."


def count_predictions(scores: HeadScores) -> ReportTable:
    """Count the clips, predictions and labels behind the scores, by corpus, head and modalities."""
    rows = []
    for scope in scores.scopes:
        labelled = _count_labels(scores.clips_of(scope))
        for method in scores.methods:
            for modalities in scores.modality_sets(method.head):
                predictions = scores.predictions(method.head, modalities, scope)
                labels: dict[str, Label] = {
                    "corpus": scope, "method": method.head,
                    "modalities": MODALITY_SET_NAMES[modalities],
                }  # fmt: skip
                rows.append(Row(labels | count_clips(predictions)._asdict() | labelled, []))
    return ReportTable("counts", "What the scores are based on", NOTE, [], rows, "Counts")


def _count_labels(clips: pd.DataFrame) -> dict[str, Label]:
    return {
        "with_gender": int(clips["gender"].notna().sum()),
        "with_age": int(clips["age_years"].notna().sum()),
        "with_age_band": int(clips[["age_low", "age_high"]].notna().all(axis=1).sum()),
        "with_mask_type": int(clips["mask_type"].notna().sum()),
    }
