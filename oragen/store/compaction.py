"""A store and what of it is in use -> the same rows in fewer parts, and no others.

New parts are written first and old ones removed afterwards, so that every row in use is in some
part at any moment. Parts that are large enough and wholly in use are not touched.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64
from tqdm import tqdm

from oragen.schema.vocabulary import Json
from oragen.store.failures import DamagedPartError
from oragen.store.formats import map_values
from oragen.store.inventory import (
    HeldPart,
    find_damage,
    find_rows_in_use,
    read_parts,
    remove_part,
)
from oragen.store.locks import take_store
from oragen.store.parts import PartStore
from oragen.store.row_tables import RowTable
from oragen.store.rows import Row
from oragen.store.usage import Usage
from oragen.store.writing import PartWriter


class Kept(NamedTuple):
    """The rows of a part that are in use."""

    part: Path
    rows: RowTable


@dataclass(frozen=True)
class Merge:
    """Rows of one spec that go into new parts together."""

    spec: dict[str, Json]
    kept: tuple[Kept, ...]

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return sum(len(kept.rows) for kept in self.kept)


@dataclass(frozen=True)
class Compaction:
    """What is to be done to one store."""

    merges: tuple[Merge, ...]
    replaced: tuple[Path, ...]  # parts whose rows are merged or dropped
    num_untouched: int  # parts
    num_dropped: int  # rows that no table names, and second copies

    @property
    def num_merged(self) -> int:
        """How many rows are written again."""
        return sum(merge.num_rows for merge in self.merges)


def plan_compaction(store: PartStore, usage: Usage | None, part_bytes: int) -> Compaction:
    """Decide which parts stay as they are, and which rows go into new ones.

    Args:
        store: which.
        usage: the rows to keep; None = all.
        part_bytes: a part with less than that is merged with others of its spec.
    """
    held = read_parts(store)
    in_use = find_rows_in_use(held, usage)
    groups: dict[str, list[HeldPart]] = {}
    for part in held:
        if not part.is_outdated:
            groups.setdefault(part.group, []).append(part)
    merges: list[Merge] = []
    replaced: list[Path] = []
    if usage is not None:
        replaced += [part.path for part in held if part.is_outdated]
    for _, parts in sorted(groups.items()):
        changed = _choose_parts(parts, in_use, part_bytes)
        replaced += [part.path for part in changed]
        kept = [Kept(part.path, part.rows.take(in_use[part.path])) for part in changed]
        if any(len(rows) for _, rows in kept):
            merges.append(Merge(changed[0].spec, tuple(kept)))
    num_rows = sum(len(part.rows) for part in held)
    num_in_use = sum(map(len, in_use.values()))
    return Compaction(
        merges=tuple(merges),
        replaced=tuple(replaced),
        num_untouched=len(held) - len(replaced),
        num_dropped=num_rows - num_in_use,
    )


def _choose_parts(
    parts: Sequence[HeldPart],
    in_use: Mapping[Path, Int64[np.ndarray, " rows"]],
    part_bytes: int,
) -> list[HeldPart]:
    """Return the parts that hold unused rows or too few; one alone is not too small."""
    whole = [part for part in parts if len(in_use[part.path]) == len(part.rows)]
    small = [part for part in whole if part.num_bytes < part_bytes]
    partial = [part for part in parts if part not in whole]
    if len(small) == 1 and not any(len(in_use[part.path]) for part in partial):
        small = []
    return [part for part in parts if part in small or part in partial]


def compact(store: PartStore, compaction: Compaction, part_bytes: int) -> None:
    """Do what was planned: write the new parts, then remove the old ones.

    Raises:
        DamagedPartError: when a part that is to be rewritten is not whole; nothing is changed.
        StoreInUseError: when another process is writing to the store; nothing is changed.
    """
    with take_store(store.folder, "oragen cache compact"):
        written = write_merged(store, compaction, part_bytes)
        for part in compaction.replaced:
            if part not in written:  # one may have come out equal to what it was
                remove_part(part)


def write_merged(store: PartStore, compaction: Compaction, part_bytes: int) -> list[Path]:
    """Write the rows of the replaced parts that are in use into new parts; return those.

    Raises:
        DamagedPartError: when one of them is not whole: its copy would have a name that fits.
    """
    read = {part for merge in compaction.merges for part, rows in merge.kept if len(rows)}
    for part in tqdm(sorted(read), desc="verifying", unit="part", disable=not read):
        if damage := find_damage(part, store.part_format):
            raise DamagedPartError(f"{damage} Then compact again: {store.folder} is as it was.")
    written: list[Path] = []
    for merge in compaction.merges:
        with PartWriter(store, merge.spec, part_bytes) as writer:
            reading = _read(store, merge)
            for row, values in tqdm(reading, "writing", total=merge.num_rows, unit="row"):
                # A copy, because a view would keep the whole part that it is of in memory.
                writer.add(
                    row.key, row.clip_id, values.copy(), reason=row.reason, details=row.details
                )
        written += writer.written
    return written


def _read(store: PartStore, merge: Merge) -> Iterator[tuple[Row, np.ndarray]]:
    """Yield the rows of a merge and their values, part after part by name."""
    for part, rows in sorted((kept for kept in merge.kept if len(kept.rows)), key=itemgetter(0)):
        values = map_values(part, store.part_format)
        for row in rows.to_rows():
            yield row, values[row.start : row.stop]
