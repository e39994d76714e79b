"""The table of a dataset -> the parts of features that it needs, and those that are missing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from oragen.config import paths
from oragen.features.places import PLACES, is_part_name
from oragen.features.rows import MissingFeaturesError
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import LEVELS_OF_VIEWS, Level
from oragen.store.failures import PartError
from oragen.store.formats import read_layout

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
    if not all(map(is_part_name, names)):
        return None
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
