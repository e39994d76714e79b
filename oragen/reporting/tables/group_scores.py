"""Scores of one head -> its scores by group: gender, age band, mask type, columns of the user."""

from collections.abc import Sequence
from typing import Final

from oragen.reporting.estimates import to_cell
from oragen.reporting.group_estimates import GroupEstimates, estimate_groups
from oragen.reporting.groupings import list_groups
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import Column, Label, ReportTable, Row
from oragen.reporting.tables.disparity import SECTION, TASK_TITLES, measure_disparity

COLUMNS: Final = [Column(task, title) for task, title in TASK_TITLES.items()]
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
    rows = scores.widest_rows(head)
    groups = estimate_groups(rows, list_groups(rows.table, further))
    lines = list_scores(rows, groups, scores.min_speakers)
    if not lines:
        return []
    by_group = ReportTable("group_scores", f"{head} by group", NOTE, COLUMNS, lines, SECTION)
    disparity = measure_disparity(groups, head, scores.min_speakers)
    return [by_group] if disparity is None else [by_group, disparity]


def list_scores(
    rows: ResampledRows, groups: Sequence[GroupEstimates], min_speakers: int
) -> list[Row]:
    """Make a line of each group: its name, its counts and its score in each task."""
    lines = []
    for group, of_task in groups:
        clips = rows.count_clips(group.rows)
        labels: dict[str, Label] = {
            "group": group.name, "by": group.attribute,
            "clips_in_all": clips, "speakers_in_all": rows.count_speakers(group.rows),
        }  # fmt: skip
        cells = [
            to_cell(*of_task[task], min_speakers=min_speakers, clips_in_all=clips)
            for task in TASK_TITLES
        ]
        lines.append(Row(labels, cells))
    return lines
