"""A store's parts -> what they hold, how much of it is in use, and what is damaged."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Int64

from oragen.schema.files import remove, unfinished_path
from oragen.schema.vocabulary import Json
from oragen.store.failures import DamagedPartError, PartError, name_failures
from oragen.store.formats import PartFormat, read_layout, verify_part
from oragen.store.hashing import SCHEMA_VERSION, make_key
from oragen.store.key_sets import find_last
from oragen.store.parts import PartStore
from oragen.store.row_tables import RowTable
from oragen.store.usage import CorpusStore, StoreKind, Usage

logger = logging.getLogger(__name__)

FINGERPRINT_DIGITS: Final = 8


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
    rows_in_use: int | None  # None where a table that names them is missing


@dataclass(frozen=True)
class HeldPart:
    """What a part says about itself."""

    path: Path
    schema_version: int
    spec: dict[str, Json]
    rows: RowTable  # none of a part of another schema version: nothing can name them
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


def size_on_disk(part: Path) -> int:
    """Return the bytes of a part's files."""
    states = [file.lstat() for file in [part, *part.rglob("*")] if not file.is_dir()]
    return sum(state.st_size for state in states)


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
            rows=sum(len(part.rows) for part in parts),
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
    encoder, precision, fingerprint = (
        _show(spec.get(name)) for name in ("encoder", "precision", "fingerprint")
    )
    return (encoder, _show(name_level(spec)), precision, fingerprint[:FINGERPRINT_DIGITS])


def name_level(spec: Mapping[str, Json]) -> str:
    """Return the level of features with what else tells two kinds of one level apart.

    Such as `intermediate (span clip, layers 6, 12)`; no layers where they are the encoder's output.
    """
    notes = ["span clip"] if spec.get("stretch") else []
    notes += [f"layers {_name_layers(spec['layers'])}"] if spec.get("layers") else []
    level = str(spec.get("level"))
    return f"{level} ({', '.join(notes)})" if notes else level


def _name_layers(layers: Json) -> str:
    if not isinstance(layers, list):
        return str(layers)
    if len(layers) > 2 and layers == [*range(len(layers))]:
        return f"0 to {len(layers) - 1}"
    return ", ".join(map(str, layers))


def _show(value: Json) -> str:
    """Return a word of a spec, which may come from elsewhere, as characters that print."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))[:80]


def read_parts(store: PartStore) -> list[HeldPart]:
    """Return what the parts of a store say about themselves, without their values.

    Those that cannot be used are named and passed over.
    """
    held = []
    for path in store.parts():
        try:
            held.append(_read_part(path, store.part_format))
        except DamagedPartError as error:
            logger.warning("%s", error)
    return held


def _read_part(path: Path, part_format: PartFormat) -> HeldPart:
    layout = read_layout(path, part_format)
    header, described = layout.header, f"{layout.dtype.str}{layout.shape[1:]}"
    with name_failures(path):
        rows = layout.table
    return HeldPart(
        path, header["schema_version"], header["spec"], rows, layout.num_bytes, described
    )


def find_rows_in_use(
    parts: Sequence[HeldPart], usage: Usage | None
) -> dict[Path, Int64[np.ndarray, " rows"]]:
    """Return the numbers of each part's rows that are named.

    Of a key in two parts it is the one that is read.
    """
    keys = np.concatenate([np.zeros((0, 2), np.uint64), *(part.rows.keys for part in parts)])
    is_read = np.zeros(len(keys), bool)
    is_read[find_last(keys)] = True  # as in `PartStore.locate`
    in_use, stop = {}, 0
    for part in parts:
        start, stop = stop, stop + len(part.rows)
        is_used = is_read[start:stop]
        if usage is not None:
            is_used = is_used & usage.find_named(part.rows, part.spec)
        in_use[part.path] = np.flatnonzero(is_used)
    return in_use


def find_damage(part: Path, part_format: PartFormat) -> str | None:
    """Read a part whole -> what is wrong with it, None if it is as it was written.

    Raises:
        UnreachablePartError: when it cannot be read at present.
    """
    fault = find_fault(part, part_format)
    if fault is None or isinstance(fault, DamagedPartError):
        return None if fault is None else str(fault)
    raise fault


def find_fault(part: Path, part_format: PartFormat) -> PartError | None:
    """Read a part whole -> why it cannot be used: it is damaged, or cannot be read at present."""
    try:
        verify_part(part, part_format)
    except PartError as error:
        return error
    return None


def remove_part(part: Path) -> None:
    """Remove a part; a kill in between leaves no half of it that counts as a part."""
    gone = unfinished_path(part)
    part.rename(gone)
    remove(gone)
