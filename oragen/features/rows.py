"""Keys of embeddings in a store -> rows of features: where each is, and its values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float16, Int64

from oragen.features.pieces import Pieces, count_positions
from oragen.features.places import name_parts
from oragen.features.spec import DECISIVE, OPTIONAL, STORED_TYPE, FeatureSpec
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Json, Level
from oragen.store.failures import name_failures
from oragen.store.formats import map_values
from oragen.store.hashing import make_key
from oragen.store.headers import shorten
from oragen.store.key_sets import Keys
from oragen.store.layouts import PartLayout
from oragen.store.parts import PartStore
from oragen.store.places import Places

MAX_ROW_VALUES: Final = 2**26  # of 128 MB; a window of 4 s of the largest encoders has 2**18
NONE: Final = -1  # in place of a row: no speech in a window, no crop in a slot


class MissingFeaturesError(UserError):
    """A store lacks rows that a table names."""


class MixedFeaturesError(UserError):
    """Corpora with features of different encoders or settings."""


def no_rows(spec: Mapping[str, Json] | None = None) -> "FeatureRows":
    """Return no rows, for a modality that no window has; without a spec their size is 1 x 1."""
    nothing = np.zeros(0, np.int64)
    return FeatureRows((), nothing, nothing, nothing, dict(spec) if spec else {"shape": (1, 1)})


@dataclass(frozen=True)
class FeatureRows:
    """Where rows of features are, in the order of the request; their values are not read yet."""

    parts: tuple[Path, ...]
    part_of: Int64[np.ndarray, " rows"]  # number of the part that holds a row
    start_of: Int64[np.ndarray, " rows"]  # where it begins there
    num_positions: Int64[np.ndarray, " rows"]  # how many it has there
    spec: dict[str, Json]  # how they were made
    ends: Pieces | None = None  # where views go on that reach into a second stretch

    def __len__(self) -> int:
        return len(self.part_of)

    @property
    def shape(self) -> tuple[int, int]:
        """Positions and width of a row when it is gathered."""
        positions, width = self.spec["shape"]
        return positions, width

    @property
    def num_bytes(self) -> int:
        """Size of all rows as they are stored."""
        return sum(self.bytes_of_parts())

    @property
    def num_steps(self) -> Int64[np.ndarray, " rows"]:
        """How many positions each row has when it is gathered."""
        steps: np.ndarray = np.sum([piece.num_positions for piece in self._pieces], axis=0)
        return steps

    @property
    def _pieces(self) -> list[Pieces]:
        beginnings = Pieces(self.part_of, self.start_of, self.num_positions)
        return [beginnings] if self.ends is None else [beginnings, self.ends]

    def parts_of(self, rows: Int64[np.ndarray, "..."]) -> Int64[np.ndarray, "... pieces"]:
        """Return the numbers of the parts that hold rows; NONE where there is no row or piece."""
        # A row NONE (-1) is the last element, which is NONE.
        return np.stack([np.append(piece.part_of, NONE)[rows] for piece in self._pieces], axis=-1)

    def bytes_of_parts(self) -> list[int]:
        """Return, for each part, the size of what these rows need of it; what is shared, once."""
        columns = (np.concatenate(column) for column in zip(*self._pieces, strict=True))
        positions = count_positions(Pieces(*columns), num_parts=len(self.parts))
        return [int(count) * self.shape[1] * np.dtype(STORED_TYPE).itemsize for count in positions]

    def view(
        self,
        rows: Int64[np.ndarray, " views"],
        next_rows: Int64[np.ndarray, " views"],
        first: Int64[np.ndarray, " views"],
        num_positions: Int64[np.ndarray, " views"],
    ) -> "FeatureRows":
        """Return views as rows: so many positions from `first` on, of a row and the next, if any.

        Raises:
            MissingFeaturesError: the rows do not have all these positions.
        """
        here = np.minimum(num_positions, self.num_positions[rows] - first)
        beyond = num_positions - here
        available = np.where(next_rows == NONE, 0, self.num_positions[next_rows])
        fits = (beyond <= available) & (num_positions <= self.shape[0])
        is_there = (first >= 0) & (here > 0) & fits
        if not is_there.all():
            raise MissingFeaturesError(
                f"{np.sum(~is_there)} of {len(rows)} windows are no part of their stretches of "
                "features. Run `dvc repro extract_audio_features make_datasets`."
            )
        goes_on = np.where(beyond > 0, next_rows, NONE)
        ends = Pieces(self.parts_of(goes_on)[..., 0], self.start_of[goes_on], beyond)
        start_of = self.start_of[rows] + first
        return replace(
            self, part_of=self.part_of[rows], start_of=start_of, num_positions=here, ends=ends
        )

    def read_part(self, number: int) -> Float16[np.ndarray, "part_positions width"]:
        """Map a part into memory, see `map_values`."""
        return map_values(self.parts[number])

    def gather(
        self, rows: Int64[np.ndarray, "..."], parts: Mapping[int, np.ndarray]
    ) -> Float16[np.ndarray, "... positions width"]:
        """Take rows out of their parts; zeros behind short ones, and in place of NONE."""
        gathered = np.empty((rows.size, *self.shape), STORED_TYPE)  # row, position, width
        filled = np.zeros(rows.size, np.int64)
        places = np.flatnonzero(rows.ravel() != NONE)
        present = rows.ravel()[places]
        for piece in self._pieces:
            part_of, start_of, num_positions = (column[present] for column in piece)
            columns = (places, filled[places], part_of, start_of, num_positions)
            lists = (column.tolist() for column in columns)
            for place, begin, part, start, count in zip(*lists, strict=True):
                if count:
                    gathered[place, begin : begin + count] = parts[part][start : start + count]
            filled[places] += num_positions
        for place in np.flatnonzero(filled < self.shape[0]).tolist():
            gathered[place, filled[place] :] = 0
        # row, ... -> window (, slot), position, width
        return gathered.reshape(*rows.shape, *self.shape)


def locate_features(stores: Mapping[str, Keys], level: Level | None = None) -> FeatureRows:
    """Find feature rows, by the parts' own tables.

    Args:
        stores: for each store's folder the keys of the rows; the result is in this order.
        level: of all the rows; then only the parts that hold rows in use of this level are opened,
            as far as `data/places` names them.

    Raises:
        MissingFeaturesError: a key is in no part of its store.
        MixedFeaturesError: the rows are of several encoders, or were made in several ways.
    """
    found = [_locate(Path(folder), keys, level) for folder, keys in stores.items()]
    parts: list[PartLayout] = []
    part_of: list[np.ndarray] = []
    for places in found:
        numbers, used = pd.factorize(places.part_of)  # in the order of the first rows
        part_of.append(numbers + len(parts))
        parts += [places.parts[number] for number in used.tolist()]
    rows = FeatureRows(
        parts=tuple(part.path for part in parts),
        part_of=_join(part_of),
        start_of=_join([places.starts for places in found]),
        num_positions=_join([places.stops - places.starts for places in found]),
        spec=_find_spec(parts),
    )
    _check_lengths(rows)
    return rows


def _join(columns: Sequence[np.ndarray]) -> np.ndarray:
    return columns[0] if len(columns) == 1 else np.concatenate([np.zeros(0, np.int64), *columns])


def _locate(store: Path, keys: Keys, level: Level | None) -> Places:
    first = name_parts(store, level) if level else ()
    places = PartStore(store, "zarr").locate(keys, first=first)
    if not places.are_found.all():
        absent = np.flatnonzero(~places.are_found)
        example = next(islice(iter(keys), int(absent[0]), None))
        raise MissingFeaturesError(
            f"{store} lacks {len(absent)} of {len(places)} feature rows, e.g. {example}. "
            "Run `dvc repro`, after `oragen cache verify --remove` if a part is named above."
        )
    return places


def find_foreign(made: Iterable[tuple[PartLayout, FeatureSpec]]) -> list[Path]:
    """Parts, and what they should hold rows of -> those that hold other features."""
    return [
        *dict.fromkeys(
            part.path
            for part, spec in made
            if _decide(part.header["spec"]) != _decide(spec.as_json())
        )
    ]


def _decide(spec: Mapping[str, Json]) -> str:
    """Return what two specs share if their features are alike."""
    return make_key(**{name: spec.get(name) for name in DECISIVE})


def _find_spec(parts: Sequence[PartLayout]) -> dict[str, Json]:
    """Return the spec of all parts; they may differ in fields that are not `DECISIVE`."""
    specs: dict[str, dict[str, Json]] = {}
    for part in parts:
        with name_failures(part.path):
            _check_spec(part)
        specs.setdefault(_decide(part.header["spec"]), part.header["spec"])
    if len(specs) != 1:
        raise MixedFeaturesError(
            f"The features were made in {len(specs)} ways, expected 1: {list(specs.values())}. "
            "Run `dvc repro` for all corpora with one encoder."
        )
    return next(iter(specs.values()))


def _check_spec(part: PartLayout) -> None:
    """Refuse features whose size is not that of their spec, which batches are made after.

    Parts may come from anywhere.
    """
    spec = part.header["spec"]
    match spec.get("shape"):
        case [int(positions), int(width)] if 0 < positions * width <= MAX_ROW_VALUES:
            _read_max_positions(spec, positions, width)
        case shape:
            raise ValueError(f"the shape in its spec is {shorten(shape)}")
    if part.dtype != STORED_TYPE or part.shape[1:] != (width,):
        raise ValueError(f"its values are {part.dtype} {part.shape}, its spec says {width} wide")
    if missing := [name for name in DECISIVE if name not in spec and name not in OPTIONAL]:
        raise ValueError(f"its spec has no {missing[0]}")


def _check_lengths(rows: FeatureRows) -> None:
    """Refuse a row that is longer than its spec says."""
    most = _read_max_positions(rows.spec, *rows.shape)
    too_long = np.flatnonzero(rows.num_positions > most)
    if len(too_long):
        part = rows.parts[rows.part_of[too_long[0]]]
        with name_failures(part):
            raise ValueError(f"a row has more than the {most} positions of its spec")


def _read_max_positions(spec: Mapping[str, Json], positions: int, width: int) -> int:
    """Return how many positions a row may have: a window's, or those of a stretch."""
    match spec.get("stretch"):
        case None:
            return positions
        case {"frames": int(frames)} if 0 < frames * width <= MAX_ROW_VALUES:
            return frames
        case stretch:
            raise ValueError(f"the stretch in its spec is {shorten(stretch)}")
