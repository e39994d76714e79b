"""The words everything shares: labels, tasks, modalities, levels, units, and their codes."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, SupportsInt

import numpy as np
from jaxtyping import Int64

from oragen.schema.choices.features import Level as Level
from oragen.schema.choices.features import Precision as Precision

SAMPLE_RATE_HZ: Final = 16_000
AGE_SCALE_YEARS: Final = 100.0  # networks know ages as shares of it

GENDERS: Final = ("female", "male")
GENDERS_WITH_CHILD: Final = ("child", "female", "male")
MASK_TYPES: Final = ("none", "tissue", "medical", "ffp", "respirator", "shield")

UNKNOWN_LABEL: Final = -1  # in the place of a label's code
NO_CROP: Final = -1  # in the place of a crop's number: a slot without one

Task = Literal["gender", "mask_type", "age"]
ClassTask = Literal["gender", "mask_type"]  # predicted as one of some labels
CLASS_TASKS: Final[tuple[ClassTask, ...]] = ("gender", "mask_type")
Split = Literal["train", "dev", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "dev", "test")
Modality = Literal["audio", "face"]
MODALITIES: Final[tuple[Modality, ...]] = ("audio", "face")
ModalitySet = Literal["audio_visual", "audio", "face"]  # what a head takes
MODALITY_SETS: Final[tuple[ModalitySet, ...]] = ("audio_visual", "audio", "face")
LEVELS: Final[tuple[Level, ...]] = ("early", "intermediate", "late", "pooled")
LEVELS_OF_VIEWS: Final[tuple[Level, ...]] = ("early", "intermediate")  # a position an audio frame
LEVELS_OF_LAYERS: Final[tuple[Level, ...]] = ("intermediate", "pooled")  # of some hidden layers
Json = Any  # what json.dumps takes


class Span(NamedTuple):
    """A half-open stretch of samples at 16 kHz."""

    start: int
    stop: int


def to_spans(starts: Iterable[SupportsInt], stops: Iterable[SupportsInt]) -> list[Span]:
    """Join two columns of a table, as NumPy or Python numbers."""
    return [Span(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]


def count_samples(length_s: float) -> int:
    """Convert seconds to samples at 16 kHz."""
    return round(length_s * SAMPLE_RATE_HZ)


class Skipped(NamedTuple):
    """What a stage skipped: a whole clip, or the part of it that could not be read; and why."""

    clip_id: str
    stage: str
    reason: str
    left_out: Literal["clip", "part"] = "clip"


# Why a file could not be read that say nothing of its bytes. No store keeps them.
CHANGED: Final = "changed since it was indexed"
PASSING_REASONS: Final = frozenset(
    {"no such file", "not a file", "no permission", "unreadable", CHANGED}
)


class Made(NamedTuple):
    """What was made of one clip: values, or the reason why there are none."""

    values: np.ndarray
    reason: str | None
    details: dict[str, Json]


def encode_labels(labels: Iterable[object], words: Sequence[str]) -> Int64[np.ndarray, " labels"]:
    """Give each label its place among the words; another one, or none, is `UNKNOWN_LABEL`."""
    codes: dict[object, int] = {word: code for code, word in enumerate(words)}
    return np.array([codes.get(label, UNKNOWN_LABEL) for label in labels], np.int64)
