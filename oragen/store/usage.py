"""The stores -> what they hold, what of it is in use, what is damaged.

A store only grows: rows of removed clips, of old parameters and of old encoders stay in it. What
is in use is what the present tables name.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, assert_never

import pandas as pd

from oragen.config import paths
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
from oragen.schema.vocabulary import LEVELS
from oragen.store.keys import audio_keys
from oragen.store.parts import (
    SCHEMA_VERSION,
    UNFINISHED,
    DamagedPartError,
    Entry,
    Json,
    PartFormat,
    PartStore,
    list_entries,
    make_key,
    open_part,
    read_head,
    verify_part,
)

StoreKind = Literal["audio", "speech", "faces", "features"]
MODALITIES: Final = ("audio", "face")
FINGERPRINT_DIGITS: Final = 8


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

    keys: Collection[str]
    clips: Collection[str] = frozenset()
    params: Mapping[str, Json] = field(default_factory=dict)

    def names(self, entry: Entry, spec: Mapping[str, Json]) -> bool:
        """Whether an entry of a part of this spec is in use."""
        gave_nothing = entry.start == entry.stop and entry.clip_id in self.clips
        return entry.key in self.keys or (gave_nothing and self._made(spec))

    def _made(self, spec: Mapping[str, Json]) -> bool:
        return all(spec.get(name) == value for name, value in self.params.items())


@dataclass(frozen=True)
class StoreStatistics:
    """What a store holds of one encoder in one way; of sound and crops, all it holds."""

    kind: StoreKind | Literal["total"]
    corpus: str
    encoder: str
    level: str
    precision: str
    fingerprint: str
    parts: int
    rows: int
    bytes: int
    rows_in_use: int | None  # None where a table is missing that would say it


@dataclass(frozen=True)
class HeldPart:
    """What a part says about itself."""

    path: Path
    schema_version: int
    spec: dict[str, Json]
    entries: list[Entry]  # none of a part of another schema version: nothing can name them
    num_bytes: int  # of its values in memory
    layout: str  # type and shape of a row

    @property
    def is_outdated(self) -> bool:
        """Whether it was written under another schema version."""
        return self.schema_version != SCHEMA_VERSION

    @property
    def group(self) -> str:
        """Return what parts must share to be merged."""
        return make_key(spec=self.spec, layout=self.layout)


def find_stores() -> list[CorpusStore]:
    """Return all stores under data/ that hold parts."""
    patterns: dict[StoreKind, Path] = {
        "audio": paths.audio_store("*"),
        "speech": paths.speech_store("*"),
        "faces": paths.faces_store("*"),
        "features": paths.feature_store("*", "*"),
    }
    found = [
        CorpusStore(kind, folder.parent.name if kind == "features" else folder.name, folder)
        for kind, pattern in patterns.items()
        for folder in sorted(Path().glob(str(pattern)))
    ]
    return [store for store in found if store.part_store.parts() or find_leftovers(store.folder)]


def find_leftovers(folder: Path) -> list[Path]:
    """Return what a killed writer left in a store, or one at work has not finished."""
    return sorted(folder.glob(f"*{UNFINISHED}*"))


def size_on_disk(part: Path) -> int:
    """Return the bytes of a part's files."""
    return sum(file.stat().st_size for file in [part, *part.rglob("*")] if file.is_file())


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


def _find_audio_usage(corpus: str, named: set[str], audio: Mapping[str, Json]) -> Usage | None:
    """Sound is decoded before it is searched for speech, so not by the speech table alone."""
    if not paths.clips_table(corpus).is_file():
        return None
    decoded = {*audio_keys(CLIPS.read(paths.clips_table(corpus)), audio).values()}
    speech = _read_column(SPEECH, paths.speech_table(corpus), "audio_key")
    windows = _read_column(WINDOWS, paths.windows_table(corpus), "audio_key")
    return Usage(named | decoded | speech | windows)


def _find_speech_usage(corpus: str) -> Usage | None:
    table = paths.speech_table(corpus)
    return Usage(_read_column(SPEECH, table, "key")) if table.is_file() else None


def _find_faces_usage(corpus: str, named: set[str], faces: Mapping[str, Json]) -> Usage | None:
    clips, crops = paths.clips_table(corpus), paths.crops_table(corpus)
    if not (clips.is_file() and crops.is_file()):
        return None
    keys = named | _read_column(CROPS, crops, "faces_key")
    return Usage(keys, _read_column(CLIPS, clips, "clip_id"), {"faces": faces})


def _find_features_usage(store: CorpusStore, named: set[str]) -> Usage | None:
    tables = [paths.feature_rows_table(store.corpus, modality) for modality in MODALITIES]
    if not all(table.is_file() for table in tables):
        return None
    rows = pd.concat([FEATURE_ROWS.read(table) for table in tables])
    return Usage(named | {*rows.loc[rows["store"] == str(store.folder), "feature_key"]})


