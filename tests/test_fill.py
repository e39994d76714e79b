"""Work on many clips by several processes: order, and nothing done twice."""

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from oragen.schema.vocabulary import Made
from oragen.store.fill import Wanted, fill_store, map_in_processes
from oragen.store.parts import PartStore


def wait_and_tell(milliseconds: int) -> tuple[int, int]:
    time.sleep(milliseconds / 1000)
    return milliseconds, os.getpid()


def count_letters(word: str, *, log: Path) -> Made:
    """Leave a file for each call in `log`; refuse an empty word, and stop at `stop`."""
    (log / f"{word}-{time.monotonic_ns()}").touch()
    if word == "stop":
        raise RuntimeError("stopped")
    if not word:
        return Made(np.zeros(0, np.int16), "empty word", {})
    return Made(np.full(len(word), ord(word[0]), np.int16), None, {"word": word})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    return PartStore(tmp_path / "store", "h5")


def fill(
    store: PartStore, log: Path, words: list[str], *, part_bytes: int = 2**20, num_workers: int = 1
) -> list[str]:
    """Fill a store with words, and return those that were worked on."""
    for call in log.iterdir():
        call.unlink()
    num_made = fill_store(
        store,
        {f"key of {word}": Wanted(f"clip of {word}", word) for word in words},
        partial(count_letters, log=log),
        spec={"values": "letters"},
        part_bytes=part_bytes,
        num_workers=num_workers,
        title="test",
    )
    worked_on = sorted(call.name.rpartition("-")[0] for call in log.iterdir())
    assert len(worked_on) == num_made
    return worked_on


def read(store: PartStore) -> dict[str, list[int]]:
    index = store.index()
    return {
        located.row.key: values.tolist()
        for located, values in store.read_many(list(index.values()))
    }


def test_results_come_in_order_from_two_processes() -> None:
    """The first takes longest, so that a later one is ready before it."""
    results = list(map_in_processes(wait_and_tell, [300, 1, 200, 2], num_workers=2, title="test"))
    assert [milliseconds for milliseconds, _ in results] == [300, 1, 200, 2]
    processes = {process for _, process in results}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_no_items_give_no_results() -> None:
    assert list(map_in_processes(wait_and_tell, [], num_workers=2, title="test")) == []


def test_only_what_is_missing_is_made(store: PartStore, log: Path) -> None:
    assert fill(store, log, ["ab", "cde"]) == ["ab", "cde"]
    assert fill(store, log, ["ab", "cde"]) == []
    assert fill(store, log, ["ab", "f", "cde"]) == ["f"]
    assert read(store) == {
        "key of ab": [97, 97], "key of cde": [99, 99, 99], "key of f": [102],
    }  # fmt: skip


def test_rows_carry_their_clip_and_details(store: PartStore, log: Path) -> None:
    fill(store, log, ["ab"])
    row = store.index()["key of ab"].row
    assert (row.clip_id, row.reason, row.details) == ("clip of ab", None, {"word": "ab"})


def test_what_is_not_wanted_any_more_is_kept(store: PartStore, log: Path) -> None:
    fill(store, log, ["ab"])
    fill(store, log, ["cde"])
    assert fill(store, log, ["ab", "cde"]) == []


def test_a_clip_that_gives_nothing_keeps_its_reason_and_is_not_tried_again(
    store: PartStore, log: Path
) -> None:
    assert fill(store, log, ["", "ab"]) == ["", "ab"]
    row = store.index()["key of "].row
    assert (row.reason, row.start, row.stop) == ("empty word", 0, 0)
    assert fill(store, log, ["", "ab"]) == []


def test_one_worker_and_two_make_the_same_parts(tmp_path: Path, log: Path) -> None:
    words = [letter * length for letter in "abcdef" for length in (5, 1, 3)]
    names = []
    for num_workers in (1, 2):
        store = PartStore(tmp_path / str(num_workers), "h5")
        assert fill(store, log, words, part_bytes=20, num_workers=num_workers) == sorted(words)
        names.append([part.name for part in store.parts()])
    assert names[0] == names[1]
    assert len(names[0]) > 3


def test_what_was_made_before_an_error_is_not_made_again(store: PartStore, log: Path) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        fill(store, log, ["ab", "cd", "stop", "ef"], part_bytes=4)
    assert sorted(read(store)) == ["key of ab", "key of cd"]
    assert fill(store, log, ["ab", "cd", "ef"]) == ["ef"]


def test_an_error_in_another_process_leaves_whole_parts_alone(store: PartStore, log: Path) -> None:
    fill(store, log, ["ab", "cd"])
    with pytest.raises(RuntimeError, match="stopped"):
        fill(store, log, ["ef", "stop", "gh"], num_workers=2)
    assert sorted(read(store)) == ["key of ab", "key of cd"]
    assert not list(store.folder.glob("*.unfinished*"))
