"""Tables of a report, plain data -> Markdown, CSV, JSON, or cells for a page.

Markdown shows rounded numbers; CSV and JSON have a record for each cell with all digits, shares
from 0 to 1 and errors in years.
"""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from oragen.reporting.bootstrap import Measure
from oragen.schema.files import write_text
from oragen.schema.names import neutralise

HOW_TO_READ: Final = (  # once in a report, above all tables
    "Brackets: 95 % bootstrap interval over speakers. ±: standard deviation over training seeds. "
    "n: scored clips, shown where some lack a label or a prediction. Too small: fewer speakers "
    "than report.min_speakers. Intervals of few speakers are too narrow."
)
TOO_SMALL: Final = "too small"  # in the place of a score of few speakers
# What is scored in some tables alone; docs/report.md has the definitions and their sources.
TableMeasure = Literal[
    "false_positive_rate",
    "false_negative_rate",
    "referred_rate",
    "failure_rate",
    "mask_type_recall",
    "age_rmse_years",
    "age_median_error_years",
    "age_error_95_years",
    "age_within_1_year",
    "age_within_3_years",
    "age_within_5_years",
    "age_within_10_years",
    "age_over_10_years",
    "brier",
    "nll",
    "ece",
    "aurc",
    "class_false_negative_rate",
    "class_false_positive_rate",
    "class_false_discovery_rate",
    "age_fixed_coverage",
    "age_interval_coverage",
    "gender_set_coverage",
    "mask_type_set_coverage",
    "age_std_within_person_years",
    "age_std_within_clip_years",
    "female_std_within_person",
    "female_std_within_clip",
    "people_of_two_genders",
    "share_difference",
    "years_difference",
    "ratio",
]
CellMeasure = Measure | TableMeasure
Label = str | int
Record = dict[str, str | float | int | None]


class Presentation(NamedTuple):
    """How people read a measure."""

    title: str
    scale: float
    digits: int


PRESENTATIONS: Final[dict[CellMeasure, Presentation]] = {
    "gender_uar": Presentation("Gender UAR %", 100.0, 1),
    "gender_recall": Presentation("Gender recall %", 100.0, 1),
    "age_mae_years": Presentation("Age MAE, years", 1.0, 2),
    "age_bias_years": Presentation("Predicted minus true age, years", 1.0, 2),
    "age_interval_error_years": Presentation("Distance to age band, years", 1.0, 2),
    "mask_type_uar": Presentation("Mask UAR %", 100.0, 1),
    "age_fixed_coverage": Presentation("Age, one width %", 100.0, 1),
    "age_interval_coverage": Presentation("Age, by condition %", 100.0, 1),
    "gender_set_coverage": Presentation("Gender set %", 100.0, 1),
    "mask_type_set_coverage": Presentation("Mask type set %", 100.0, 1),
    "mask_type_recall": Presentation("Mask recall %", 100.0, 1),
    "false_positive_rate": Presentation("FPR under age %", 100.0, 1),
    "false_negative_rate": Presentation("FNR over age %", 100.0, 1),
    "referred_rate": Presentation("Referred onward %", 100.0, 1),
    "failure_rate": Presentation("Failure to process %", 100.0, 1),
    "age_rmse_years": Presentation("RMSE, years", 1.0, 2),
    "age_median_error_years": Presentation("Median error, years", 1.0, 2),
    "age_error_95_years": Presentation("95th percentile, years", 1.0, 1),
    "age_within_1_year": Presentation("CS@1 %", 100.0, 1),
    "age_within_3_years": Presentation("CS@3 %", 100.0, 1),
    "age_within_5_years": Presentation("CS@5 %", 100.0, 1),
    "age_within_10_years": Presentation("CS@10 %", 100.0, 1),
    "age_over_10_years": Presentation("Over 10 years %", 100.0, 1),
    "brier": Presentation("Brier score", 1.0, 3),
    "nll": Presentation("NLL, nats", 1.0, 3),
    "ece": Presentation("ECE %", 100.0, 1),
    "aurc": Presentation("AURC %", 100.0, 2),
    "class_false_negative_rate": Presentation("False negative rate %", 100.0, 1),
    "class_false_positive_rate": Presentation("False positive rate %", 100.0, 1),
    "class_false_discovery_rate": Presentation("False discovery rate %", 100.0, 1),
    "age_std_within_person_years": Presentation("Age within a person, years", 1.0, 2),
    "age_std_within_clip_years": Presentation("Age within a clip, years", 1.0, 2),
    "female_std_within_person": Presentation("P(female) within a person, %", 100.0, 1),
    "female_std_within_clip": Presentation("P(female) within a clip, %", 100.0, 1),
    "people_of_two_genders": Presentation("People called by both genders, %", 100.0, 1),
    "share_difference": Presentation("Difference, points", 100.0, 1),
    "years_difference": Presentation("Difference, years", 1.0, 2),
    "ratio": Presentation("Ratio", 1.0, 2),
}


