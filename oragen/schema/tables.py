"""The tables that pass between stages: columns, keys, closed vocabularies.

A table is a Parquet file with a stated key; it is sorted by its key and checked whenever it is
written or read, so that a stage can trust what an earlier one wrote.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.vocabulary import GENDERS_WITH_CHILD, LEVELS, LEVELS_OF_VIEWS, MASK_TYPES, SPLITS

_MAKE_AGAIN: Final = "Remove the file and run `dvc repro`."
_CORRECT: Final = "Correct the rows before they are written."


class TableError(UserError):
    """A table breaks its contract."""


@dataclass(frozen=True)
class Table:
    """The contract of one kind of table: its columns, its key and its closed vocabularies."""

    name: str
    columns: pa.Schema
    key: tuple[str, ...]
    vocabulary: dict[str, tuple[str, ...]]
    younger: tuple[str, ...] = ()  # optional columns that tables of earlier versions lack

    def write(self, path: Path, rows: pd.DataFrame) -> None:
        """Sort by the key, check, and replace `path` in one step.

        Raises:
            TableError: when the rows break the contract; `path` stays as it was.
        """
        table = self._to_arrow(rows, path).sort_by([(name, "ascending") for name in self.key])
        self._check(table, path, _CORRECT)
        with atomic_write(path) as unfinished:
            pq.write_table(table, unfinished)

    def read(self, path: Path) -> pd.DataFrame:
        """Read and check.

        Raises:
            TableError: when the file is missing or is not this kind of table.
        """
        if not path.is_file():
            raise TableError(f"{path} is missing: no {self.name} table. Run `dvc repro`.")
        try:
            table = self._fill_up(pq.ParquetFile(path).read())
            table = table.select(self.columns.names).cast(self.columns)
        except (pa.ArrowException, KeyError, OSError, ValueError) as error:
            raise TableError(
                f"{path} is no {self.name} table with the columns {self.columns.names}: "
                f"{error}. {_MAKE_AGAIN}"
            ) from error
        self._check(table, path, _MAKE_AGAIN)
        return table.to_pandas()

    def empty(self) -> pd.DataFrame:
        """Return a table without rows."""
        return self.columns.empty_table().to_pandas()

    def frame(self, rows: list[dict[str, object]]) -> pd.DataFrame:
        """Rows as records -> a frame with this table's columns and types."""
        return pa.Table.from_pylist(rows, schema=self.columns).to_pandas()

    def _fill_up(self, table: pa.Table) -> pa.Table:
        """Add the younger columns that an older table lacks."""
        for name in self.younger:
            if name not in table.column_names:
                empty = pa.nulls(len(table), self.columns.field(name).type)
                table = table.append_column(name, empty)
        return table

    def _to_arrow(self, rows: pd.DataFrame, path: Path) -> pa.Table:
        try:
            table = pa.Table.from_pandas(rows, schema=self.columns, preserve_index=False)
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise TableError(
                f"{path}: rows do not fit the {self.name} table: {error}. {_CORRECT}"
            ) from error
        # Without the notes of pandas, so that equal rows give equal bytes.
        return table.replace_schema_metadata(None)

    def _check(self, table: pa.Table, path: Path, advice: str) -> None:
        for field in self.columns:
            if not field.nullable and table[field.name].null_count:
                raise TableError(f"{path}: column {field.name} has empty values. {advice}")
        keys = table.select(list(self.key)).to_pandas()
        if (repeated := keys.duplicated()).any():
            found = tuple(keys[repeated].iloc[0])
            raise TableError(
                f"{path}: {self.key} must be unique, {found} is listed twice. {advice}"
            )
        if not keys.equals(keys.sort_values(list(self.key), ignore_index=True)):
            raise TableError(f"{path}: rows are not sorted by {self.key}. {advice}")
        for column, words in self.vocabulary.items():
            if unknown := set(table[column].unique().to_pylist()) - {*words, None}:
                raise TableError(
                    f"{path}: {column} must be one of {words}, found {unknown}. {advice}"
                )


def _columns(required: dict[str, pa.DataType], optional: dict[str, pa.DataType]) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=False) for name, kind in required.items()]
    fields += [pa.field(name, kind) for name, kind in optional.items()]
    return pa.schema(fields)


CLIPS: Final = Table(
    name="clips",
    columns=_columns(
        {
            "clip_id": pa.string(),  # <corpus>/<stem>
            "corpus": pa.string(),
            "split": pa.string(),
            "speaker_id": pa.string(),
        },
        {
            "audio_path": pa.string(),  # paths are relative to the corpus root
            "video_path": pa.string(),
            "image_path": pa.string(),
            "audio_encoding": pa.string(),  # of headerless sound, such as s16le@8000
            "audio_hash": pa.string(),  # SHA-256 of the file that holds the sound
            "picture_hash": pa.string(),  # ... and of the one that holds the pictures
            "face_box": pa.list_(pa.float64()),  # x1, y1, x2, y2 in pixels
            "gender": pa.string(),
            "age_years": pa.float64(),
            "age_low": pa.float64(),
            "age_high": pa.float64(),
            "mask_type": pa.string(),
            "camera": pa.string(),
            "language": pa.string(),
        },
    ),
    key=("clip_id",),
    vocabulary={"split": SPLITS, "gender": GENDERS_WITH_CHILD, "mask_type": MASK_TYPES},
)

