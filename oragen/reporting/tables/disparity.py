"""Scores of one head by group -> how far the best and the worst group are apart (disparity)."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from oragen.reporting.estimates import Estimate, find_interval, to_cell
from oragen.reporting.group_estimates import GroupEstimates
from oragen.reporting.table_formats import (
    TOO_SMALL,
    Cell,
    CellMeasure,
    Column,
    Label,
    ReportTable,
    Row,
)
from oragen.schema.vocabulary import Task

SECTION: Final = "Groups"
TASK_TITLES: Final[dict[Task, str]] = {
    "gender": "Gender UAR %", "age": "Age MAE, years", "mask_type": "Mask UAR %",
}  # fmt: skip
COLUMNS: Final = [
    Column("worst", "Worst group"),
    Column("best", "Best group"),
    Column("difference", "Max − min"),
    Column("ratio", "Max / min"),
]
NOTE: Final = (
    "How far the best and the worst group are apart: 0 and a ratio of 1 where all are alike. "
    "Chance alone parts small groups, so look at the interval and the number of speakers, too."
)
Groups = Mapping[str, Estimate]


def measure_disparity(
    groups: Sequence[GroupEstimates], head: str, min_speakers: int
) -> ReportTable | None:
    """Compare the groups of each attribute in each task; None where nothing can be compared.

    Args:
        groups: of one head.
        head: its name.
        min_speakers: a group of fewer is not compared.
    """
    lines = []
    for attribute in dict.fromkeys(group.attribute for group, _ in groups):
        members = [one for one in groups if one.group.attribute == attribute]
        for task, title in TASK_TITLES.items():
            found = {one.group.name: one.of_task[task].estimate for one in members}
            known = {
                name: score for name, score in found.items() if score is not None and score.clips
            }
            if len(known) > 1:
                measure = members[0].of_task[task].measure
                lines.append(_compare(attribute, title, measure, known, min_speakers))
    if not lines:
        return None
    title = f"{head}: the best and the worst group"
    return ReportTable("disparity", title, NOTE, COLUMNS, lines, SECTION)


def _compare(
    attribute: str, title: str, measure: CellMeasure, groups: Groups, min_speakers: int
) -> Row:
    """Compare the groups that are large enough."""
    large = {
        name: estimate
        for name, estimate in groups.items()
        if estimate.least_speakers >= min_speakers
    }
    labels: dict[str, Label] = {"by": attribute, "score": title, "groups": len(large)}
    in_years = measure == "age_mae_years"
    difference: CellMeasure = "years_difference" if in_years else "share_difference"
    if len(large) < 2:
        measures: tuple[CellMeasure, ...] = (measure, measure, difference, "ratio")
        return Row(labels, [Cell(name, None, mark=TOO_SMALL) for name in measures])
    ordered = sorted(large, key=lambda name: large[name].value, reverse=in_years)
    extremes = [
        to_cell(measure, large[name], min_speakers=min_speakers)._replace(mark=name)
        for name in (ordered[0], ordered[-1])
    ]
    return Row(labels, [*extremes, *_part(difference, list(large.values()))])


def _part(measure: CellMeasure, groups: Sequence[Estimate]) -> list[Cell]:
    """Return the difference and the ratio of the largest and the smallest value.

    Which groups they are is found anew in each resample.
    """
    values = np.array([group.value for group in groups])
    resampled = np.stack([group.means for group in groups])  # groups, resamples
    clips = sum(group.clips for group in groups)
    # A group of which nobody was drawn is not compared.
    highest, lowest = np.fmax.reduce(resampled), np.fmin.reduce(resampled)
    cells = [Cell(measure, float(np.ptp(values)), *find_interval(highest - lowest))]
    if values.min() > 0:
        ratios = np.full_like(highest, np.inf)
        np.divide(highest, lowest, out=ratios, where=lowest != 0)
        cells.append(Cell("ratio", float(values.max() / values.min()), *find_interval(ratios)))
    else:
        cells.append(Cell("ratio", None))
    return [cell._replace(clips=clips, clips_in_all=clips) for cell in cells]
