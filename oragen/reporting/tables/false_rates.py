"""Scores of all heads -> how often one head misses each class, and falsely says it."""

from typing import Final

import numpy as np
from jaxtyping import Float

from oragen.reporting.bootstrap import is_scored
from oragen.reporting.estimates import Estimate, to_cell
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import (
    PRESENTATIONS,
    Cell,
    Column,
    ReportTable,
    Row,
    TableMeasure,
)
from oragen.reporting.tables.calibration import SECTION
from oragen.reporting.tables.rows import TASK_NAMES
from oragen.schema.vocabulary import CLASS_TASKS, ClassTask
from oragen.training.metrics import list_predicted_labels

MEASURES: Final[tuple[TableMeasure, ...]] = (
    "class_false_negative_rate", "class_false_positive_rate", "class_false_discovery_rate",
)  # fmt: skip
NOTE: Final = (
    "Each class against the others. False negative: of its clips, those called another class. "
    "False positive: of the other clips, those called this one. False discovery: of the clips "
    "called this class, those of another."
)


def compare_false_rates(scores: HeadScores, head: str) -> ReportTable | None:
    """Show the false rates of each class of gender and mask type; None where none is labelled."""
    of_head = scores.widest_rows(head)
    rows = [
        Row(
            {"task": TASK_NAMES[task], "class": label},
            [_to_cell(found[label, name], name, scores.min_speakers) for name in MEASURES],
        )
        for task in CLASS_TASKS
        if (found := estimate_false_rates(of_head, task))
        for label in list_predicted_labels(of_head.table, task)
    ]
    if not rows:
        return None
    columns = [Column(name, PRESENTATIONS[name].title) for name in MEASURES]
    return ReportTable("false_rates", f"{head} by class: false rates", NOTE, columns, rows, SECTION)


def estimate_false_rates(
    rows: ResampledRows, task: ClassTask
) -> dict[tuple[str, TableMeasure], Estimate]:
    """Score each class against the others: Fawcett 2006, doi 10.1016/j.patrec.2005.10.010.

    Empty where no clip is scored.
    """
    table, scored = rows.table, is_scored(rows.table, task).to_numpy(bool)
    if not scored.any():
        return {}
    values: dict[tuple[str, TableMeasure], Float[np.ndarray, " rows"]] = {}
    for label in list_predicted_labels(table, task):
        is_label = (table[task] == label).to_numpy(bool)
        is_predicted = (table[f"predicted_{task}"] == label).to_numpy(bool)
        for measure, among in zip(MEASURES, (is_label, ~is_label, is_predicted), strict=True):
            is_wrong = is_label != is_predicted
            values[label, measure] = np.where(scored & among, is_wrong, np.nan)
    return rows.average(values)


def _to_cell(estimate: Estimate, measure: TableMeasure, min_speakers: int) -> Cell:
    """Mark a rate with the number of clips that it is a share of."""
    cell = to_cell(measure, estimate, min_speakers=min_speakers)
    return cell if cell.value is None else cell._replace(mark=f"{cell.clips} clips")
