"""Scores of all heads -> how well their probabilities are calibrated, and order their errors."""

from typing import Final

from oragen.reporting.certainty import estimate_certainty
from oragen.reporting.estimates import to_cell
from oragen.reporting.scores import HeadScores, Method
from oragen.reporting.table_formats import (
    PRESENTATIONS,
    Column,
    ReportTable,
    Row,
    TableMeasure,
)
from oragen.reporting.tables.rows import TASK_NAMES, drop_equal_labels, label_method
from oragen.schema.vocabulary import CLASS_TASKS, ClassTask

SECTION: Final = "Errors of the classes"
MEASURES: Final[tuple[TableMeasure, ...]] = ("brier", "nll", "ece", "aurc")
NOTE: Final = (
    "Lower is better. Brier score and NLL: how far the probabilities are from the labels. ECE: the "
    "mean gap of confidence and accuracy. AURC: the share of errors, averaged over all shares of "
    "clips that are answered, the surest first."
)


def compare_calibration(scores: HeadScores) -> list[ReportTable]:
    """Compare the probabilities of all heads over all corpora; a task without any has no table."""
    return [table for task in CLASS_TASKS if (table := _compare(scores, task)) is not None]


def _compare(scores: HeadScores, task: ClassTask) -> ReportTable | None:
    rows = [_score(scores, task, method) for method in scores.methods]
    if not any(cell.clips for row in rows for cell in row.cells):
        return None
    columns = [Column(name, PRESENTATIONS[name].title) for name in MEASURES]
    title = f"Calibration and abstention: {TASK_NAMES[task]}"
    name = f"calibration_{task}"
    return ReportTable(name, title, NOTE, columns, drop_equal_labels(rows), SECTION)


def _score(scores: HeadScores, task: ClassTask, method: Method) -> Row:
    rows = scores.widest_rows(method.head)
    found = estimate_certainty(rows, task)
    in_all = rows.num_clips
    cells = [
        to_cell(name, found.get(name), min_speakers=scores.min_speakers, clips_in_all=in_all)
        for name in MEASURES
    ]
    return Row(label_method(method), cells)
