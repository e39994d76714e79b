"""Arrays with a key each <-> a store: a folder of immutable parts, each complete in itself.

A part holds one array `values` and a header: the spec that says what the values are, and the table
of its rows. A row is one keyed item: its key, its clip, and which stretch of `values` is its own. A
part is written under a temporary name and renamed when whole; it is never changed afterwards. Its
name is the hash of its content. So equal parts have equal names, two stores merge by union, and a
crash loses at most the part under way.
"""

import errno
import logging
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Final

import numpy as np
from jaxtyping import UInt64

from oragen.schema.files import (
    atomic_folder,
    atomic_write,
    find_abandoned,
    flush_tree,
    remove,
)
from oragen.schema.vocabulary import Json
from oragen.store.failures import ADVICE, DamagedPartError, PartError
from oragen.store.formats import (
    PartFormat,
    check_part,
    hash_content,
    map_values,
    read_layout,
    write_values,
)
from oragen.store.hashing import SCHEMA_VERSION
from oragen.store.headers import MAX_ROWS
from oragen.store.key_sets import Keys, KeySet, pack_keys, unpack_keys
from oragen.store.layouts import PartLayout, crc_of_row
from oragen.store.locks import share_store
from oragen.store.places import Places, RowIndex, find_places, list_places
from oragen.store.proofs import find_unread, note_whole
from oragen.store.row_tables import from_rows, to_bytes
from oragen.store.rows import Located, Row

logger = logging.getLogger(__name__)

MAX_BEING_WRITTEN: Final = 4  # parts of one writer at a time, which are in memory meanwhile
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

    def locate(self, keys: Keys, *, mend: bool = False) -> Places:
        """Find the rows of keys by tables that are as written.

        A part without a checksum of its table is read and compared with its name.

        Args:
            keys: of the rows.
            mend: read every part that holds one of them and is not noted as whole, and set those
                aside that cannot be used, so that what they held is made again.
        """
        wanted = KeySet.of(pack_keys(keys))
        parts = self.parts()
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
        _warn_once(str(error).removesuffix(f" {ADVICE}") if mend else str(error))
        if mend:
            self.set_aside(part)


def name_missing(folder: Path, num_absent: int, num_keys: int, example: str) -> MissingRowsError:
    """Return the error that says so."""
    return MissingRowsError(
        f"{folder} lacks {num_absent} of {num_keys} rows that are wanted, e.g. {example}. Run "
        "`oragen cache verify --remove`, which names and removes damaged parts, then `dvc repro`."
    )


@cache
def _warn_once(message: str) -> None:
    logger.warning("%s", message)


class PartWriter:
    """Collects rows and writes a part as soon as they have `part_bytes` together.

    With None it does so only when `write_part` is called. Use it as a context manager: the rest is
    written when the block ends well, and nothing when it ends in an error. All values have the same
    dtype, and the same shape but for the first axis. Others may write to the store meanwhile.

    With threads, parts are written by them while more rows are added; at most `MAX_BEING_WRITTEN`
    at a time. An error of one is raised when another part is written, or when the block ends.
    """

    def __init__(
        self,
        store: PartStore,
        spec: Mapping[str, Json],
        part_bytes: int | None,
        threads: ThreadPoolExecutor | None = None,
    ) -> None:
        self.store = store
        self.spec = dict(spec)
        self.part_bytes = part_bytes
        self._threads = threads
        self._being_written: deque[Future[Path]] = deque()
        self.written: list[Path] = []
        self._values: list[np.ndarray] = []
        self._rows: list[Row] = []
        self._num_positions = 0
        self._num_bytes = 0
        self._writing = ExitStack()

    def __enter__(self) -> "PartWriter":
        self._writing.enter_context(self.store.writing())
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        with self._writing:
            try:
                if failure is None:
                    self.write_part()
                    self._wait_for_all_but(0)
            finally:
                wait(self._being_written)  # those that were begun, before others may use the store

    def add(
        self,
        key: str,
        clip_id: str,
        values: np.ndarray,
        *,
        reason: str | None = None,
        details: Mapping[str, Json] | None = None,
    ) -> None:
        """Add one row; `values` has its positions along the first axis and may have none."""
        start = self._num_positions
        row = Row(key, clip_id, start, start + len(values), reason, dict(details or {}))
        self._rows.append(row)
        self._values.append(values)
        self._num_positions = row.stop
        self._num_bytes += values.nbytes
        is_full = self.part_bytes is not None and self._num_bytes >= self.part_bytes
        if is_full or len(self._rows) == MAX_ROWS:
            self.write_part()

    def write_part(self) -> None:
        """Write what was added since the last part, if there is anything."""
        values, rows = self._values, self._rows
        self._values, self._rows, self._num_positions, self._num_bytes = [], [], 0, 0
        if not rows:
            return
        if self._threads is None:
            self.written.append(self._write(values, rows))
            return
        self._wait_for_all_but(MAX_BEING_WRITTEN - 1)
        self._being_written.append(self._threads.submit(self._write, values, rows))

    def _write(self, values: Sequence[np.ndarray], rows: Sequence[Row]) -> Path:
        joined = np.concatenate(values, casting="no")  # one dtype, or a TypeError
        return write_part(self.store.folder, self.store.part_format, joined, rows, self.spec)

    def _wait_for_all_but(self, number: int) -> None:
        while len(self._being_written) > number:
            self.written.append(self._being_written.popleft().result())


def write_part(
    folder: Path,
    part_format: PartFormat,
    values: np.ndarray,
    rows: Sequence[Row],
    spec: Mapping[str, Json],
) -> Path:
    """Write one part under a temporary name, flush it to the disk, check it, and rename it."""
    header: dict[str, Json] = {"schema_version": SCHEMA_VERSION, "spec": dict(spec)}
    stored = to_bytes(from_rows([_with_checksum(row, values) for row in rows]))
    path = folder / f"part-{hash_content(values, header, stored)}.{part_format}"
    store = PartStore(folder, part_format)
    if _is_there(path, store):  # a part of equal content, so the same part
        return path
    begin = atomic_folder if part_format == "zarr" else atomic_write
    try:
        with begin(path, flush=True) as unfinished:
            write_values(unfinished, part_format, values, header, stored)
            flush_tree(unfinished)
            check_part(unfinished, part_format)
    except OSError as error:
        # Another writer may have finished the same folder meanwhile.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not _is_there(path, store):
            raise
    return path


def _with_checksum(row: Row, values: np.ndarray) -> Row:
    """Add the checksum of the bytes of a row, so that it can be trusted when it is read alone."""
    return replace(row, crc32c=crc_of_row(values[row.start : row.stop]))


def _is_there(path: Path, store: PartStore) -> bool:
    """Whether a part is there, and whole; a damaged one gives way."""
    if not (path.exists() or path.is_symlink()):
        return False
    try:
        check_part(path, store.part_format)
    except DamagedPartError as error:
        _warn_once(str(error).removesuffix(f" {ADVICE}"))
        store.set_aside(path)
        return False
    return True
