"""Rows that a store lacks -> a file that says which are made together, the same for all workers.

A worker that looked for itself would see what others have made meanwhile. The file holds keys and
numbers alone, and its name is the hash of its content.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.strict_json import JsonError, parse_object

NAME: Final = re.compile("[0-9a-f]{64}")
MAX_ROWS: Final = 100_000_000
DESCRIPTION: Final = b"oragen"  # in the metadata of the table
COLUMNS: Final = pa.schema(
    [
        pa.field("group", pa.int32(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("lacks", pa.int32(), nullable=False),
    ]
)


class PlanError(UserError):
    """A plan cannot be used."""


class PlannedRow(NamedTuple):
    """An input, and which kinds of rows are made of it: bit k stands for the k-th kind."""

    key: str
    clip_id: str
    lacks: int = 1


@dataclass(frozen=True)
class Plan:
    """What is to be made, in groups that make parts of their own."""

    stage: str
    subject: str
    asks: str  # hash of all that decides the rows: parameters, encoder, code
    unit: int  # rows of a group that are made together
    table: pd.DataFrame  # group, key, clip_id, lacks; by group

    @property
    def num_groups(self) -> int:
        """How many groups there are."""
        return len(self._starts) - 1

    def rows(self, group: int, start: int = 0, stop: int | None = None) -> list[PlannedRow]:
        """Return the rows of a group, or a piece of it, in their order."""
        first, end = self._starts[group], self._starts[group + 1]
        chosen = self.table.iloc[first:end].iloc[start:stop]
        columns = (chosen[name].tolist() for name in ("key", "clip_id", "lacks"))
        return [PlannedRow(*row) for row in zip(*columns, strict=True)]

    def size_of(self, group: int) -> int:
        """Return how many rows a group has."""
        return int(self._starts[group + 1] - self._starts[group])

    @cached_property
    def _starts(self) -> np.ndarray:
        groups = self.table["group"].to_numpy()
        num_groups = int(groups[-1]) + 1 if len(groups) else 0
        return np.searchsorted(groups, np.arange(num_groups + 1))


def tabulate(groups: Iterable[Sequence[PlannedRow]]) -> pd.DataFrame:
    """Groups of rows -> the table of a plan."""
    rows = [(number, *row) for number, group in enumerate(groups) for row in group]
    return pd.DataFrame(rows, columns=COLUMNS.names)


def write_plan(folder: Path, plan: Plan) -> str:
    """Write a plan; return its name."""
    described = {name: getattr(plan, name) for name in ("stage", "subject", "asks", "unit")}
    metadata = {DESCRIPTION: json.dumps(described).encode()}
    table = pa.Table.from_pandas(plan.table, schema=COLUMNS, preserve_index=False)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), sink)
    name = hashlib.sha256(sink.getvalue()).hexdigest()
    with atomic_write(plan_path(folder, name)) as unfinished:
        unfinished.write_bytes(sink.getvalue())
    return name


def read_plan(folder: Path, name: str) -> Plan:
    """Read a plan.

    Raises:
        PlanError: there is none of this name, or it does not hold what its name says.
    """
    if not NAME.fullmatch(name):
        raise PlanError("The name of a plan has 64 digits and letters from a to f.")
    path = plan_path(folder, name)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise PlanError(
            f"{path} is missing. A plan is removed when the stage that made it ends: run it again."
        ) from error
    if hashlib.sha256(content).hexdigest() != name:
        raise PlanError(f"{path} does not hold what its name says. Remove it, and run the stage.")
    try:
        return _parse(content)
    except (pa.ArrowException, JsonError, LookupError, TypeError, ValueError) as error:
        raise PlanError(f"{path} is no plan ({error}). Remove it, and run the stage.") from error


def _parse(content: bytes) -> Plan:
    file = pq.ParquetFile(io.BytesIO(content))
    if file.metadata.num_rows > MAX_ROWS:
        raise ValueError(f"it has {file.metadata.num_rows} rows, expected at most {MAX_ROWS}")
    described = parse_object(file.schema_arrow.metadata[DESCRIPTION])
    table = file.read().to_pandas()
    groups = table["group"].to_numpy()
    if list(table) != COLUMNS.names or table.isna().any(axis=None) or (np.diff(groups) < 0).any():
        raise ValueError("its columns are not those of a plan")
    return Plan(
        str(described["stage"]), str(described["subject"]), str(described["asks"]),
        int(str(described["unit"])), table,
    )  # fmt: skip


def plan_path(folder: Path, name: str) -> Path:
    """Return where a plan lies."""
    return folder / f"{name}.parquet"
