"""Clips as a corpus describes them, one by one -> columns, so that millions of them fit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from operator import attrgetter
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS

BATCH: Final = 4_000  # records


class CorpusError(UserError):
    """A corpus is missing, cannot be read, or is not as params.yaml describes it."""


@dataclass(frozen=True)
class ClipRecord:
    """One clip as its corpus describes it; None = unknown. Paths are relative to the root.

    A clip without a split is assigned one; `TRAIN_OR_DEV` limits it to these two. A clip that the
    reader cannot use has the reason in `unusable`.
    """

    stem: str
    speaker_id: str | None = None
    split: str | None = None
    audio_path: str | None = None
    video_path: str | None = None
    image_path: str | None = None
    audio_encoding: str | None = None  # of headerless audio: <sample format>@<rate in Hz>
    face_box: tuple[float, float, float, float] | None = None
    gender: str | None = None
    age_years: float | None = None
    age_low: float | None = None
    age_high: float | None = None
    mask_type: str | None = None
    camera: str | None = None
    language: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()  # further columns of the user, and their values
    unusable: str | None = None


_KINDS: Final = {
    **dict(zip(CLIPS.columns.names, CLIPS.columns.types, strict=True)),
    "attributes": pa.map_(pa.string(), pa.string()),
}
RECORDS: Final = pa.schema(
    [(field.name, _KINDS.get(field.name, pa.string())) for field in fields(ClipRecord)]
)


def gather_records(records: Iterable[ClipRecord]) -> pa.Table:
    """Records -> a row each, a column for each field, and `digest`, a hash of the record.

    An empty text becomes null: unknown.
    """
    to_row = attrgetter(*RECORDS.names)
    schema = RECORDS.append(pa.field("digest", pa.int64()))
    batches = []
    rows = map(to_row, records)
    while batch := list(islice(rows, BATCH)):
        digests = pa.array(map(hash, batch), pa.int64())
        try:
            columns = _to_columns(batch)
        except UnicodeEncodeError:
            columns = _to_columns([_spell_out(row) for row in batch])
        batches.append(pa.RecordBatch.from_arrays([*columns, digests], schema=schema))
    return pa.Table.from_batches(batches, schema)


def _to_columns(rows: Sequence[tuple[object, ...]]) -> list[pa.Array]:
    columns = zip(zip(*rows, strict=True), RECORDS.types, strict=True)  # row, field -> field, row
    arrays = [pa.array(column, kind) for column, kind in columns]
    return [
        pc.if_else(pc.equal(array, ""), None, array) if array.type == pa.string() else array
        for array in arrays
    ]


def _spell_out(row: tuple[object, ...]) -> tuple[object, ...]:
    """Make a row with a file name that is not UTF-8 writable, and mark it as unusable."""
    spelled = [
        value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
        for value in row
    ]
    changed = (new for new, old in zip(spelled, row, strict=True) if new != old)
    if (first := next(changed, None)) is not None:
        spelled[RECORDS.get_field_index("unusable")] = f"not UTF-8: {first}"
    return tuple(spelled)
