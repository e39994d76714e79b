"""The rows of a part <-> Arrow columns, which no Python object a row is made of.

In a part they are an Arrow IPC stream of one batch. It may come from anywhere: exactly the columns
that are written here are accepted, uncompressed, so that they take no more memory than the bytes.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64, UInt64

from oragen.schema.vocabulary import PASSING_REASONS, Json
from oragen.store.headers import MAX_ITEMS, decode, refuse_large, to_json
from oragen.store.key_sets import KEY_BYTES, pack_keys, view_keys
from oragen.store.rows import OF, Row

COLUMNS: Final = pa.schema(
    [
        pa.field("key", pa.binary(KEY_BYTES), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # of its values in those of the part
        pa.field("stop", pa.int64(), nullable=False),
        pa.field("reason", pa.string()),  # why it has no values
        pa.field("details", pa.string()),  # JSON of an object; null = an empty one
        pa.field("crc32c", pa.uint32()),  # of the bytes of its values; null in parts of JSON
    ]
)
_RECORD_BATCH: Final = "record batch"


@dataclass(frozen=True)
class RowTable:
    """The rows of a part as columns."""

    columns: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    @property
    def keys(self) -> UInt64[np.ndarray, "rows 2"]:
        """The keys, as `pack_keys` packs them."""
        return view_keys(self.columns["key"])

    @property
    def starts(self) -> Int64[np.ndarray, " rows"]:
        """Where each row begins."""
        return np.asarray(self.columns["start"])

    @property
    def stops(self) -> Int64[np.ndarray, " rows"]:
        """Where each row ends."""
        return np.asarray(self.columns["stop"])

    def usable(self) -> "RowTable":
        """Leave out clips that could not be read for a passing reason, as older versions kept."""
        reasons = self.columns["reason"]
        if reasons.null_count == len(reasons):
            return self
        passing = pc.is_in(reasons, value_set=pa.array([*map(str, PASSING_REASONS)], pa.string()))
        return RowTable(self.columns.filter(pc.invert(passing)))

    def take(self, numbers: Int64[np.ndarray, " taken"]) -> "RowTable":
        """Return some of the rows."""
        return RowTable(self.columns.take(pa.array(numbers)))

    def list_failed(self) -> tuple[Int64[np.ndarray, " failed"], list[str]]:
        """Return the numbers of the rows of failed clips, and the keys that they stand for."""
        is_reason = pc.and_(self.columns["reason"].is_valid(), self.columns["details"].is_valid())
        numbers = np.flatnonzero(np.asarray(is_reason))
        details = map(json.loads, self.columns["details"].take(pa.array(numbers)).to_pylist())
        keys = [found.get(OF) for found in details]
        failed = [at for at, key in enumerate(keys) if isinstance(key, str)]
        return numbers[failed], [str(keys[at]) for at in failed]

    def to_rows(self) -> list[Row]:
        """Return an object for each row."""
        lists: list[list[Any]] = [column.to_pylist() for column in self.columns.columns]
        return [
            Row(key.hex(), clip, start, stop, reason, json.loads(details or "{}"), crc32c)
            for key, clip, start, stop, reason, details, crc32c in zip(*lists, strict=True)
        ]


def from_rows(rows: Sequence[Row]) -> RowTable:
    """Return rows as columns."""
    packed = pack_keys([row.key for row in rows]).numbers
    details = [to_json(row.details) if row.details else None for row in rows]
    arrays = [
        pa.Array.from_buffers(pa.binary(KEY_BYTES), len(rows), [None, pa.py_buffer(packed)]),
        pa.array([row.clip_id for row in rows], pa.string()),
        pa.array([row.start for row in rows], pa.int64()),
        pa.array([row.stop for row in rows], pa.int64()),
        pa.array([row.reason for row in rows], pa.string()),
        pa.array(details, pa.string()),
        pa.array([row.crc32c for row in rows], pa.uint32()),
    ]
    return RowTable(pa.RecordBatch.from_arrays(arrays, schema=COLUMNS))


def from_json(columns: Mapping[str, Json]) -> RowTable:
    """Return the rows of a part of an earlier version, whose header was checked."""
    names = ("key", "clip_id", "start", "stop", "reason", "details")
    return from_rows([Row(*row) for row in zip(*(columns[name] for name in names), strict=True)])


def no_rows() -> RowTable:
    """Return the rows of a part that can hold none in use."""
    return from_rows([])


def to_bytes(table: RowTable) -> bytes:
    """Return the Arrow stream that stands in a part."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, COLUMNS) as stream:
        stream.write_batch(table.columns)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def parse_rows(content: bytes, num_positions: int) -> RowTable:
    """Parse an Arrow stream that may come from anywhere, without a copy of it.

    Raises:
        ValueError: it is not what `to_bytes` writes, or its rows do not fit the values.
    """
    refuse_large(len(content))
    source = pa.BufferReader(content)
    try:
        if not pa.ipc.read_schema(source).equals(COLUMNS, check_metadata=True):
            raise ValueError("its rows have not exactly the columns that oragen writes")
        message = pa.ipc.read_message(source)
        if message.type != _RECORD_BATCH or _is_compressed(message.metadata.to_pybytes()):
            raise ValueError("its rows are no plain batch of Arrow")
        batch = pa.ipc.read_record_batch(message, COLUMNS)
        batch.validate(full=True)
        ending = source.read()
    except (pa.ArrowException, EOFError, OSError, struct.error) as error:
        raise ValueError(f"its rows are no stream of Arrow: {error}") from error
    if ending != b"\xff\xff\xff\xff\0\0\0\0":
        raise ValueError("its rows end otherwise than a stream of Arrow")
    _check(batch, num_positions)
    return RowTable(batch)


def _is_compressed(metadata: bytes) -> bool:
    """Whether a message says that its buffers are compressed: a few bytes may become any number."""
    batch = _find_field(metadata, struct.unpack_from("<I", metadata)[0], number=2)
    if batch is None:
        raise ValueError("its rows have a message of Arrow without a batch")
    table = batch + struct.unpack_from("<I", metadata, batch)[0]
    return _find_field(metadata, table, number=3) is not None


def _find_field(metadata: bytes, table: int, number: int) -> int | None:
    """Return where a field of a table of Flatbuffers is; the numbers are those of Message.fbs."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    place = 4 + 2 * number
    if place >= struct.unpack_from("<H", metadata, fields)[0]:
        return None
    offset = struct.unpack_from("<H", metadata, fields + place)[0]
    return table + offset if offset else None


def _check(batch: pa.RecordBatch, num_positions: int) -> None:
    """Refuse rows that do not fit the values of their part."""
    for name in ("key", "clip_id", "start", "stop", "crc32c"):
        if batch[name].null_count:
            raise ValueError(f"a row has no {name}")
    start, stop = np.asarray(batch["start"]), np.asarray(batch["stop"])
    outside = np.flatnonzero((start < 0) | (stop < start) | (stop > num_positions))
    if len(outside):
        first, last = start[outside[0]], stop[outside[0]]
        raise ValueError(f"a row is from {first} to {last}, of {num_positions} values")
    details = batch["details"].drop_null()
    num_items = sum(
        pc.sum(pc.count_substring(details, mark)).as_py() or 0 for mark in (",", "[", "{")
    )
    if num_items > MAX_ITEMS:
        raise ValueError(f"its details have {num_items:,} items, at most {MAX_ITEMS:,} are read")
    for text in details.unique().to_pylist():
        if not isinstance(decode(text), dict):
            raise ValueError("the details of a row are no object")
