"""What features are and how they were made -> the keys of their rows, and what a row may hold.

A row's key is a hash of everything that its value depends on: the media's bytes and all
preprocessing (the input's own key), the encoder's weights, the level, the precision and the stored
type. A row that the store has is never computed again.
"""

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from jaxtyping import Float16

from oragen.features.stretches import Stretching
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Json, Level, Modality, Precision
from oragen.store.hashing import make_key

STORED_TYPE: Final = np.float16
EXPONENT: Final = 0x7C00  # its bits in a float16
# Fields of a spec that a head depends on; an encoder may get another name or source.
SEEN_BY_HEADS: Final = ("fingerprint", "level", "precision", "shape", "stretch", "layers")
# Fields in which two kinds of features differ.
DECISIVE: Final = ("modality", *SEEN_BY_HEADS, "stored")
# Not in features of single windows nor of crops; not in those of what an encoder returns.
OPTIONAL: Final = ("stretch", "layers")


class EmbeddingError(UserError):
    """An encoder returns numbers that cannot be stored."""


@dataclass(frozen=True)
class FeatureSpec:
    """How the features of one part are made. `key_of` says which fields are in a row's key."""

    modality: Modality
    encoder: str  # its name in params.yaml
    source: str
    fingerprint: str
    level: Level
    precision: Precision
    shape: tuple[int, int]  # of one window or crop: positions x width, see `as_json`
    stretching: Stretching | None = None  # None: a row is a window or a crop
    layers: tuple[int, ...] | None = None  # side by side in the width; None: the encoder's output

    def key_of(self, input_key: str) -> str:
        """Return the key of the features of an input."""
        return make_key(
            input=input_key,
            encoder=self.fingerprint,
            level=self.level,
            precision=self.precision,
            shape=list(self.shape),
            stored=np.dtype(STORED_TYPE).str,
            **self._choices,
        )

    @property
    def max_positions(self) -> int:
        """The most that a row has."""
        return self.shape[0] if self.stretching is None else self.stretching.length

    @property
    def row_bytes(self) -> int:
        """Size of a row with all positions."""
        return self.max_positions * self.shape[1] * np.dtype(STORED_TYPE).itemsize

    def bytes_of(self, fill: float) -> int:
        """Return the most that a row takes; a stretch may be much shorter than the longest."""
        return self.row_bytes if self.stretching is None else round(self.row_bytes * fill)

    def as_json(self) -> dict[str, Json]:
        """Return the spec as it is written in the parts."""
        stored = np.dtype(STORED_TYPE).str
        names = [self._position, "width"]  # the positions of all rows, one row after the other
        chosen = ("stretching", "layers")
        fields = {name: value for name, value in asdict(self).items() if name not in chosen}
        return {**fields, **self._choices, "stored": stored, "dimension_names": names}

    @property
    def _choices(self) -> dict[str, Json]:
        """What only features of stretches have, or of some layers."""
        stretch = {} if self.stretching is None else {"stretch": self.stretching.as_json()}
        return stretch if self.layers is None else stretch | {"layers": list(self.layers)}

    @property
    def _position(self) -> str:
        """The name of the first axis of a row."""
        match self.modality, self.level:
            case _, "late":
                return "vector"
            case _, "pooled":
                return "statistic"
            case "audio", _:
                return "step"
            case "face", "early":
                return "token"
            case _:
                return "layer"


def check_row(row: Float16[np.ndarray, "positions width"], spec: FeatureSpec, clip_id: str) -> None:
    """Check an embedding before it is stored.

    Raises:
        EmbeddingError: float16 could not hold it.
        ValueError: it is larger than in its spec, or of another type.
    """
    positions, width = row.shape
    if positions > spec.max_positions or width != spec.shape[1] or row.dtype != STORED_TYPE:
        raise ValueError(f"an embedding of {positions} x {width} {row.dtype} for {clip_id}: {spec}")
    # As `np.isfinite`, 25 times as fast: the exponent of infinity and NaN has all bits set.
    if (np.ascontiguousarray(row).view(np.uint16) & EXPONENT).max(initial=0) == EXPONENT:
        raise EmbeddingError(
            f"The encoder returned values for {clip_id} that float16 cannot hold (beyond "
            f"{np.finfo(STORED_TYPE).max:,.0f}, or no numbers). Try precision fp32, or another "
            "encoder."
        )
