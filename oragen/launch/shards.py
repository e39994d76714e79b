"""A share of the work of a stage -> its name, who does it, and what came of it."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

from oragen.schema.errors import UserError
from oragen.schema.names import shorten
from oragen.schema.vocabulary import Json

MAX_SHARDS: Final = 100_000
_SHARE: Final = re.compile(r"(\d{1,6})/(\d{1,6})")


class Share(NamedTuple):
    """One of several shares, as people count them: the first is 1."""

    number: int
    of: int

    def holds(self, name: str) -> bool:
        """Whether a name is in this share; it is in one of them, always the same."""
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def read_share(text: str | None, environment: Mapping[str, str]) -> Share:
    """Read a share such as `3/16`; without a text it is that of a task in an array of Slurm.

    Raises:
        UserError: there is none, or it is no share.
    """
    if text is None:
        return _read_share_of_array(environment)
    found = _SHARE.fullmatch(text)
    share = Share(*map(int, found.groups())) if found else Share(0, 0)
    if not 1 <= share.number <= share.of <= MAX_SHARDS:
        raise UserError(
            f"{shorten(repr(text))} is no shard: expected its number and how many there are, such "
            f"as 3/16, with 1 <= 3 <= 16 <= {MAX_SHARDS}."
        )
    return share


def _read_share_of_array(environment: Mapping[str, str]) -> Share:
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
    try:
        number, least, count = (int(environment[name]) for name in names)
    except (KeyError, ValueError) as error:
        raise UserError(
            "No shard is named. Name one, such as 3/16, or run the command in an array of Slurm: "
            "`sbatch --array=1-16 ...`."
        ) from error
    if not 1 <= number - least + 1 <= count <= MAX_SHARDS:
        raise UserError(
            f"Task {number} of an array of {count} tasks from {least} on is no shard. Number the "
            "tasks without gaps, as `sbatch --array=1-16` does, or name the shard, such as 3/16."
        )
    return Share(number - least + 1, count)


@dataclass(frozen=True)
class Call:
    """Groups of a plan, for one worker."""

    project: str  # the folder, the same on each machine
    stage: str
    subject: str  # a corpus or a head
    plan: str  # its name
    groups: tuple[int, ...] = ()
    start: int = 0  # rows of the only group, where a call is a piece of it
    stop: int | None = None
    num_processes: int = 1
    device: str | None = None  # None: as params.yaml says

    def on(self, device: str) -> "Call":
        """Return the same call for a device."""
        return replace(self, device=device)

    def of(self, *groups: int) -> "Call":
        """Return the same call for these groups."""
        return replace(self, groups=groups)

    def split(self, num_rows: int, unit: int) -> "list[Call]":
        """Return two calls of half the rows of the group; or this one, if it is a single unit.

        Args:
            num_rows: of the group.
            unit: so many rows are made together, counted from the first of the group.
        """
        stop = num_rows if self.stop is None else self.stop
        num_units = -(-(stop - self.start) // unit)
        if num_units <= 1:
            return [self]
        middle = self.start + num_units // 2 * unit
        return [replace(self, stop=middle), replace(self, start=middle, stop=stop)]


@dataclass(frozen=True)
class Result:
    """What came of a call; the rows themselves are in the store."""

    num_made: int
    parts: tuple[str, ...] = ()  # their names
    failures: Mapping[str, str] = field(default_factory=dict)  # keys without a row: why

    def as_json(self) -> dict[str, Json]:
        """Return it as it is written."""
        return {
            "num_made": self.num_made,
            "parts": list(self.parts),
            "failures": dict(self.failures),
        }

    def __add__(self, other: "Result") -> "Result":
        return Result(
            self.num_made + other.num_made,
            (*self.parts, *other.parts),
            {**self.failures, **other.failures},
        )


Work: TypeAlias = Callable[[Call], Result]
