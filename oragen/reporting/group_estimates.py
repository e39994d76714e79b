"""The rows of one head and a group of them -> its scores in each task, as estimates."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from oragen.reporting.bootstrap import Measure, is_scored
from oragen.reporting.estimates import Estimate, average_parts
from oragen.reporting.groupings import Group
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.table_formats import CellMeasure
from oragen.schema.vocabulary import CLASS_TASKS, ClassTask, Task
from oragen.training.metrics import list_predicted_labels

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
    values = _value_rows(rows.table)
    return [GroupEstimates(group, _estimate_group(rows, group, values)) for group in groups]


def _value_rows(table: pd.DataFrame) -> dict[str, Float[np.ndarray, " rows"]]:
    """Return what the scores of groups are means of: name -> a number for each row, or NaN.

    The names are `age`, each task with classes, and each such task with one of its labels.
    """
    values = {"age": np.abs(signed_errors(table))}
    for task in CLASS_TASKS:
        scored = is_scored(table, task).to_numpy(bool)
        predicted = table.get(f"predicted_{task}", pd.Series(None, table.index))
        values[task] = np.where(scored, (predicted == table[task]).to_numpy(bool), np.nan)
        for label in list_predicted_labels(table, task):
            of_label = (table[task] == label).to_numpy(bool)
            values[f"{task} {label}"] = np.where(of_label, values[task], np.nan)
    return values


def _estimate_group(
    rows: ResampledRows, group: Group, values: Mapping[str, Float[np.ndarray, " rows"]]
) -> dict[Task, TaskEstimate]:
    found = rows.average(values, group.rows)
    scored: dict[Task, TaskEstimate] = {"age": TaskEstimate("age_mae_years", found["age"])}
    for task in CLASS_TASKS:
        if group.attribute == task.replace("_", " "):
            scored[task] = TaskEstimate(RECALLS[task], found[task])
            continue
        parts = [
            estimate
            for name, estimate in found.items()
            if name.startswith(f"{task} ") and estimate.clips
        ]
        uar = average_parts(parts, found[task]) if len(parts) > 1 else None
        scored[task] = TaskEstimate(UARS[task], uar)
    return scored
