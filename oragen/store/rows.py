"""The header of a part -> its rows; the rows of all parts -> where each key is."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from oragen.schema.vocabulary import PASSING_REASONS, Json
from oragen.store.failures import name_failures
from oragen.store.formats import PartFormat, read_layout
from oragen.store.hashing import SCHEMA_VERSION
from oragen.store.headers import ROW_COLUMNS

logger = logging.getLogger(__name__)

OF: Final = "of"  # in the details of a row of a failed clip: the key that it has no row of


@dataclass(frozen=True)
class Row:
    """One keyed item: `start:stop` of its part's values, or the reason why it has none."""

    key: str
    clip_id: str
    start: int
    stop: int
    reason: str | None = None
    details: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Located:
    """A row and the part that holds it."""

    part: Path
    row: Row


class RowTable(NamedTuple):
    """The rows of a part, and whether a checksum says that they are as they were written."""

    rows: list[Row]
    is_checked: bool


def read_rows(part: Path, part_format: PartFormat) -> RowTable:
    """Return the rows of a part that can be in use.

    None are of another schema version, nor those of clips that could not be read for a passing
    reason, as older versions kept them.
    """
    layout = read_layout(part, part_format)
    version = layout.header["schema_version"]
    if version == SCHEMA_VERSION:
        rows = [row for row in list_rows(part, layout.header) if row.reason not in PASSING_REASONS]
        return RowTable(rows, layout.header_crc is not None)
    logger.info("%s is of schema version %s: not used", part, version)
    return RowTable([], is_checked=True)


def join_tables(tables: Mapping[Path, RowTable]) -> dict[str, Located]:
    """Return where each key is; of a key in two parts, the last one."""
    return {row.key: Located(part, row) for part, table in tables.items() for row in table.rows}


def list_rows(path: Path, header: Mapping[str, Json]) -> list[Row]:
    """Return the rows that the header of a part lists."""
    with name_failures(path):
        columns = [header["entries"][name] for name in ROW_COLUMNS]
        return [Row(*values) for values in zip(*columns, strict=True)]
