"""Rows of features in use -> a table of the parts that hold them, and back.

The tables of feature rows and of datasets do not name parts: `oragen cache compact` writes rows
into other parts, and no head has to be trained anew for that. So no stage depends on these tables.
They say which parts to open, or to fetch. That is a hint: a row is found by the table in its part,
which has a checksum, and in any other part where the hint is wrong.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oragen.config import paths
from oragen.schema.tables import Table
from oragen.schema.vocabulary import LEVELS, Level
from oragen.store.parts import PartStore

PLACES: Final = Table(
    name="places",
    columns=pa.schema(
        [
            pa.field("store", pa.string(), nullable=False),  # its folder
            pa.field("feature_key", pa.string(), nullable=False),  # see FEATURE_ROWS
            pa.field("part", pa.string(), nullable=False),  # its name in the store
            pa.field("level", pa.string()),  # of the features; tables of 0.1.0 do not say it
        ]
    ),
    key=("store", "feature_key"),
    vocabulary={"level": LEVELS},
    younger=("level",),
)
_PART_NAME: Final = re.compile(r"part-[0-9a-f]{32}\.zarr")


def is_part_name(name: str) -> bool:
    """Whether a name is one that parts of features have: a table may come from anywhere."""
    return _PART_NAME.fullmatch(name) is not None


def list_places(rows: pd.DataFrame) -> pd.DataFrame:
    """Feature rows -> the part of each, as PLACES; rows that are in no part are left out."""
    columns = ["store", "feature_key", "level"]
    following = rows[["store", "next_feature_key", "level"]].set_axis(columns, axis=1)
    return _find_places(pd.concat([rows[columns], following]).dropna().drop_duplicates())


def renew_places(store: Path) -> None:
    """Write the tables of places of a corpus anew, after rows of a store have gone elsewhere."""
    for path in _tables_of(store):
        places = PLACES.read(path)
        if (places["store"] == str(store)).any():
            PLACES.write(path, _find_places(places))


def _find_places(named: pd.DataFrame) -> pd.DataFrame:
    """Find the part of each key of each store."""
    tables = [PLACES.empty()]
    for store, rows in named.groupby("store"):
        places = PartStore(Path(str(store)), "zarr").locate(rows["feature_key"])
        names = pd.Series([part.path.name for part in places.parts], dtype="str")
        found = places.are_found
        parts = names.iloc[places.part_of[found]].to_numpy()
        tables.append(rows[["store", "feature_key", "level"]][found].assign(part=parts))
    return pd.concat(tables)


def name_parts(store: Path, level: Level) -> set[str]:
    """Return the names of the parts that should hold the rows in use of a store at one level.

    Only the columns of levels and parts are read, which takes no time: to look for each row in such
    a table takes longer than to open all parts. What is no such table names nothing.
    """
    names: set[str] = set()
    for path in _tables_of(store):
        try:
            for batch in _read_columns(path):
                is_wanted = pc.and_(_is(batch["store"], str(store)), _is(batch["level"], level))
                names.update(batch["part"].filter(is_wanted).unique().to_pylist())
        except (pa.ArrowException, KeyError, OSError, ValueError):
            continue
    return names


def _read_columns(path: Path) -> Iterator[pa.RecordBatch]:
    columns = ["store", "level", "part"]
    yield from pq.ParquetFile(path, read_dictionary=columns).iter_batches(
        columns=columns, use_threads=False
    )


def _is(column: pa.DictionaryArray, word: str) -> pa.BooleanArray:
    """Say which values are a word, without decoding them."""
    return pc.equal(column.indices, column.dictionary.index(word).as_py())


def _tables_of(store: Path) -> list[Path]:
    """List the tables of places of a store's corpus."""
    return sorted(paths.places_table(store.parent.name, "audio").parent.glob("*.parquet"))
