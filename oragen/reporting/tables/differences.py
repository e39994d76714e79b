"""Scores of all heads -> every two of them compared on the same clips, as a matrix."""

from collections.abc import Mapping
from typing import Final

from oragen.reporting.bootstrap import Measure
from oragen.reporting.paired import SIGNIFICANCE, Difference, Pair, count_needed_resamples
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import (
    PRESENTATIONS,
    TOO_SMALL,
    Cell,
    Column,
    ReportTable,
    Row,
)
from oragen.reporting.tables.rows import MEASURES

SECTION: Final = "Differences between heads"
HOLDS: Final = "holds"


def compare_differences(scores: HeadScores) -> list[ReportTable]:
    """Show which differences between heads hold, for a score of each task.

    Each head predicts from all modalities it takes, over all corpora. A task by which no two heads
    can be compared has no table.
    """
    tables = []
    for task, measures in MEASURES.items():
        for measure in measures:
            if differences := scores.differences(measure):
                tables.append(_tabulate(scores, task, measure, differences))
                break  # distances to age bands where no age is known in years
    return tables


def _tabulate(
    scores: HeadScores, task: str, measure: Measure, differences: Mapping[Pair, Difference]
) -> ReportTable:
    both_ways = {**differences, **{(b, a): found.turned() for (a, b), found in differences.items()}}
    heads = [method.head for method in scores.methods
             if any(method.head in pair for pair in differences)]  # fmt: skip
    in_all = scores.clips["clip_id"].nunique()
    rows = [
        Row({"method": one}, [to_difference_cell(measure, both_ways.get((one, other)), in_all)
                              for other in heads])
        for one in heads
    ]  # fmt: skip
    return ReportTable(
        f"differences_{task}", f"Is the difference real: {PRESENTATIONS[measure].title}",
        _describe(sum(found.p_value is not None for found in differences.values()),
                  scores.draws.num_resamples),
        [Column(f"minus_{head}", f"minus {head}") for head in heads], rows, SECTION,
    )  # fmt: skip


def to_difference_cell(measure: Measure, difference: Difference | None, in_all: int | None) -> Cell:
    """Put a difference of scores into a cell; None: there is none."""
    if difference is None:
        return Cell(measure, None, clips_in_all=in_all)
    value, low, high, p_value, clips, speakers = difference
    if p_value is None:
        return Cell(
            measure, None, clips=clips, clips_in_all=in_all, speakers=speakers, mark=TOO_SMALL
        )
    return Cell(
        measure, value, low, high, clips=clips, clips_in_all=in_all, speakers=speakers,
        mark=HOLDS if difference.holds else "", p_value=p_value,
    )  # fmt: skip


def _describe(num_pairs: int, num_resamples: int) -> str:
    note = (
        "The score of the row's head minus that of the column's, on the clips that both predict. "
        f"`{HOLDS}`: beyond chance, as p is below {SIGNIFICANCE:g}. p is corrected by Holm's "
        f"method for {num_pairs} pair{'' if num_pairs == 1 else 's'}; the interval is not."
    )
    return note + warn_of_few_resamples(num_pairs, num_resamples)


def warn_of_few_resamples(num_tests: int, num_resamples: int) -> str:
    """Say where no difference can hold, however large it is; else nothing."""
    needed = count_needed_resamples(num_tests)
    if num_resamples >= needed:
        return ""
    return (
        f" With {num_resamples} resamples no difference can hold: set report.num_resamples to "
        f"{needed} or more."
    )
