"""One keyed item of a part -> where its values are there, or why it has none."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oragen.schema.vocabulary import Json

OF: Final = "of"  # in the details of a row of a failed clip: the key that it has no row of


@dataclass(frozen=True)
class Row:
    """One keyed item: `start:stop` of its part's values, or the reason why it has none."""

    key: str
    clip_id: str
    start: int
    stop: int
    reason: str | None = None
    details: dict[str, Json] = field(default_factory=dict)
    crc32c: int | None = field(default=None, compare=False)  # of its values; None in older parts


@dataclass(frozen=True)
class Located:
    """A row and the part that holds it."""

    part: Path
    row: Row
