"""The table of errors by what a head had to work with -> a curve for each of its measures."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from oragen.reporting.bootstrap import Measure
from oragen.reporting.figures.canvas import BLUE, GREY, drawing, write_title
from oragen.reporting.table_formats import PRESENTATIONS, ReportTable, Row
from oragen.schema.vocabulary import Task

DRAWN: Final[dict[Task, Measure]] = {"age": "age_mae_years", "gender": "gender_uar"}


def draw_quality(path: Path, table: ReportTable, title: str) -> None:
    """Draw the error of the age and the UAR of the gender, with their 95 % intervals.

    Args:
        path: of the PNG.
        table: from `compare_quality`; a row is a quarter of the clips.
        title: above all.
    """
    panels = {name: list(rows) for name, rows in groupby(table.rows, lambda row: row.labels["by"])}
    columns = [column.name for column in table.columns]
    with drawing(path, 1 + 2.6 * len(panels), 5.6) as figure:
        write_title(figure, title)
        grid = figure.subplots(len(DRAWN), len(panels), squeeze=False, sharey="row")
        for line, (task, measure) in zip(grid, DRAWN.items(), strict=True):
            line[0].set_ylabel(PRESENTATIONS[measure].title)
            for axes, rows in zip(line, panels.values(), strict=True):
                _draw_curve(axes, rows, columns.index(task))
        for axes, name, rows in zip(grid[-1], panels, panels.values(), strict=True):
            axes.set_xlabel(str(name))
            axes.set_xticks(range(len(rows)), [_break(row) for row in rows], fontsize=8)


def _draw_curve(axes: Axes, rows: Sequence[Row], column: int) -> None:
    axes.grid(True, axis="y")
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.set_xticks(range(len(rows)), [""] * len(rows))
    drawn = []
    for place, row in enumerate(rows):
        cell = row.cells[column]
        if cell.value is None:
            continue
        scale = PRESENTATIONS[cell.measure].scale
        drawn.append((place, cell.value * scale))
        if cell.low is not None and cell.high is not None:
            axes.vlines(place, cell.low * scale, cell.high * scale, color=BLUE, alpha=0.4, lw=6)
        axes.annotate(
            f"n {cell.clips}", (place, 0), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", fontsize=8, color=GREY,
        )  # fmt: skip
    axes.plot([place for place, _ in drawn], [value for _, value in drawn], "o-", color=BLUE)


def _break(row: Row) -> str:
    return str(row.labels["group"]).replace(" to ", "\nto ")