class Cell(NamedTuple):
    """A score, and what it is based on; None as its value where there is nothing to score."""

    measure: CellMeasure
    value: float | None
    low: float | None = None
    high: float | None = None
    std_over_seeds: float | None = None
    clips: int | None = None  # scored: labelled and predicted; None = not published
    clips_in_all: int | None = None
    speakers: int | None = None  # of the scored clips
    mark: str = ""
    p_value: float | None = None  # of a difference of scores


class Column(NamedTuple):
    """A column of cells."""

    name: str  # as CSV and JSON call it
    header: str  # as people read it


class Row(NamedTuple):
    """A line of a table; all lines have the same labels."""

    labels: dict[str, Label]
    cells: list[Cell]


@dataclass(frozen=True)
class ReportTable:
    """A table that people read, and programs."""

    name: str  # of its files
    title: str
    note: str  # how to read it, in one sentence; then what else must be known
    columns: list[Column]
    rows: list[Row]  # at least one
    section: str = "Scores"  # of the page; sections stand in the order of their first tables


def to_cells(table: ReportTable) -> tuple[list[str], list[list[str]]]:
    """Table -> headers and lines as people read them, numbers rounded."""
    titles = [name.replace("_", " ").capitalize() for name in table.rows[0].labels]
    headers = [*titles, *(column.header for column in table.columns)]
    lines = [[*map(str, row.labels.values()), *map(_to_text, row.cells)] for row in table.rows]
    return headers, lines


def to_markdown(table: ReportTable) -> str:
    """Table -> Markdown under a heading, numbers rounded; `HOW_TO_READ` says what they mean."""
    headers, lines = to_cells(table)
    ruler = ["---:" if isinstance(label, int) else "---" for label in table.rows[0].labels.values()]
    ruler += ["---:"] * len(table.columns)
    body = "\n".join(
        f"| {' | '.join(cell.replace('|', '/') for cell in line)} |"
        for line in (headers, ruler, *lines)
    )
    return "\n\n".join(part for part in (f"## {table.title}", table.note, body) if part) + "\n"


def to_records(table: ReportTable) -> list[Record]:
    """Table -> a record for each cell: the line's labels, the column, and all of the score.

    A table without cells gives a record for each line. Only where differences are tested there is
    a `p_value`.
    """
    records: list[Record] = []
    is_tested = any(cell.p_value is not None for row in table.rows for cell in row.cells)
    fields = [name for name in Cell._fields if name != "p_value" or is_tested]
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            of_cell = {name: getattr(cell, name) for name in fields}
            records.append({**row.labels, "column": column.name, **of_cell})
        if not table.columns:
            records.append({**row.labels})
    return records


def to_csv(table: ReportTable) -> str:
    """Table -> CSV of its records; what is missing is empty."""
    records = to_records(table)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: neutralise(cell) for name, cell in row.items()} for row in records)
    return text.getvalue()


def to_json(table: ReportTable) -> str:
    """Table -> JSON of its title, note and records; what is missing is null."""
    content = {
        "title": table.title,
        "note": " ".join([table.note, HOW_TO_READ]).strip(),
        "rows": to_records(table),
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_tables(folder: Path, tables: Iterable[ReportTable]) -> None:
    """Write each table as `<name>.csv` and `<name>.json`."""
    for table in tables:
        write_text(folder / f"{table.name}.csv", to_csv(table))
        write_text(folder / f"{table.name}.json", to_json(table))


def write_markdown(
    path: Path, tables: Iterable[ReportTable], *, title: str, opening: Iterable[str]
) -> None:
    """Write all tables as one Markdown file, with paragraphs under its title."""
    above = "".join(f"{paragraph}\n\n" for paragraph in (f"# {title}", *opening, HOW_TO_READ))
    write_text(path, above + "\n".join(map(to_markdown, tables)))


def to_number(cell: Cell) -> str:
    """Cell -> its score as people read it, such as `96.7`; a dash where there is none."""
    _, scale, digits = PRESENTATIONS[cell.measure]
    return "–" if cell.value is None else f"{cell.value * scale:.{digits}f}"


def _to_text(cell: Cell) -> str:
    """Cell -> such as `96.7 [93.0, 99.1] ± 1.2, n 24 (within)`; a dash where there is no score."""
    if cell.value is None:
        return TOO_SMALL if cell.mark == TOO_SMALL else "–"
    _, scale, digits = PRESENTATIONS[cell.measure]
    sign = "" if cell.p_value is None else "+z"  # -0.0 is 0.0
    text = f"{cell.value * scale:{sign}.{digits}f}"
    if cell.low is not None and cell.high is not None:
        text += f" [{cell.low * scale:{sign}.{digits}f}, {cell.high * scale:{sign}.{digits}f}]"
    if cell.std_over_seeds is not None:
        text += f" ± {cell.std_over_seeds * scale:.{digits}f}"
    if cell.clips != cell.clips_in_all:
        text += f", n {cell.clips}"
    if cell.p_value is not None:
        text += f", p {cell.p_value:.3f}"
    return text + (f" ({cell.mark})" if cell.mark else "")
