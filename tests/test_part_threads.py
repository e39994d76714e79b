"""Parts that threads write -> the parts that would be there without them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from oragen.store import writing
from oragen.store.parts import PartStore
from oragen.store.rows import Located
from oragen.store.writing import MAX_BEING_WRITTEN, PartWriter
from tests.number_stores import SPEC, fill, key_of, numbers


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", "zarr")


def test_threads_write_the_same_parts_in_order(
    store: PartStore, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    other = PartStore(tmp_path / "other", "zarr")
    fill(other, range(20))
    with PartWriter(store, SPEC, 12, threads) as writer:
        for key in range(20):
            writer.add(key_of(key), f"clip-{key}", numbers(key))
    assert [part.name for part in store.parts()] == [part.name for part in other.parts()]
    assert [rows.row.key for part in writer.written for rows in index_of(part)] == [
        key_of(key) for key in range(20)
    ]


def index_of(part: Path) -> list[Located]:
    store = PartStore(part.parent, "zarr")
    return sorted(
        (found for found in store.index().values() if found.part == part),
        key=lambda found: found.row.start,
    )


def test_an_error_of_a_thread_ends_the_writing_and_keeps_what_was_written(
    store: PartStore, threads: ThreadPoolExecutor
) -> None:
    """The second part has values of two types."""
    with pytest.raises(TypeError):
        write_two_types(store, threads)
    assert sorted(store.index()) == [key_of(key) for key in range(3)]
    assert all(path.name.startswith("part-") for path in store.folder.iterdir())


def write_two_types(store: PartStore, threads: ThreadPoolExecutor) -> None:
    with PartWriter(store, SPEC, 12, threads) as writer:
        for key in range(3):
            writer.add(key_of(key), "clip", numbers(key))
        writer.add("half", "clip", numbers(3, 2))
        writer.add("single", "clip", numbers(5).astype(np.float32))


def test_only_some_parts_are_in_memory_at_a_time(
    store: PartStore, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()
    write = writing.write_part

    def write_when_allowed(*arguments: object) -> Path:
        assert may_write.wait(timeout=20)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(writing, "write_part", write_when_allowed)
    with PartWriter(store, SPEC, 4, threads) as writer:
        for key in range(MAX_BEING_WRITTEN):
            writer.add(key_of(key), "clip", numbers(key))
        waiting = threads._work_queue.qsize() + 2  # with those that the two threads have begun
        assert waiting == MAX_BEING_WRITTEN
        threading.Timer(0.2, may_write.set).start()
        writer.add(key_of(9), "clip", numbers(9))  # waits until one is written
        assert may_write.is_set()
    assert len(writer.written) == MAX_BEING_WRITTEN + 1
