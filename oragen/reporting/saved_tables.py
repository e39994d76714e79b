"""Tables that a report wrote as JSON -> the same tables, and those of one head."""

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from oragen.reporting.table_formats import (
    HOW_TO_READ,
    PRESENTATIONS,
    Cell,
    Column,
    Label,
    ReportTable,
    Row,
)
from oragen.reporting.tables.usual_labels import NAME as USUAL
from oragen.schema.errors import UserError
from oragen.schema.strict_json import MAX_BYTES, JsonError, parse_object

COLUMN: Final = "column"  # of a record: the name of its column, behind its labels


def read_tables(folder: Path) -> list[ReportTable]:
    """Read the tables that `write_tables` wrote, in the order of their names.

    A table with a measure that is not known here, of another version, is left out.

    Raises:
        UserError: a file is no table of a report.
    """
    tables = [_read_table(path) for path in sorted(folder.glob("*.json"))]
    return [table for table in tables if table is not None]


def choose_tables(tables: Sequence[ReportTable], head: str) -> list[ReportTable]:
    """Return the tables about one head, and of those that compare methods its rows.

    The row of the usual labels stays beside it.
    """
    named = re.compile(rf"(?<![\w-]){re.escape(head)}(?![\w-])")
    chosen = []
    for table in tables:
        rows = table.rows
        if "method" in rows[0].labels:
            rows = [row for row in rows if row.labels["method"] in (head, USUAL)]
        elif not named.search(table.title):
            continue
        if any(row.labels.get("method", head) == head for row in rows):
            chosen.append(ReportTable(table.name, table.title, table.note, table.columns, rows))
    return chosen


def _read_table(path: Path) -> ReportTable | None:
    try:
        with path.open("rb") as file:
            saved = parse_object(file.read(MAX_BYTES + 1))
        records = saved["rows"]
        if {record["measure"] for record in records if COLUMN in record} - PRESENTATIONS.keys():
            return None
        rows = _join_records(records)
        note = str(saved["note"]).removesuffix(HOW_TO_READ).strip()
        title = str(saved["title"])
        columns = [_name_column(record) for record in records[: len(rows[0].cells)]]
    except (OSError, JsonError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no table of a report ({error!r}). Run `dvc repro report`."
        ) from error
    return ReportTable(path.stem, title, note, columns, rows)


def _join_records(records: Sequence[dict[str, Any]]) -> list[Row]:
    """Return a row for each run of records with the same labels."""
    rows: list[Row] = []
    for record in records:
        labels = _take_labels(record)
        if COLUMN not in record or not rows or rows[-1].labels != labels:
            rows.append(Row(labels, []))
        if COLUMN in record:
            rows[-1].cells.append(
                Cell(**{name: record[name] for name in Cell._fields if name in record})
            )
    return rows


def _take_labels(record: dict[str, Any]) -> dict[str, Label]:
    """Return the labels of a record, which stand before the name of its column."""
    return dict(takewhile(lambda field: field[0] != COLUMN, record.items()))


def _name_column(record: dict[str, Any]) -> Column:
    name, title = str(record[COLUMN]), PRESENTATIONS[record["measure"]].title
    return Column(name, title if name == record["measure"] else f"{name}: {title}")
