"""The rows of one head and a group of them -> its scores in each task, as estimates."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from oragen.reporting.bootstrap import Measure
from oragen.reporting.estimates import Estimate, average_parts
from oragen.reporting.groupings import Group
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.row_scores import WHOLE, value_classes
from oragen.reporting.table_formats import CellMeasure
from oragen.schema.vocabulary import CLASS_TASKS, ClassTask, Task

UARS: Final[dict[ClassTask, Measure]] = {"gender": "gender_uar", "mask_type": "mask_type_uar"}
RECALLS: Final[dict[ClassTask, CellMeasure]] = {
    "gender": "gender_recall", "mask_type": "mask_type_recall",
}  # fmt: skip


class TaskEstimate(NamedTuple):
    """A score in one task; None where there is nothing to score."""

    measure: CellMeasure
    estimate: Estimate | None


class GroupEstimates(NamedTuple):
    """The scores of a group."""

    group: Group
    of_task: dict[Task, TaskEstimate]


def signed_errors(table: pd.DataFrame) -> Float[np.ndarray, " rows"]:
    """Return predicted minus true age, NaN where one is not known."""
    true = table["age_years"].to_numpy(float)
    return np.where(true >= 0, table["predicted_age_years"].to_numpy(float) - true, np.nan)


def estimate_groups(rows: ResampledRows, groups: Sequence[Group]) -> list[GroupEstimates]:
    """Score each group: MAE, and UAR over the classes; within a class there is only its recall.

    Args:
        rows: of the head.
        groups: of them.
    """
    values = _value_rows(rows)
    return [GroupEstimates(group, _estimate_group(rows, group, values)) for group in groups]


def _value_rows(rows: ResampledRows) -> dict[tuple[Task, str], Float[np.ndarray, " rows"]]:
    """Return what the scores of groups are means of, by task and class; see `value_classes`."""
    measures: list[tuple[Task, Measure]] = [("age", "age_mae_years"), *UARS.items()]
    return {
        (task, label): values
        for task, measure in measures
        for label, values in value_classes(rows, measure).items()
    }


def _estimate_group(
    rows: ResampledRows,
    group: Group,
    values: Mapping[tuple[Task, str], Float[np.ndarray, " rows"]],
) -> dict[Task, TaskEstimate]:
    found = rows.average(values, group.rows)
    scored: dict[Task, TaskEstimate] = {"age": TaskEstimate("age_mae_years", found["age", WHOLE])}
    for task in CLASS_TASKS:
        whole = found[task, WHOLE]
        if group.attribute == task.replace("_", " "):
            scored[task] = TaskEstimate(RECALLS[task], whole)
            continue
        parts = [
            estimate
            for (of_task, label), estimate in found.items()
            if of_task == task and label != WHOLE and estimate.clips
        ]
        uar = average_parts(parts, whole) if len(parts) > 1 else None
        scored[task] = TaskEstimate(UARS[task], uar)
    return scored
