"""Scores of one head -> its scores by group: gender, age band, mask type, columns of the user."""

from collections.abc import Sequence
from typing import Final

from oragen.reporting.estimates import to_cell
from oragen.reporting.group_estimates import GroupEstimates, TaskEstimate, estimate_groups
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import Cell, Column, Label, ReportTable, Row
from oragen.reporting.tables.disparity import SECTION, TASK_TITLES, measure_disparity

NOTE: Final = (
    "Each line scores the clips of one group: UAR over the classes, but within a gender the recall "
    "of that gender, and within a mask type that of the mask type."
)


def compare_by_group(
    scores: HeadScores, head: str, further: Sequence[str] = ()
) -> list[ReportTable]:
    """Show the scores of one head by each attribute alone, and how far its groups are apart.

    What is not known of any clip, or cannot be compared, has no table.

    Args:
        scores: of the heads.
        head: which one; it predicts from the widest modalities it takes.
        further: columns of the predictions to group by, too.
    """
    rows = scores.resampled_rows(head, scores.modality_sets(head)[0])
    groups = estimate_groups(rows, further)
    tables = [
        _list_scores(rows, groups, head, scores.min_speakers),
        measure_disparity(groups, head, scores.min_speakers),
    ]
    return [table for table in tables if table is not None]


def _list_scores(
    rows: ResampledRows, groups: Sequence[GroupEstimates], head: str, min_speakers: int
) -> ReportTable | None:
    lines = []
    for group, of_task in groups:
        clips = rows.count_clips(group.rows)
        labels: dict[str, Label] = {
            "group": group.name, "by": group.attribute,
            "clips_in_all": clips, "speakers_in_all": rows.count_speakers(group.rows),
        }  # fmt: skip
        cells = [_make_cell(of_task[task], min_speakers, clips) for task in TASK_TITLES]
        lines.append(Row(labels, cells))
    if not lines:
        return None
    columns = [Column(task, title) for task, title in TASK_TITLES.items()]
    return ReportTable("group_scores", f"{head} by group", NOTE, columns, lines, SECTION)


def _make_cell(found: TaskEstimate, min_speakers: int, clips_in_all: int) -> Cell:
    if found.estimate is None:
        return Cell(found.measure, None, clips_in_all=clips_in_all)
    return to_cell(
        found.measure, found.estimate, min_speakers=min_speakers, clips_in_all=clips_in_all
    )
