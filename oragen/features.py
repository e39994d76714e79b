"""Embeddings of frozen encoders, each kept once -> rows that are found again by their keys.

A row's key is made of everything its value depends on: the media's bytes and all preprocessing
(the input's own key), the encoder's weights, the level, the precision and the type it is stored in.
What the store holds under that key is never computed again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float16, Int64
from tqdm import tqdm

from oragen.parts import Json, Located, PartStore, make_key, open_part, read_head
from oragen.schema import Level, Modality, Precision, UserError

STORED_TYPE: Final = np.float16
NUM_POSITIONS: Final = "num_positions"


@dataclass(frozen=True)
class FeatureSpec:
    """What the features of one store are; part of every row's key."""

    modality: Modality
    encoder: str  # its name in params.yaml
    source: str
    fingerprint: str
    level: Level
    precision: Precision
    shape: tuple[int, int]  # of one row: positions x width, see `as_json`

    def key_of(self, input_key: str) -> str:
        """Return the key of the features that this encoder makes from an input."""
        return make_key(
            input=input_key,
            encoder=self.fingerprint,
            level=self.level,
            precision=self.precision,
            shape=list(self.shape),
            stored=np.dtype(STORED_TYPE).str,
        )

    @property
    def row_bytes(self) -> int:
        """Size of one row, before it is compressed."""
        return self.shape[0] * self.shape[1] * np.dtype(STORED_TYPE).itemsize

    def as_json(self) -> dict[str, Json]:
        """Return the spec as it stands in the parts."""
        stored = np.dtype(STORED_TYPE).str
        names = ["window" if self.modality == "audio" else "crop", self._position, "width"]
        return {**asdict(self), "stored": stored, "dimension_names": names}

    @property
    def _position(self) -> str:
        """What there are several of in one row."""
        match self.modality, self.level:
            case _, "late":
                return "vector"
            case "audio", _:
                return "step"
            case "face", "early":
                return "token"
            case _:
                return "layer"


def to_row(
    embedding: Float[np.ndarray, "positions width"], shape: tuple[int, int], clip_id: str
) -> Float16[np.ndarray, "1 all_positions width"]:
    """One embedding -> a row of the store, zeros behind it.

    Raises:
        EmbeddingError: when float16 cannot hold it.
    """
    row = np.zeros((1, *shape), STORED_TYPE)
    with np.errstate(over="ignore"):
        row[0, : len(embedding)] = embedding
    if not np.isfinite(row).all():
        raise EmbeddingError(
            f"The encoder gave values for {clip_id} that float16 cannot hold (up to "
            f"{np.abs(embedding).max():.3g}). Try precision fp32, or another encoder."
        )
    return row


class EmbeddingError(UserError):
    """An encoder gives numbers that cannot be stored."""


class MissingFeaturesError(UserError):
    """A store lacks rows that a table names."""


class MixedFeaturesError(UserError):
    """Corpora whose features do not go together."""


# What tells two kinds of features apart; a name or a source may change and the encoder be the same.
DECISIVE: Final = ("modality", "fingerprint", "level", "precision", "shape", "stored")


@dataclass(frozen=True)
class FeatureRows:
    """Where some rows of features are, in the order asked for; their values are not read yet."""

    parts: tuple[Path, ...]
    part_of: Int64[np.ndarray, " rows"]  # number of the part that holds a row
    place_of: Int64[np.ndarray, " rows"]  # ... and which row it is there
    num_positions: Int64[np.ndarray, " rows"]  # how many of a row's positions are real
    spec: dict[str, Json]  # what they were made with

    def __len__(self) -> int:
        return len(self.part_of)

    @property
    def shape(self) -> tuple[int, int]:
        """Positions and width of a row."""
        positions, width = self.spec["shape"]
        return positions, width

    @property
    def num_bytes(self) -> int:
        """Size of all rows in memory."""
        return len(self) * self.shape[0] * self.shape[1] * np.dtype(STORED_TYPE).itemsize

    def read_part(self, number: int) -> Float16[np.ndarray, "part_rows positions width"]:
        """Read a part whole: single rows out of a shard are a hundred times slower.

        Raises:
            DamagedPartError: when it cannot be read.
        """
        with open_part(self.parts[number], "zarr") as part:
            return np.asarray(part["values"][:])

    def load(self) -> Float16[np.ndarray, "rows positions width"]:
        """Read all rows into memory, part after part.

        Raises:
            DamagedPartError: when a part cannot be read.
        """
        values = np.zeros((len(self), *self.shape), STORED_TYPE)
        parts = range(len(self.parts))
        for number in tqdm(parts, desc="reading features", unit="part", disable=len(parts) < 5):
            own = np.flatnonzero(self.part_of == number)
            values[own] = self.read_part(number)[self.place_of[own]]
        return values


def locate_features(stores: Mapping[str, Sequence[str]]) -> FeatureRows:
    """Find feature rows, by the parts' own tables.

    Args:
        stores: for each store's folder the keys wanted; the result follows this order.

    Raises:
        MissingFeaturesError: when a key is in no part of its store.
        MixedFeaturesError: when the rows were not all made with one encoder in one way.
    """
    found = [
        located
        for folder, keys in stores.items()
        for located in _locate(PartStore(Path(folder), "zarr"), keys)
    ]
    parts = tuple(dict.fromkeys(located.part for located in found))
    number_of = {part: number for number, part in enumerate(parts)}
    entries = [located.entry for located in found]
    return FeatureRows(
        parts=parts,
        part_of=np.array([number_of[located.part] for located in found], np.int64),
        place_of=np.array([entry.start for entry in entries], np.int64),
        num_positions=np.array([entry.details[NUM_POSITIONS] for entry in entries], np.int64),
        spec=_find_spec(parts),
    )


def _locate(store: PartStore, keys: Sequence[str]) -> list[Located]:
    index = store.index()
    if absent := [key for key in keys if key not in index]:
        raise MissingFeaturesError(
            f"{store.folder} lacks {len(absent)} of {len(keys)} feature rows, e.g. {absent[0]}. "
            "Run `dvc repro`."
        )
    return [index[key] for key in keys]


def _find_spec(parts: Sequence[Path]) -> dict[str, Json]:
    """Return what all parts were made with; they may differ in what decides nothing."""
    specs: dict[str, dict[str, Json]] = {}
    for part in parts:
        spec = read_head(part, "zarr")["spec"]
        specs.setdefault(make_key(**{name: spec[name] for name in DECISIVE}), spec)
    if len(specs) != 1:
        raise MixedFeaturesError(
            f"The features were made in {len(specs)} ways: {list(specs.values())}. "
            "Run `dvc repro` for all corpora with one encoder."
        )
    return next(iter(specs.values()))
