"""Scores of all heads -> heads of one kind compared by the corpora that they were trained on."""

from typing import Final

from oragen.reporting.bootstrap import Measure
from oragen.reporting.scores import OVERALL, HeadScores, Method
from oragen.reporting.table_formats import PRESENTATIONS, Cell, ReportTable, Row
from oragen.reporting.tables.rows import (
    MEASURES,
    corpus_column,
    drop_equal_labels,
    has_score,
    label_method,
)

WITHIN: Final = "within"


def compare_training_corpora(scores: HeadScores) -> list[ReportTable]:
    """Compare heads of one variant and level by the corpora that they were trained on.

    A corpus that a head was trained on is marked; the speakers that it is tested on are others.
    """
    rivals = _find_rivals(scores)
    corpora = [scope for scope in scores.scopes if scope != OVERALL]
    tables = []
    for task, (measure, *_) in MEASURES.items():
        rows = [
            Row(
                label_method(method),
                [_mark(scores, method, corpus, measure) for corpus in corpora],
            )
            for method in rivals
        ]
        if has_score(rows):
            tables.append(
                ReportTable(
                    f"training_corpora_{task}",
                    f"Across corpora: {PRESENTATIONS[measure].title}",
                    f"Heads of one kind that were trained on different corpora, scored on each; "
                    f"`{WITHIN}`: trained on other speakers of that corpus.",
                    [corpus_column(scores, corpus, measure) for corpus in corpora],
                    drop_equal_labels(rows),
                )
            )
    return tables


def _find_rivals(scores: HeadScores) -> list[Method]:
    """Return the heads of which there is one of the same kind, trained on other corpora."""
    trained_on: dict[tuple[str, str], set[str]] = {}
    for method in scores.methods:
        trained_on.setdefault((method.variant, method.level), set()).add(method.trained_on)
    return [
        method for method in scores.methods if len(trained_on[method.variant, method.level]) > 1
    ]


def _mark(scores: HeadScores, method: Method, corpus: str, measure: Measure) -> Cell:
    cell = scores.cell(method.head, method.modalities, corpus, measure)
    return cell._replace(mark=WITHIN if corpus in method.trained_on.split(", ") else "")
