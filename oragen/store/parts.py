"""Arrays with a key each <-> a store: a folder of immutable parts, each complete in itself.

A part holds one array `values` and a header: the spec that says what the values are, and the table
of its rows. A row is one keyed item: its key, its clip, and which stretch of `values` is its own. A
part is written under a temporary name and renamed when whole; it is never changed afterwards. Its
name is the hash of its content. So equal parts have equal names, two stores merge by union, and a
crash loses at most the part under way.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Final

import numpy as np
from jaxtyping import UInt64

from oragen.schema.files import find_abandoned, remove
from oragen.store.failures import ADVICE, DamagedPartError, PartError, warn_once
from oragen.store.formats import PartFormat, check_part, map_values, read_layout
from oragen.store.hashing import SCHEMA_VERSION
from oragen.store.key_sets import Keys, KeySet, pack_keys, unpack_keys
from oragen.store.layouts import PartLayout
from oragen.store.locks import share_store
from oragen.store.places import Places, RowIndex, find_places, list_places
from oragen.store.proofs import find_unread, note_whole
from oragen.store.rows import Located

logger = logging.getLogger(__name__)

SET_ASIDE: Final = ".damaged-"  # in the name of a part that is not used; see .dvcignore


class MissingRowsError(PartError):
    """A store lacks rows that a table names."""


class PartStore:
    """A folder of parts of one format."""

    def __init__(self, folder: Path, part_format: PartFormat) -> None:
        self.folder = folder
        self.part_format: PartFormat = part_format

    def parts(self) -> list[Path]:
        """Return the finished parts, by name."""
        return sorted(self.folder.glob(f"part-*.{self.part_format}"))

    def parts_aside(self) -> list[Path]:
        """Return the parts that were set aside because they cannot be used."""
        return sorted(self.folder.glob(f"part-*.{self.part_format}{SET_ASIDE}*"))

    def index(self) -> RowIndex:
        """Return where each key is: the union of the parts' own tables.

        Parts of another schema version hold nothing that is in use. Neither do rows of clips that
        could not be read for a passing reason, as older versions kept them. A part that cannot be
        used is named, and its rows are missing.
        """
        keys, places = self.list_places()
        return RowIndex(unpack_keys(keys), places, self.part_format)

    def list_places(self) -> tuple[UInt64[np.ndarray, "rows 2"], Places]:
        """Return all keys, packed, and where their rows are, see `index`."""
        return list_places(self._read_layouts(self.parts(), mend=False))

    def find(self, keys: Collection[str] | None = None, *, mend: bool = False) -> RowIndex:
        """Return where those of the keys are that the store has; None = all. See `locate`."""
        names = [*dict.fromkeys(self.index() if keys is None else keys)]
        places = self.locate(names, mend=mend)
        present = np.flatnonzero(places.are_found)
        found = names if len(present) == len(names) else [names[at] for at in present.tolist()]
        return RowIndex(found, places.take(present), self.part_format)

    def locate(self, keys: Keys, *, first: Collection[str] = (), mend: bool = False) -> Places:
        """Find the rows of keys by tables that are as written.

        A part without a checksum of its table is read and compared with its name.

        Args:
            keys: of the rows.
            first: names of parts; no other is opened if these hold all the rows.
            mend: read every part that holds one of them and is not noted as whole, and set those
                aside that cannot be used, so that what they held is made again.
        """
        wanted = KeySet.of(pack_keys(keys))
        parts = self.parts()
        if named := [part for part in parts if part.name in first]:
            places = self._locate(wanted, named, mend=mend)
            if places.are_found.all():
                return places
        return self._locate(wanted, parts, mend=mend)

    def _locate(self, wanted: KeySet, parts: Sequence[Path], *, mend: bool) -> Places:
        checked: set[Path] = set()
        while True:
            places = find_places(wanted, self._read_layouts(parts, mend=mend))
            used = [
                part for part in places.used
                if part.path not in checked and (mend or part.header_crc is None)
            ]  # fmt: skip
            damaged = self._find_damaged(used, mend=mend)
            if not damaged:
                return places
            checked.update(part.path for part in used)
            # Those whose header was damaged are set aside, too, and not among the parts any more.
            parts = [part for part in self.parts() if part in {*parts} - damaged]

    def require(self, keys: Collection[str]) -> RowIndex:
        """Return where all keys are, see `find`.

        Raises:
            MissingRowsError: the store lacks some.
        """
        found = self.find(keys)
        if absent := [key for key in keys if key not in found]:
            raise name_missing(self.folder, len(absent), len(keys), absent[0])
        return found

    def read_many(self, wanted: Sequence[Located]) -> Iterator[tuple[Located, np.ndarray]]:
        """Yield the values of the wanted rows, part after part, each part mapped once."""
        by_part: dict[Path, list[Located]] = {}
        for located in wanted:
            by_part.setdefault(located.part, []).append(located)
        for path, members in sorted(by_part.items()):
            values = map_values(path, self.part_format)
            for located in members:
                yield located, values[located.row.start : located.row.stop]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have the right to write parts while the block runs; see `share_store`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with share_store(self.folder):
            self.remove_unfinished()
            yield

    def remove_unfinished(self) -> None:
        """Remove what killed writers left."""
        for leftover in find_abandoned(self.folder):
            logger.info("removing unfinished %s", leftover.name)
            remove(leftover)

    def set_aside(self, part: Path) -> None:
        """Give a part a name under which neither this store nor DVC sees it."""
        aside = part.with_name(f"{part.name}{SET_ASIDE}{token_hex(4)}")
        try:
            part.rename(aside)
        except FileNotFoundError:  # another writer has done it
            return
        logger.warning("%s is kept as %s, and what it held is made again", part, aside.name)

    def _read_layouts(self, parts: Sequence[Path], *, mend: bool) -> Iterator[PartLayout]:
        """Yield the parts that can be used, without their values."""
        for part in parts:
            try:
                layout = read_layout(part, self.part_format)
            except DamagedPartError as error:
                self._pass_over(part, error, mend=mend)
                continue
            if (version := layout.header["schema_version"]) != SCHEMA_VERSION:
                logger.info("%s is of schema version %s: not used", part, version)
            yield layout

    def _find_damaged(self, parts: Sequence[PartLayout], *, mend: bool) -> set[Path]:
        """Read parts whole, several at a time; return those that are not as they were written.

        Who mends a store notes the parts that are, and does not read these again.
        """
        states = find_unread(self.folder, parts) if mend else {part.path: [] for part in parts}
        damaged = set()
        with ThreadPoolExecutor() as executor:
            for part, error in zip(states, executor.map(self._check, states), strict=True):
                if error is not None:
                    self._pass_over(part, error, mend=mend)
                    damaged.add(part)
        if whole := {part: states[part] for part in states.keys() - damaged if states[part]}:
            note_whole(self.folder, whole, self.parts())
        return damaged

    def _check(self, part: Path) -> DamagedPartError | None:
        try:
            check_part(part, self.part_format)
        except DamagedPartError as error:
            return error
        return None

    def _pass_over(self, part: Path, error: DamagedPartError, *, mend: bool) -> None:
        warn_once(str(error).removesuffix(f" {ADVICE}") if mend else str(error))
        if mend:
            self.set_aside(part)


def name_missing(folder: Path, num_absent: int, num_keys: int, example: str) -> MissingRowsError:
    """Return the error that says so."""
    return MissingRowsError(
        f"{folder} lacks {num_absent} of {num_keys} rows that are wanted, e.g. {example}. Run "
        "`oragen cache verify --remove`, which names and removes damaged parts, then `dvc repro`."
    )
