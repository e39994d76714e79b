"""Tables and figures of a report -> the sections of its page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from oragen.reporting.figures.figure import Figure
from oragen.reporting.run_description import describe_drawn
from oragen.reporting.table_formats import HOW_TO_READ, ReportTable, to_cells


@dataclass(frozen=True)
class PageTable:
    """Cells as they are to be read; a column of numbers is aligned right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"Table {self.title!r} has {len(self.columns)} columns, but a row of "
                    f"{len(row)} cells: {list(row)}."
                )


PagePart: TypeAlias = PageTable | Figure


@dataclass(frozen=True)
class PageSection:
    """A heading, a paragraph for each string of `text`, then tables and figures in their order.

    Figures that follow each other are side by side where there is room.
    """

    title: str
    parts: Sequence[PagePart] = ()
    text: Sequence[str] = ()


def lay_out(
    tables: Sequence[ReportTable],
    figures: Sequence[Figure],
    explanations: Sequence[Figure],
    head: str,
    *,
    best: Sequence[str] = (),
    drawn: Sequence[str] = (),
) -> list[PageSection]:
    """Put tables and figures into the sections of a page; the table of counts comes last.

    Args:
        tables: of the report, the last one with the counts.
        figures: of one head; below the tables of their section, if they name one.
        explanations: figures of single clips.
        head: its name.
        best: which heads are best, a paragraph for each score.
        drawn: the corpora whose people are drawn.
    """
    *scores, counts = tables
    titles = list(dict.fromkeys(table.section for table in scores))
    sections = [
        *(_join_section(title, scores, figures) for title in titles),
        PageSection(f"{head} in figures", [one for one in figures if one.section not in titles]),
        PageSection("Single clips", explanations, describe_drawn(drawn)),
        PageSection("Counts", [_to_page_table(counts)]),
    ]
    if titles:
        sections[0] = replace(sections[0], text=[HOW_TO_READ])
    with_parts = [section for section in sections if section.parts]
    return [PageSection("Best heads", text=best), *with_parts] if best else with_parts


def _join_section(
    title: str, tables: Sequence[ReportTable], figures: Sequence[Figure]
) -> PageSection:
    """Put the tables of a section into it, and the figures below them."""
    parts: list[PagePart] = [_to_page_table(table) for table in tables if table.section == title]
    return PageSection(title, [*parts, *(figure for figure in figures if figure.section == title)])


def to_section(table: ReportTable) -> PageSection:
    """Put one table into a section of its own."""
    return PageSection(table.title, [_to_page_table(table)])


def _to_page_table(table: ReportTable) -> PageTable:
    columns, rows = to_cells(table)
    return PageTable(title=table.title, columns=columns, rows=rows, note=table.note)
