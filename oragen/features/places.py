"""Rows of features in use -> a table of the parts that hold them; a dataset -> the parts it needs.

The tables of feature rows and of datasets do not name parts: `oragen cache compact` writes rows
into other parts, and no head has to be trained anew for that. So no stage depends on these tables.
They say what to fetch. Rows themselves are found by the tables in the parts, which have checksums.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

import pandas as pd
import pyarrow as pa

from oragen.config import paths
from oragen.features.rows import MissingFeaturesError
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.tables import DATASET, Table
from oragen.schema.vocabulary import LEVELS_OF_VIEWS, Level
from oragen.store.failures import PartError
from oragen.store.formats import read_layout
from oragen.store.parts import PartStore

PLACES: Final = Table(
    name="places",
    columns=pa.schema(
        [
            pa.field("store", pa.string(), nullable=False),  # its folder
            pa.field("feature_key", pa.string(), nullable=False),  # see FEATURE_ROWS
            pa.field("part", pa.string(), nullable=False),  # its name in the store
        ]
    ),
    key=("store", "feature_key"),
    vocabulary={},
)
Kind = Literal["audio", "face", "off_the_shelf"]


class Needed(NamedTuple):
    """Rows of one store that a dataset names."""

    store: Path
    kind: Kind
    keys: pd.Series

    @property
    def places(self) -> Path:
        """Where the table of their places lies."""
        return paths.places_table(self.store.parent.name, self.kind)


def list_places(rows: pd.DataFrame) -> pd.DataFrame:
    """Feature rows -> the part of each, as PLACES; rows that are in no part are left out."""
    following = rows[["store", "next_feature_key"]].set_axis(["store", "feature_key"], axis=1)
    named = pd.concat([rows[["store", "feature_key"]], following]).dropna().drop_duplicates()
    return _find_places(named)


def renew_places(store: Path) -> None:
    """Write the tables of places of a corpus anew, after rows of a store have gone elsewhere."""
    for path in sorted(paths.places_table(store.parent.name, "audio").parent.glob("*.parquet")):
        places = PLACES.read(path)
        if (places["store"] == str(store)).any():
            PLACES.write(path, _find_places(places))


def _find_places(named: pd.DataFrame) -> pd.DataFrame:
    """Find the part of each key of each store."""
    tables = [PLACES.empty()]
    for store, keys in named.groupby("store")["feature_key"]:
        places = PartStore(Path(str(store)), "zarr").locate(keys)
        names = pd.Series([part.path.name for part in places.parts], dtype="str")
        found = places.are_found
        parts = names.iloc[places.part_of[found]].to_numpy()
        table = {"store": str(store), "feature_key": keys[found].to_numpy(), "part": parts}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables)


def list_needed(dataset: pd.DataFrame, level: Level) -> list[Needed]:
    """Dataset table -> the rows of each store that its windows need at one level."""
    sounds = [f"audio_{level}"]
    if level in LEVELS_OF_VIEWS:
        sounds.append(f"audio_next_{level}")
    slots = dataset[["face_store", f"face_{level}"]].explode(f"face_{level}")
    pairs = [dataset[["audio_store", column]] for column in sounds] + [slots]
    renamed = [pair.dropna().set_axis(["store", "key"], axis=1) for pair in pairs]
    sound, face = pd.concat(renamed[:-1]), renamed[-1]
    return [*_group(sound, "audio"), *_group(face, "face")]


def _group(rows: pd.DataFrame, kind: Kind) -> Iterator[Needed]:
    for store, keys in rows.groupby("store")["key"]:
        folder = Path(str(store))
        yield Needed(
            folder,
            "off_the_shelf" if folder.name == OFF_THE_SHELF else kind,
            keys.drop_duplicates(),
        )


def find_parts(needed: Needed) -> list[Path] | None:
    """Return the parts that hold the rows; None where no table of places names all of them."""
    if not needed.places.is_file():
        return None
    places = PLACES.read(needed.places)
    here = places[places["store"] == str(needed.store)]
    if not needed.keys.isin(here["feature_key"]).all():
        return None
    names = here.loc[here["feature_key"].isin(needed.keys), "part"].unique()
    return [needed.store / name for name in sorted(names)]


def is_whole(part: Path) -> bool:
    """Whether a part is there, with all its files."""
    try:
        read_layout(part, "zarr")
    except PartError:
        return False
    return True


@contextmanager
def name_missing_parts(dataset: Path, level: Level, command: str) -> Iterator[None]:
    """Say which parts a dataset's table misses, if features are missing in the block.

    Args:
        dataset: the file of the table.
        level: of the features.
        command: that fetches them.

    Raises:
        MissingFeaturesError: in the block features were missing.
    """
    try:
        yield
    except MissingFeaturesError as error:
        found = [find_parts(needed) for needed in list_needed(DATASET.read(dataset), level)]
        parts = [part for some in found if some is not None for part in some]
        missing = [part for part in parts if not is_whole(part)]
        if not missing:
            raise
        raise MissingFeaturesError(
            f"{len(missing)} of {len(parts)} parts that hold the features are not here: "
            f"{_enumerate(missing)}. `{command}` brings them from the DVC remote, `dvc repro` "
            "computes what nobody has."
        ) from error


def _enumerate(parts: Sequence[Path], most: int = 3) -> str:
    named = ", ".join(map(str, parts[:most]))
    return named if len(parts) <= most else f"{named} and {len(parts) - most} more"
