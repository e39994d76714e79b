"""Windows and crops -> embeddings of frozen encoders, each computed once and kept.

A row's key is made of everything its value depends on: the media's bytes and all preprocessing
(the input's own key), the encoder's weights, the level, the precision and the type it is stored in.
What the store holds under that key is never computed again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float16, Int64
from tqdm import tqdm

from oragen.parts import Json, Located, PartStore, PartWriter, make_key, read_head
from oragen.schema import Level, Modality, Precision, UserError

logger = logging.getLogger(__name__)

Encode = Callable[[list[np.ndarray]], list[np.ndarray]]  # inputs -> positions x width of each
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


@dataclass(frozen=True)
class FeatureInput:
    """What one row of features is made from: where to read it, and its key."""

    key: str
    clip_id: str
    size: int  # samples of sound; crops have one size
    read: Callable[[], np.ndarray]


def extract(
    store: PartStore,
    inputs: Iterable[FeatureInput],
    encode: Encode,
    spec: FeatureSpec,
    *,
    batch_size: int,
    part_bytes: int,
) -> int:
    """Encode what the store lacks, each input once; return how many that were.

    The longest come first, so that a batch wastes little padding. A row that fills less than all
    positions is followed by zeros, and its `num_positions` stands in the entry's details.

    Raises:
        EmbeddingError: when an embedding does not fit into float16.
    """
    present = store.index()
    missing = {item.key: item for item in inputs if spec.key_of(item.key) not in present}
    in_order = sorted(missing.values(), key=lambda item: (-item.size, item.key))
    title = f"{spec.modality} features"
    progress = tqdm(total=len(in_order), desc=title, unit="row", disable=not in_order)
    with PartWriter(store, spec.as_json(), part_bytes) as writer, progress:
        for batch in _batches(in_order, batch_size):
            embeddings = encode([item.read() for item in batch])
            for item, embedding in zip(batch, embeddings, strict=True):
                details = {NUM_POSITIONS: len(embedding)}
                row = _to_row(embedding, spec.shape, item.clip_id)
                writer.add(spec.key_of(item.key), item.clip_id, row, details=details)
            progress.update(len(batch))
    return len(in_order)


def _batches(items: Sequence[FeatureInput], size: int) -> Iterator[list[FeatureInput]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _to_row(
    embedding: Float[np.ndarray, "positions width"], shape: tuple[int, int], clip_id: str
) -> Float16[np.ndarray, "1 all_positions width"]:
    row = np.zeros((1, *shape), STORED_TYPE)
    with np.errstate(over="ignore"):
        row[0, : len(embedding)] = embedding
    if not np.isfinite(row).all():
        raise EmbeddingError(
            f"The encoder gave values for {clip_id} that float16 cannot hold (up to "
            f"{np.abs(embedding).max():.3g}). Try precision fp32, or another encoder."
        )
    return row


@dataclass(frozen=True)
class LoadedFeatures:
    """Feature rows in memory, in the order asked for."""

    values: Float16[np.ndarray, "rows positions width"]
    num_positions: Int64[np.ndarray, " rows"]  # how many of a row's positions are real
    spec: dict[str, Json]  # what they were made with


class EmbeddingError(UserError):
    """An encoder gives numbers that cannot be stored."""


class MissingFeaturesError(UserError):
    """A store lacks rows that a table names."""


class MixedFeaturesError(UserError):
    """Corpora whose features do not go together."""


# What tells two kinds of features apart; a name or a source may change and the encoder be the same.
DECISIVE: Final = ("modality", "fingerprint", "level", "precision", "shape", "stored")


def load_features(stores: Mapping[str, Sequence[str]]) -> LoadedFeatures:
    """Read feature rows into memory, whole parts at a time.

    Args:
        stores: for each store's folder the keys wanted; the result follows this order.

    Raises:
        MissingFeaturesError: when a key is in no part of its store.
        MixedFeaturesError: when the rows were not all made with one encoder in one way.
    """
    found = [_locate(PartStore(Path(folder), "zarr"), keys) for folder, keys in stores.items()]
    spec = _find_spec([located.part for rows in found for located in rows])
    num_rows = sum(map(len, found))
    values = np.zeros((num_rows, *spec["shape"]), STORED_TYPE)
    num_positions = np.zeros(num_rows, np.int64)
    first = 0
    for folder, rows in zip(stores, found, strict=True):
        own = slice(first, first + len(rows))
        _fill(PartStore(Path(folder), "zarr"), rows, values[own], num_positions[own])
        first = own.stop
    return LoadedFeatures(values, num_positions, spec)


def _locate(store: PartStore, keys: Sequence[str]) -> list[Located]:
    index = store.index()
    if absent := [key for key in keys if key not in index]:
        raise MissingFeaturesError(
            f"{store.folder} lacks {len(absent)} of {len(keys)} feature rows, e.g. {absent[0]}. "
            "Run `dvc repro`."
        )
    return [index[key] for key in keys]


def _fill(
    store: PartStore,
    rows: Sequence[Located],
    values: Float16[np.ndarray, "rows positions width"],
    num_positions: Int64[np.ndarray, " rows"],
) -> None:
    """Read the rows of one store into their places, also those asked for twice."""
    places: dict[str, list[int]] = {}
    for place, located in enumerate(rows):
        places.setdefault(located.entry.key, []).append(place)
    for located, row in store.read_many([rows[found[0]] for found in places.values()]):
        values[places[located.entry.key]] = row
        num_positions[places[located.entry.key]] = located.entry.details[NUM_POSITIONS]


def _find_spec(parts: Iterable[Path]) -> dict[str, Json]:
    """Return what all parts were made with; they may differ in what decides nothing."""
    specs: dict[str, dict[str, Json]] = {}
    for part in dict.fromkeys(parts):
        spec = read_head(part, "zarr")["spec"]
        specs.setdefault(make_key(**{name: spec[name] for name in DECISIVE}), spec)
    if len(specs) != 1:
        raise MixedFeaturesError(
            f"The features were made in {len(specs)} ways: {list(specs.values())}. "
            "Run `dvc repro` for all corpora with one encoder."
        )
    return next(iter(specs.values()))
