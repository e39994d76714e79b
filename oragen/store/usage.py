"""The present tables -> which rows of each store are in use.

A store only grows: rows of removed clips, of old parameters and of old encoders stay in it. What
is in use is what the present tables name.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias, assert_never

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from oragen.config import paths
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.files import find_leftovers
from oragen.schema.tables import (
    CLIPS,
    CROPS,
    DATASET,
    EXAMPLES,
    FEATURE_ROWS,
    SPEECH,
    WINDOWS,
    Table,
)
from oragen.schema.vocabulary import LEVELS, LEVELS_OF_VIEWS, MODALITIES, Json
from oragen.store.key_sets import Keys, KeySet, pack_keys
from oragen.store.keys import audio_keys
from oragen.store.parts import PartStore
from oragen.store.row_tables import RowTable

StoreKind = Literal["audio", "speech", "faces", "features"]
Columns: TypeAlias = list[pd.Series]  # of keys


@dataclass(frozen=True)
class CorpusStore:
    """The folder of one kind of values of one corpus; of features, of one encoder too."""

    kind: StoreKind
    corpus: str
    folder: Path

    @property
    def part_store(self) -> PartStore:
        """The folder as a store of parts of its format."""
        return PartStore(self.folder, "zarr" if self.kind == "features" else "h5")


@dataclass(frozen=True)
class Usage:
    """What the present tables name of a store.

    No table names the clips that gave nothing. Of those `clips` are in use, where their part was
    made with `params`.
    """

    keys: Keys
    clips: Collection[str] = frozenset()
    params: Mapping[str, Json] = field(default_factory=dict)

    def find_named(self, table: RowTable, spec: Mapping[str, Json]) -> Bool[np.ndarray, " rows"]:
        """Return which rows of a part of this spec are in use."""
        is_named = self._wanted.contains(table.keys)
        failed, failed_keys = table.list_failed()
        is_named[failed] |= self._wanted.contains(pack_keys(failed_keys).numbers)
        if self.clips and self._made(spec):
            is_present = pc.is_in(table.columns["clip_id"], value_set=self._clips)
            is_named |= (table.starts == table.stops) & np.asarray(is_present)
        return is_named

    @cached_property
    def _wanted(self) -> KeySet:
        return KeySet.of(pack_keys(self.keys))

    @cached_property
    def _clips(self) -> pa.Array:
        return pa.array([*self.clips], pa.string())

    def _made(self, spec: Mapping[str, Json]) -> bool:
        return all(spec.get(name) == value for name, value in self.params.items())


def find_stores() -> list[CorpusStore]:
    """Return all stores under data/ that hold parts."""
    patterns: dict[StoreKind, Path] = {
        "audio": paths.audio_store("*"),
        "speech": paths.speech_store("*"),
        "faces": paths.faces_store("*"),
        "features": paths.feature_store("*", "*"),
    }
    stores = [
        CorpusStore(kind, folder.parent.name if kind == "features" else folder.name, folder)
        for kind, pattern in patterns.items()
        for folder in sorted(Path().glob(str(pattern)))
    ]
    return [
        store
        for store in stores
        if store.part_store.parts()
        or store.part_store.parts_aside()
        or find_leftovers(store.folder)
    ]


def find_usage(
    stores: Iterable[CorpusStore], *, audio: Mapping[str, Json], faces: Mapping[str, Json]
) -> dict[CorpusStore, Usage | None]:
    """Read the present tables -> what they name of each store.

    Args:
        stores: which.
        audio: how sound is decoded, as it goes into its keys.
        faces: how faces are cropped, as it goes into their keys.

    Returns:
        For each store what is in use; None where a table is missing that would say it, as it is
        while a stage is under way and after it was killed.
    """
    joined = _read_joined_tables()
    usage: dict[CorpusStore, Usage | None] = {}
    for store in stores:
        named = joined[store.folder]
        match store.kind:
            case "audio":
                usage[store] = _find_audio_usage(store.corpus, named, audio)
            case "speech":
                usage[store] = _find_speech_usage(store.corpus)
            case "faces":
                usage[store] = _find_faces_usage(store.corpus, named, faces)
            case "features":
                usage[store] = _find_features_usage(store, named)
            case _:
                assert_never(store.kind)
    return usage


def _find_audio_usage(corpus: str, named: Columns, audio: Mapping[str, Json]) -> Usage | None:
    """Sound is decoded before it is searched for speech, so not by the speech table alone."""
    if not paths.clips_table(corpus).is_file():
        return None
    decoded = audio_keys(CLIPS.read(paths.clips_table(corpus)), audio).values()
    speech = _read_column(SPEECH, paths.speech_table(corpus), "audio_key")
    windows = _read_column(WINDOWS, paths.windows_table(corpus), "audio_key")
    return _name(*named, [*decoded], speech, windows)


def _find_speech_usage(corpus: str) -> Usage | None:
    table = paths.speech_table(corpus)
    return _name(_read_column(SPEECH, table, "key")) if table.is_file() else None


def _find_faces_usage(corpus: str, named: Columns, faces: Mapping[str, Json]) -> Usage | None:
    clips, crops = paths.clips_table(corpus), paths.crops_table(corpus)
    if not (clips.is_file() and crops.is_file()):
        return None
    usage = _name(*named, _read_column(CROPS, crops, "faces_key"))
    present = frozenset(_read_column(CLIPS, clips, "clip_id"))
    return replace(usage, clips=present, params={"faces": faces})


def _find_features_usage(store: CorpusStore, named: Columns) -> Usage | None:
    tables = [paths.feature_rows_table(store.corpus, modality) for modality in MODALITIES]
    if not all(table.is_file() for table in tables):
        return None
    further = paths.feature_rows_table(store.corpus, "off_the_shelf")
    if further.is_file():
        tables.append(further)
    elif store.folder.name == OFF_THE_SHELF:
        return None
    rows = pd.concat([FEATURE_ROWS.read(table) for table in tables])
    here = rows[rows["store"] == str(store.folder)]
    return _name(*named, here["feature_key"], here["next_feature_key"].dropna())


def _name(*columns: Sequence[str] | pd.Series) -> Usage:
    """Return that the keys in some columns are in use."""
    return Usage(pa.chunked_array([pa.array(column, pa.string()) for column in columns]))


def _read_column(table: Table, path: Path, column: str) -> pd.Series:
    rows = table.read(path) if path.is_file() else table.empty()
    return rows[column].dropna()


def _read_joined_tables() -> defaultdict[Path, Columns]:
    """Examples and datasets -> columns of the keys that they name of each store."""
    named: defaultdict[Path, Columns] = defaultdict(list)
    for path in sorted(Path().glob(str(paths.examples_table("*")))):
        _collect(named, EXAMPLES.read(path), "store", "key")
    patterns = paths.train_dataset("*"), paths.evaluation_dataset("*")
    for path in sorted(path for pattern in patterns for path in Path().glob(str(pattern))):
        dataset = DATASET.read(path)
        for level in LEVELS:
            _collect(named, dataset, "audio_store", f"audio_{level}")
            slots = dataset[["face_store", f"face_{level}"]].explode(f"face_{level}")
            _collect(named, slots, "face_store", f"face_{level}")
        for level in LEVELS_OF_VIEWS:
            _collect(named, dataset, "audio_store", f"audio_next_{level}")
    return named


def _collect(named: dict[Path, Columns], table: pd.DataFrame, store: str, key: str) -> None:
    for folder, keys in table.dropna(subset=[store, key]).groupby(store)[key]:
        named[Path(str(folder))].append(keys)