def _read_column(table: Table, path: Path, column: str) -> set[str]:
    return {*table.read(path)[column].dropna()} if path.is_file() else set()


def _read_joined_tables() -> defaultdict[Path, set[str]]:
    """Examples and datasets -> the keys that they name of each store."""
    named: defaultdict[Path, set[str]] = defaultdict(set)
    for path in sorted(Path().glob(str(paths.examples_table("*")))):
        _collect(named, EXAMPLES.read(path), "store", "key")
    datasets = sorted(Path().glob(str(paths.train_dataset("*"))))
    for path in (*datasets, paths.EVALUATION_DATASET):
        if path.is_file():
            dataset = DATASET.read(path)
            for level in LEVELS:
                _collect(named, dataset, "audio_store", f"audio_{level}")
                slots = dataset[["face_store", f"face_{level}"]].explode(f"face_{level}")
                _collect(named, slots, "face_store", f"face_{level}")
    return named


def _collect(named: dict[Path, set[str]], table: pd.DataFrame, store: str, key: str) -> None:
    for folder, keys in table.dropna(subset=[store, key]).groupby(store)[key]:
        named[Path(str(folder))].update(keys)


def take_statistics(store: CorpusStore, usage: Usage | None) -> list[StoreStatistics]:
    """Count what a store holds, each encoder and way of using it apart."""
    held = read_parts(store.part_store)
    in_use = find_rows_in_use(held, usage)
    groups: dict[tuple[str, str, str, str], list[HeldPart]] = {}
    for part in held:
        groups.setdefault(_describe(store, part), []).append(part)
    return [
        StoreStatistics(
            kind=store.kind,
            corpus=store.corpus,
            encoder=encoder,
            level=level,
            precision=precision,
            fingerprint=fingerprint,
            parts=len(parts),
            rows=sum(len(part.entries) for part in parts),
            bytes=sum(size_on_disk(part.path) for part in parts),
            rows_in_use=None if usage is None else sum(len(in_use[part.path]) for part in parts),
        )
        for (encoder, level, precision, fingerprint), parts in sorted(groups.items())
    ]


def add_up(lines: Sequence[StoreStatistics]) -> StoreStatistics:
    """Return the sum of all."""
    in_use = [line.rows_in_use for line in lines if line.rows_in_use is not None]
    return StoreStatistics(
        kind="total",
        corpus="",
        encoder="",
        level="",
        precision="",
        fingerprint="",
        parts=sum(line.parts for line in lines),
        rows=sum(line.rows for line in lines),
        bytes=sum(line.bytes for line in lines),
        rows_in_use=sum(in_use) if len(in_use) == len(lines) else None,
    )


def _describe(store: CorpusStore, part: HeldPart) -> tuple[str, str, str, str]:
    """Return encoder, level, precision and the first digits of the fingerprint."""
    spec = part.spec
    if part.is_outdated:
        return (f"(schema version {part.schema_version})", "", "", "")
    if store.kind != "features":
        return ("", "", "", "")
    fingerprint = spec["fingerprint"][:FINGERPRINT_DIGITS]
    return (spec["encoder"], spec["level"], spec["precision"], fingerprint)


def read_parts(store: PartStore) -> list[HeldPart]:
    """Return what the parts of a store say about themselves, without their values."""
    return [_read_part(path, store.part_format) for path in store.parts()]


def _read_part(path: Path, part_format: PartFormat) -> HeldPart:
    head = read_head(path, part_format)
    version = head["schema_version"]
    entries = list_entries(path, head) if version == SCHEMA_VERSION else []
    with open_part(path, part_format) as part:
        values = part["values"]
        layout = f"{values.dtype.str}{values.shape[1:]}"
        return HeldPart(path, version, head["spec"], entries, int(values.nbytes), layout)


def find_rows_in_use(parts: Sequence[HeldPart], usage: Usage | None) -> dict[Path, list[Entry]]:
    """Return each part's entries that are named; of a key in two parts, the one that is read."""
    home = {entry.key: part.path for part in parts for entry in part.entries}  # as in `index`
    return {
        part.path: [
            entry
            for entry in part.entries
            if home[entry.key] == part.path and (usage is None or usage.names(entry, part.spec))
        ]
        for part in parts
    }


def find_damage(part: Path, part_format: PartFormat) -> str | None:
    """Read a part whole -> what is wrong with it, None if it is as it was written."""
    try:
        verify_part(part, part_format)
    except DamagedPartError as error:
        return str(error)
    return None


def remove_part(part: Path) -> None:
    """Remove a part; a kill in between leaves no half of it that counts as a part."""
    gone = part.with_name(f"{part.name}{UNFINISHED}-removed-{os.getpid()}")
    part.rename(gone)
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
