"""Predictions of all heads -> how many clips are unlike those of training."""

from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import Label, ReportTable, Row
from oragen.reporting.tables.rows import MODALITY_SET_NAMES

NOTE = (
    "Clips beyond the limit that 95 of 100 clips like those of dev stay within: their predictions "
    "are guesses, and their ages have no interval."
)


def count_unfamiliar(scores: HeadScores) -> ReportTable | None:
    """Count the unfamiliar clips of each head, by corpus; None where no head can tell."""
    rows = []
    for scope in scores.scopes:
        for method in scores.methods:
            for modalities in scores.modality_sets(method.head):
                predictions = scores.predictions(method.head, modalities, scope)
                if "unfamiliarity" not in predictions:  # of an earlier version
                    continue
                known = predictions.drop_duplicates("clip_id")["unfamiliarity"].dropna()
                if known.empty:
                    continue
                beyond = int((known > 1).sum())
                labels: dict[str, Label] = {
                    "corpus": scope, "method": method.head,
                    "modalities": MODALITY_SET_NAMES[modalities],
                    "measured": len(known), "unfamiliar": beyond,
                    "share": f"{beyond / len(known):.0%}",
                }  # fmt: skip
                rows.append(Row(labels, []))
    if not rows:
        return None
    return ReportTable("unfamiliar", "Clips unlike those of training", NOTE, [], rows)