SPEECH: Final = Table(
    name="speech",
    columns=_columns(
        {
            "clip_id": pa.string(),
            "key": pa.string(),  # what the spans were made from
            "audio_key": pa.string(),  # where the sound is
            "num_samples": pa.int64(),
            "starts": pa.list_(pa.int64()),  # speech spans; empty lists = no speech
            "stops": pa.list_(pa.int64()),
        },
        {},
    ),
    key=("clip_id",),
    vocabulary={},
)

CROPS: Final = Table(
    name="crops",
    columns=_columns(
        {
            "clip_id": pa.string(),
            "crop": pa.int64(),  # 0, 1, ... within the clip
            "key": pa.string(),  # what the crop was made from
            "faces_key": pa.string(),  # where the clip's crops are
            "sample": pa.int64(),
            "x1": pa.float64(),
            "y1": pa.float64(),
            "x2": pa.float64(),
            "y2": pa.float64(),
            "score": pa.float64(),  # 0 where the box was filled in between two detections
        },
        {
            # x, y in pixels of the crop: right eye, left eye, nose, right and left corner of the
            # mouth; null where the detector gives none
            "landmarks": pa.list_(pa.float64()),
        },
    ),
    key=("clip_id", "crop"),
    vocabulary={},
)

WINDOWS: Final = Table(
    name="windows",
    columns=_columns(
        {
            "window_id": pa.string(),
            "clip_id": pa.string(),
            "start": pa.int64(),
            "stop": pa.int64(),
            "has_speech": pa.bool_(),
            "crops": pa.list_(pa.int64()),  # a crop for each slot, -1 = none
        },
        {  # null without speech
            "key": pa.string(),  # what the window's sound was made from
            "audio_key": pa.string(),  # where the clip's sound is
        },
    ),
    key=("window_id",),
    vocabulary={},
)

FEATURE_ROWS: Final = Table(
    name="feature rows",
    columns=_columns(
        {
            "key": pa.string(),  # of a window's sound or of a crop
            "level": pa.string(),
            "feature_key": pa.string(),  # of its features in the store
            "store": pa.string(),  # the store's folder
        },
        {  # of a window that is a view into stretches
            "next_feature_key": pa.string(),  # of the stretch that it reaches into, if any
            "first": pa.int64(),  # its first position in the first stretch
            "num_positions": pa.int64(),
        },
    ),
    key=("key", "level"),
    vocabulary={"level": LEVELS},
    younger=("next_feature_key", "first", "num_positions"),
)

DATASET: Final = Table(
    name="dataset",
    columns=_columns(
        {
            "clip_id": pa.string(),
            "start": pa.int64(),  # of the window; -1 for a clip without a usable window
            "stop": pa.int64(),
            "has_window": pa.bool_(),
            "corpus": pa.string(),
            "split": pa.string(),
            "speaker_id": pa.string(),
        },
        {
            "audio_store": pa.string(),
            "audio_early": pa.string(),  # the key of the features of each level
            "audio_intermediate": pa.string(),
            "audio_late": pa.string(),
            "audio_pooled": pa.string(),
            "audio_next_early": pa.string(),  # of the stretch that a view reaches into, if any
            "audio_next_intermediate": pa.string(),
            "audio_first": pa.int64(),  # of a view: see FEATURE_ROWS
            "audio_num_positions": pa.int64(),
            "face_store": pa.string(),
            "face_early": pa.list_(pa.string()),  # a key for each slot, null = none
            "face_intermediate": pa.list_(pa.string()),
            "face_late": pa.list_(pa.string()),
            "face_pooled": pa.list_(pa.string()),
            "gender": pa.string(),
            "age_years": pa.float64(),
            "age_low": pa.float64(),  # where the corpus gives a band of ages
            "age_high": pa.float64(),
            "mask_type": pa.string(),
        },
    ),
    key=("clip_id", "start", "stop"),
    vocabulary={"split": SPLITS, "gender": GENDERS_WITH_CHILD, "mask_type": MASK_TYPES},
    younger=(
        "audio_first",
        "audio_num_positions",
        *(f"audio_next_{level}" for level in LEVELS_OF_VIEWS),
    ),
)

EXAMPLES: Final = Table(
    name="examples",
    columns=_columns(
        {
            "clip_id": pa.string(),
            "start": pa.int64(),  # of a window, in samples; or which crop
            "stop": pa.int64(),
            "content_key": pa.string(),  # what the window's sound or the crop was made from
            "store": pa.string(),  # the folder of decoded sound or of crops
            "key": pa.string(),  # of the clip in it
            "corpus": pa.string(),
            "split": pa.string(),
            "speaker_id": pa.string(),
        },
        {
            "landmarks": pa.list_(pa.float64()),  # of a crop, see CROPS
            "gender": pa.string(),
            "age_years": pa.float64(),
            "mask_type": pa.string(),
        },
    ),
    key=("clip_id", "start", "stop"),
    vocabulary={"split": SPLITS, "gender": GENDERS_WITH_CHILD, "mask_type": MASK_TYPES},
)

SKIPPED: Final = Table(
    name="skipped",
    columns=_columns(
        {
            "clip_id": pa.string(),
            "stage": pa.string(),
            "reason": pa.string(),
            "left_out": pa.string(),
        },
        {},
    ),
    key=("clip_id", "stage"),
    vocabulary={"left_out": ("clip", "part")},
)
