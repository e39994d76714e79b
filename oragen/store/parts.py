"""Arrays with a key each -> immutable files, every one complete in itself.

A store is a folder of parts. A part holds one array `values`, the table of its entries (key, clip
and the rows of `values` that are theirs) and the spec that says what the values are. It is written
under a temporary name and renamed when whole; it is never changed afterwards. Its name is the hash
of its content, so equal parts have equal names, two stores merge by union, and a crash loses at
most the part under way.
"""

import hashlib
import io
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal, assert_never

import google_crc32c
import h5py
import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

from oragen.schema.errors import UserError

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 2  # of keys and parts; rows of another one are not used
UNFINISHED: Final = ".unfinished"

PartFormat = Literal["h5", "zarr"]
Json = Any  # what json.dumps takes


def make_key(**cache_parameters: Json) -> str:
    """Everything a value depends on -> its name: 32 hexadecimal digits of SHA-256."""
    versioned = {"schema_version": SCHEMA_VERSION, **cache_parameters}
    text = json.dumps(versioned, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Entry:
    """One keyed item: rows `start:stop` of its part's values, or the reason why it has none."""

    key: str
    clip_id: str
    start: int
    stop: int
    reason: str | None = None
    details: dict[str, Json] = field(default_factory=dict)


ENTRY_COLUMNS: Final = tuple(column.name for column in fields(Entry))


@dataclass(frozen=True)
class Located:
    """An entry and the part that holds it."""

    part: Path
    entry: Entry


class DamagedPartError(UserError):
    """A part cannot be read, or does not hold what its name says."""


class PartStore:
    """A folder of parts of one format."""

    def __init__(self, folder: Path, part_format: PartFormat) -> None:
        self.folder = folder
        self.part_format: PartFormat = part_format

    def parts(self) -> list[Path]:
        """Return the finished parts, by name."""
        return sorted(self.folder.glob(f"part-*.{self.part_format}"))

    def index(self) -> dict[str, Located]:
        """Return where each key is: the union of the parts' own tables.

        Parts of another schema version hold nothing that is asked for.
        """
        found: dict[str, Located] = {}
        for part in self.parts():
            head = read_head(part, self.part_format)
            if head["schema_version"] == SCHEMA_VERSION:
                found |= {entry.key: Located(part, entry) for entry in list_entries(part, head)}
            else:
                logger.info("%s is of schema version %s: not used", part, head["schema_version"])
        return found

    def read_many(self, wanted: Sequence[Located]) -> Iterator[tuple[Located, np.ndarray]]:
        """Yield the values of the wanted entries, part after part, each part opened once.

        An HDF5 part of which half is wanted is read whole.
        """
        by_part: dict[Path, list[Located]] = {}
        for located in wanted:
            by_part.setdefault(located.part, []).append(located)
        for path, members in sorted(by_part.items()):
            with open_part(path, self.part_format) as part:
                if self.part_format == "zarr":
                    values = map_values(path)
                else:
                    num_wanted = sum(row.entry.stop - row.entry.start for row in members)
                    values = part["values"]
                    values = values[:] if 2 * num_wanted >= len(values) else values
                for located in members:
                    yield located, np.asarray(values[located.entry.start : located.entry.stop])

    def remove_unfinished(self) -> None:
        """Drop what a killed writer left behind."""
        for leftover in self.folder.glob(f"*{UNFINISHED}*"):
            logger.info("removing unfinished %s", leftover.name)
            _remove(leftover)


class OpenParts:
    """Parts kept open while stretches of single entries are read, by any thread.

    A context manager.
    """

    def __init__(self, store: PartStore) -> None:
        self._store = store
        self._files = ExitStack()
        self._opened: dict[Path, Any] = {}
        self._one_at_a_time = Lock()

    def __enter__(self) -> "OpenParts":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @cached_property
    def _index(self) -> dict[str, Located]:
        return self._store.index()  # not before something is read: often nothing is

    def read(self, key: str, start: int, stop: int) -> np.ndarray:
        """Return rows `start:stop` of an entry, counted from its first."""
        with self._one_at_a_time:
            path, entry = self._index[key].part, self._index[key].entry
            if path not in self._opened:
                part = open_part(path, self._store.part_format)
                self._opened[path] = self._files.enter_context(part)
            with _named(path):
                rows = slice(entry.start + start, entry.start + stop)
                return np.asarray(self._opened[path]["values"][rows])


class PartWriter:
    """Collects entries and writes a part whenever `part_bytes` are together; None = when told to.

    Use it as a context manager: what is left over is written when the block ends well, and nothing
    when it ends in an error. All values have the same dtype and row shape. A store has one writer
    at a time: what another left unfinished is removed.
    """

    def __init__(self, store: PartStore, spec: Mapping[str, Json], part_bytes: int | None) -> None:
        self.store = store
        self.spec = dict(spec)
        self.part_bytes = part_bytes
        self.written: list[Path] = []
        self._values: list[np.ndarray] = []
        self._entries: list[Entry] = []
        self._num_rows = 0
        self._num_bytes = 0

    def __enter__(self) -> "PartWriter":
        self.store.folder.mkdir(parents=True, exist_ok=True)
        self.store.remove_unfinished()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self.write_part()

    def add(
        self,
        key: str,
        clip_id: str,
        values: np.ndarray,
        *,
        reason: str | None = None,
        details: Mapping[str, Json] | None = None,
    ) -> None:
        """Add one entry; `values` has its rows along the first axis and may have none."""
        start = self._num_rows
        entry = Entry(key, clip_id, start, start + len(values), reason, dict(details or {}))
        self._entries.append(entry)
        self._values.append(values)
        self._num_rows = entry.stop
        self._num_bytes += values.nbytes
        if self.part_bytes is not None and self._num_bytes >= self.part_bytes:
            self.write_part()

    def write_part(self) -> None:
        """Write what is together, if there is anything."""
        if self._entries:
            values = np.concatenate(self._values, casting="no")  # one dtype, or a TypeError
            folder, part_format = self.store.folder, self.store.part_format
            self.written.append(write_part(folder, part_format, values, self._entries, self.spec))
        self._values, self._entries, self._num_rows, self._num_bytes = [], [], 0, 0


def write_part(
    folder: Path,
    part_format: PartFormat,
    values: np.ndarray,
    entries: Sequence[Entry],
    spec: Mapping[str, Json],
) -> Path:
    """Write one part under a temporary name, flush it to the disk, and rename it."""
    columns = {name: [getattr(entry, name) for entry in entries] for name in ENTRY_COLUMNS}
    head = {"schema_version": SCHEMA_VERSION, "spec": dict(spec), "entries": columns}
    path = folder / f"part-{_content_hash(values, head)}.{part_format}"
    if path.exists():
        return path  # equal content, so the same part
    unfinished = folder / f"{path.name}{UNFINISHED}-{os.getpid()}"
    try:
        match part_format:
            case "h5":
                _write_hdf5(unfinished, values, head)
            case "zarr":
                _write_zarr(unfinished, values, head)
            case _:
                assert_never(part_format)
        for written in [*unfinished.rglob("*"), unfinished]:
            _flush(written)
        unfinished.rename(path)
        _flush(folder)
    finally:
        _remove(unfinished)  # still there when the disk is full
    return path


@contextmanager
def open_part(path: Path, part_format: PartFormat) -> Iterator[Any]:
    """Open a part for reading; `part["values"]` is its array.

    Raises:
        DamagedPartError: when it cannot be opened, or not be read inside the block.
    """
    with _named(path):
        match part_format:
            case "h5":
                with h5py.File(path, "r") as part:
                    yield part
            case "zarr":
                part = zarr.open_group(path, mode="r")
                _refuse_missing_values(part, path)
                yield part
            case _:
                assert_never(part_format)


def map_values(path: Path) -> np.ndarray:
    """Map the values of a Zarr part into memory, once their checksum has been compared.

    Their one chunk holds them as they are in memory, and a CRC-32C behind them: no copy is made,
    the page cache is all the memory it takes, and any row costs the same.

    Raises:
        DamagedPartError: when they are not what was written.
    """
    with open_part(path, "zarr") as part:
        array = part["values"]
        if array.size == 0:
            return np.zeros(array.shape, array.dtype)
        chunk = array.metadata.encode_chunk_key((0,) * array.ndim)
        stored = np.memmap(path / "values" / chunk, np.uint8, "r").view(np.ndarray)
        values, checksum = stored[: array.nbytes], stored[array.nbytes :]
        if google_crc32c.value(values) != int.from_bytes(checksum.tobytes(), "little"):
            raise ValueError("its checksum does not fit")
        mapped: np.ndarray = values.view(array.dtype).reshape(array.shape)
        return mapped


def read_head(path: Path, part_format: PartFormat) -> dict[str, Json]:
    """Return a part's `schema_version`, `spec` and `entries` (columns).

    Raises:
        DamagedPartError: when there is none.
    """
    with open_part(path, part_format) as part:
        if part_format == "h5":
            head: dict[str, Json] = json.loads(part["head"][()])
        else:
            head = dict(part.attrs["head"])
        _ = head["schema_version"], head["spec"], head["entries"]
    return head


def list_entries(path: Path, head: Mapping[str, Json]) -> list[Entry]:
    """Return the entries that stand in the head of a part."""
    with _named(path):
        columns = [head["entries"][name] for name in ENTRY_COLUMNS]
        return [Entry(*row) for row in zip(*columns, strict=True)]


def verify_part(path: Path, part_format: PartFormat) -> None:
    """Read a part whole and compare it with its name.

    Raises:
        DamagedPartError: when the content is not the one that was written.
    """
    head = read_head(path, part_format)
    with open_part(path, part_format) as part:
        values = np.asarray(part["values"][...])
    if path.stem != (expected := f"part-{_content_hash(values, head)}"):
        raise DamagedPartError(f"{path} is damaged: its content belongs to {expected}.")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say which part it is that cannot be read.

    HDF5, Zarr, Blosc and JSON each have errors of their own for bytes that make no sense.
    """
    try:
        yield
    except DamagedPartError:
        raise
    except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedPartError(
            f"{path} cannot be read ({error}). Remove it and run `dvc repro`: "
            "only what it held is made again."
        ) from error


def _refuse_missing_values(part: zarr.Group, path: Path) -> None:
    """Zarr reads zeros where a file is missing or empty; a whole part has all of its files."""
    values, chunks = part["values"], (path / "values" / "c").rglob("*")
    is_whole = isinstance(values, zarr.Array) and (
        values.size == 0 or any(file.is_file() and file.stat().st_size for file in chunks)
    )
    if not is_whole:
        raise DamagedPartError(
            f"{path} has lost its values. Remove it and run `dvc repro`: "
            "only what it held is made again."
        )


def _content_hash(values: np.ndarray, head: Mapping[str, Json]) -> str:
    digest = hashlib.sha256(_to_json(head).encode())
    digest.update(f"{values.dtype.str}{values.shape}".encode())
    digest.update(np.ascontiguousarray(values).view(np.uint8).reshape(-1).data)
    return digest.hexdigest()[:32]


def _write_hdf5(path: Path, values: np.ndarray, head: Mapping[str, Json]) -> None:
    image = io.BytesIO()  # libhdf5 would crash the process when the disk is full
    with h5py.File(image, "w") as part:
        part.create_dataset("values", data=values)
        # A string of fixed length: libhdf5 can hang on a damaged heap of variable ones.
        part.create_dataset("head", data=np.bytes_(_to_json(head).encode()))
    path.write_bytes(image.getbuffer())


def _write_zarr(path: Path, values: np.ndarray, head: Mapping[str, Json]) -> None:
    part = zarr.create_group(path, attributes={"head": json.loads(_to_json(head))})
    array = part.create_array(
        "values",
        shape=values.shape,
        dtype=values.dtype,
        chunks=(max(1, len(values)), *values.shape[1:]),  # one chunk as it is: see `map_values`
        compressors=Crc32cCodec(),
        dimension_names=head["spec"].get("dimension_names"),
        config={"write_empty_chunks": True},  # zeros are values too: see _refuse_missing_values
    )
    array[...] = values


def _to_json(head: Mapping[str, Json]) -> str:
    return json.dumps(head, sort_keys=True, allow_nan=False)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
