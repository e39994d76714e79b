"""Batches of windows -> Arrow's columns -> Parquet or Lance."""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, count, islice
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from oragen.features.exports.windows import BATCH_BYTES, CODES, LABELS, WindowBatch
from oragen.schema.errors import UserError
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import Modality

LABEL_TYPES: Final = pa.schema(
    [
        *(DATASET.columns.field(name) for name in LABELS),
        *(pa.field(name, pa.int64(), nullable=False) for name in CODES),
    ]
)


def write_parquet(
    folder: Path,
    batches: Iterable[WindowBatch],
    modalities: Collection[Modality],
    *,
    file_bytes: int,
) -> None:
    """Write windows into a new folder, in files of about so many bytes; a batch is a row group."""
    folder.mkdir()
    columns = to_columns(batches, modalities)
    for number in count():
        if (first := next(columns, None)) is None:
            return
        path = folder / f"{number:05}.parquet"
        # Embeddings have no values in common, and no order: a dictionary and statistics cost time.
        with pq.ParquetWriter(
            path,
            first.schema,
            compression="none",
            use_dictionary=LABEL_TYPES.names,
            write_statistics=LABEL_TYPES.names,
        ) as writer:
            for batch in chain([first], islice(columns, max(1, file_bytes // BATCH_BYTES) - 1)):
                writer.write_batch(batch)


def write_lance(
    folder: Path, batches: Iterable[WindowBatch], modalities: Collection[Modality]
) -> None:
    """Write windows into a new dataset of Lance.

    Raises:
        UserError: the package is not installed.
    """
    try:
        import lance
    except ImportError as error:
        raise UserError(
            "`--to lance` needs the package pylance: run `pip install 'oragen[lance]'`."
        ) from error
    failures: list[UserError] = []
    columns = _note_failure(to_columns(batches, modalities), failures)
    first = next(columns)
    reader = pa.RecordBatchReader.from_batches(first.schema, chain([first], columns))
    try:
        lance.write_dataset(reader, str(folder.absolute()), mode="create")
    except (OSError, RuntimeError, ValueError) as error:
        if failures:
            raise failures[0] from error
        raise


def _note_failure(
    columns: Iterator[pa.RecordBatch], failures: list[UserError]
) -> Iterator[pa.RecordBatch]:
    """Keep the error that ends the columns: Lance knows only its text."""
    try:
        yield from columns
    except UserError as error:
        failures.append(error)
        raise


def to_columns(
    batches: Iterable[WindowBatch], modalities: Collection[Modality]
) -> Iterator[pa.RecordBatch]:
    """Return batches as columns: those of labels, and those of the modalities with features."""
    for batch in batches:
        labels = pa.RecordBatch.from_pandas(batch.labels, LABEL_TYPES, preserve_index=False)
        columns = dict(zip(LABEL_TYPES.names, labels.columns, strict=True))
        if "audio" in modalities:
            stops = np.cumsum(np.append(0, batch.num_steps), dtype=np.int32)
            columns["audio"] = pa.ListArray.from_arrays(pa.array(stops), to_lists(batch.audio))
        if "face" in modalities:
            columns["face"] = to_lists(batch.face)
            columns["face_valid"] = to_lists(batch.face_valid)
        yield pa.RecordBatch.from_pydict(columns)


def to_lists(values: np.ndarray) -> pa.Array:
    """Return an array as fixed-size lists inside each other, an element for each first index."""
    lists = pa.array(values.ravel())
    for size in reversed(values.shape[1:]):
        lists = pa.FixedSizeListArray.from_arrays(lists, size)
    return lists
