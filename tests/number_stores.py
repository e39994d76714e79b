"""Small stores of numbers, of which every row is known by its key."""

from pathlib import Path

import numpy as np

from oragen.store import hashing
from oragen.store.formats import PartFormat
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter

SPEC = {"values": "numbers", "dimension_names": ["row", "column"]}
FORMATS: tuple[PartFormat, ...] = ("h5", "zarr")


def numbers(first: int, num_rows: int = 1) -> np.ndarray:
    """Rows of two: `first, first`, `first + 1, first + 1`, ..."""
    return np.repeat(np.arange(first, first + num_rows, dtype=np.float16)[:, None], 2, axis=1)


def key_of(name: int | str) -> str:
    """A key as they are: 32 hexadecimal digits."""
    return f"{name:032x}" if isinstance(name, int) else hashing.make_key(name=name)


def fill(store: PartStore, keys: range, part_bytes: int = 12) -> None:
    """Write `key_of(7)` with the row `7, 7` and so on; three rows of four bytes make a part."""
    with PartWriter(store, SPEC, part_bytes) as writer:
        for key in keys:
            writer.add(key_of(key), f"clip-{key}", numbers(key))


def read_all(store: PartStore) -> dict[str, list[list[float]]]:
    index = store.index()
    values = store.read_many(list(index.values()))
    return {located.row.key: rows.tolist() for located, rows in values}


def files_of(part: Path) -> list[Path]:
    return sorted(path for path in [part, *part.rglob("*")] if path.is_file())


def make_folder(store: PartStore) -> Path:
    store.folder.mkdir()
    return store.folder
