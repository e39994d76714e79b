"""Work on many clips by several processes: order, and nothing done twice."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from oragen.isolation.limits import Limits
from oragen.isolation.workers import Workers
from oragen.media.verified import DECODERS
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Made
from oragen.store.fill import Filled, Wanted, fill_store
from oragen.store.hashing import make_key
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter


def count_letters(word: str, *, log: Path) -> Made:
    """Leave a file for each call in `log`; refuse an empty word, and stop at `stop`."""
    (log / f"{word}-{time.monotonic_ns()}").touch()
    if word == "stop":
        raise UserError("stopped")
    if word == "gone":
        return Made(np.zeros(0), "no such file", {"notes": []})
    if word.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, word))
    if word == "once" and len(list(log.glob("once-*"))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "worse" and len(list(log.glob("worse-*"))) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if word in ("large", "worse"):
        np.ones(2**30, np.uint8)
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


def fill_with(
    store: PartStore,
    log: Path,
    words: list[str],
    *,
    part_bytes: int = 2**20,
    num_workers: int = 1,
    limits: Limits | None = None,
    libraries: tuple[str, ...] = (),
) -> Filled:
    with Workers(num_workers, limits=limits) as workers:
        return fill_store(
            store,
            {make_key(of=word): Wanted(f"clip of {word}", word) for word in words},
            partial(count_letters, log=log),
            nothing=np.zeros(0, np.int16),
            spec={"values": "letters"},
            part_bytes=part_bytes,
            workers=workers,
            libraries=libraries,
            title="test",
        )


def fill(
    store: PartStore, log: Path, words: list[str], *, part_bytes: int = 2**20, num_workers: int = 1
) -> list[str]:
    """Fill a store with words, and return those that were worked on."""
    for call in log.iterdir():
        call.unlink()
    filled = fill_with(store, log, words, part_bytes=part_bytes, num_workers=num_workers)
    worked_on = sorted(call.name.rpartition("-")[0] for call in log.iterdir())
    assert len(worked_on) == filled.num_made
    assert list(filled.located) == [make_key(of=word) for word in words]
    return worked_on


def read(store: PartStore) -> dict[str, list[int]]:
    index = store.index()
    return {
        located.row.key: values.tolist()
        for located, values in store.read_many(list(index.values()))
    }


def test_only_what_is_missing_is_made(store: PartStore, log: Path) -> None:
    assert fill(store, log, ["ab", "cde"]) == ["ab", "cde"]
    assert fill(store, log, ["ab", "cde"]) == []
    assert fill(store, log, ["ab", "f", "cde"]) == ["f"]
    assert read(store) == {
        make_key(of="ab"): [97, 97], make_key(of="cde"): [99, 99, 99], make_key(of="f"): [102],
    }  # fmt: skip


def test_rows_carry_their_clip_and_details(store: PartStore, log: Path) -> None:
    fill(store, log, ["ab"])
    row = store.index()[make_key(of="ab")].row
    assert (row.clip_id, row.reason, row.details) == ("clip of ab", None, {"word": "ab"})


def test_what_is_not_wanted_any_more_is_kept(store: PartStore, log: Path) -> None:
    fill(store, log, ["ab"])
    fill(store, log, ["cde"])
    assert fill(store, log, ["ab", "cde"]) == []


def test_a_clip_that_gives_nothing_keeps_its_reason_and_is_not_tried_again(
    store: PartStore, log: Path
) -> None:
    assert fill(store, log, ["", "ab"]) == ["", "ab"]
    row = store.index()[make_key(of="")].row
    assert (row.reason, row.start, row.stop) == ("empty word", 0, 0)
    assert fill(store, log, ["", "ab"]) == []


@pytest.mark.slow
def test_one_worker_and_two_make_the_same_parts(tmp_path: Path, log: Path) -> None:
    words = [letter * length for letter in "abcdef" for length in (5, 1, 3)]
    names = []
    for num_workers in (1, 2):
        store = PartStore(tmp_path / str(num_workers), "h5")
        assert fill(store, log, words, part_bytes=20, num_workers=num_workers) == sorted(words)
        names.append([part.name for part in store.parts()])
    assert names[0] == names[1]
    assert len(names[0]) > 3


@pytest.mark.slow
def test_what_was_made_before_an_error_is_not_made_again(store: PartStore, log: Path) -> None:
    with pytest.raises(UserError, match="stopped"):
        fill(store, log, ["ab", "cd", "stop", "ef"], part_bytes=4)
    assert {*read(store)} == {make_key(of="ab"), make_key(of="cd")}
    assert fill(store, log, ["ab", "cd", "ef"]) == ["ef"]


@pytest.mark.slow
def test_an_error_in_another_process_leaves_whole_parts_alone(store: PartStore, log: Path) -> None:
    fill(store, log, ["ab", "cd"])
    with pytest.raises(UserError, match="stopped"):
        fill(store, log, ["ef", "stop", "gh"], num_workers=2)
    assert {*read(store)} == {make_key(of="ab"), make_key(of="cd")}
    assert not list(store.folder.glob("*.unfinished*"))


@pytest.mark.slow
def test_what_says_nothing_of_a_clip_is_reported_and_tried_again(
    store: PartStore, log: Path
) -> None:
    filled = fill_with(store, log, ["ab", "gone", "SIGKILL", "cd"])
    assert filled.failures == {
        make_key(of="gone"): "no such file",
        make_key(of="SIGKILL"): "decoding was killed (SIGKILL)",
    }
    assert {*filled.located} == {*read(store)} == {make_key(of="ab"), make_key(of="cd")}
    assert filled.num_made == 2
    for call in log.iterdir():
        call.unlink()
    fill_with(store, log, ["ab", "gone", "SIGKILL", "cd"])
    tried = sorted(call.name.rpartition("-")[0] for call in log.iterdir())
    assert tried == ["SIGKILL", "SIGKILL", "gone"]


@pytest.mark.slow
def test_a_clip_that_was_killed_once_is_tried_again_alone(store: PartStore, log: Path) -> None:
    filled = fill_with(store, log, ["ab", "once", "cd"], num_workers=2)
    assert filled.failures == {}
    assert {*read(store)} == {make_key(of="ab"), make_key(of="cd"), make_key(of="once")}


@pytest.mark.slow
def test_a_clip_over_a_limit_waits_for_another_limit(store: PartStore, log: Path) -> None:
    small, large = Limits(memory_gb=0.7), Limits(memory_gb=3.0)
    first = fill_with(store, log, ["large", "SIGSEGV", "ab"], limits=small)
    assert first.failures == {}
    assert {key: located.row.reason for key, located in first.located.items()} == {
        make_key(of="large"): "decoding needs more than 0.7 GB of memory",
        make_key(of="SIGSEGV"): "decoding crashed (SIGSEGV)",
        make_key(of="ab"): None,
    }
    assert fill_with(store, log, ["large", "SIGSEGV", "ab"], limits=small).num_made == 0
    later = fill_with(store, log, ["large", "ab"], limits=large)
    assert later.num_made == 1
    assert later.located[make_key(of="large")].row.reason is None
    assert fill_with(store, log, ["large"], limits=small).located == {
        make_key(of="large"): later.located[make_key(of="large")]
    }


@pytest.mark.slow
def test_a_failure_under_other_limits_is_none_of_today(store: PartStore, log: Path) -> None:
    key = make_key(of="worse")
    for memory_gb in (0.7, 0.8, 0.7):
        filled = fill_with(store, log, ["worse"], limits=Limits(memory_gb=memory_gb))
        assert filled.failures == {}
        needed = f"decoding needs more than {memory_gb} GB of memory"
        assert filled.located[key].row.reason == needed
    killed = fill_with(store, log, ["worse"], limits=Limits(memory_gb=0.9))
    assert killed.failures == {key: "decoding was killed (SIGKILL)"}
    assert killed.located == {}


@pytest.mark.slow
def test_a_clip_that_crashed_is_tried_again_with_another_version_of_what_makes_its_values(
    store: PartStore, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"av": "1", "torch": "1"}
    monkeypatch.setattr("oragen.store.fill.version", versions.__getitem__)
    assert fill_with(store, log, ["SIGSEGV"], libraries=("torch",)).num_made == 1
    versions["av"] = "2"
    assert fill_with(store, log, ["SIGSEGV"], libraries=("torch",)).num_made == 0
    versions["torch"] = "2"
    assert fill_with(store, log, ["SIGSEGV"], libraries=("torch",)).num_made == 1


@pytest.mark.slow
def test_the_key_of_a_failure_to_decode_stays(
    store: PartStore, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is in stores that people have."""
    monkeypatch.setattr("oragen.store.fill.version", lambda name: f"version of {name}")
    filled = fill_with(store, log, ["SIGSEGV"], limits=Limits(), libraries=DECODERS)
    (located,) = filled.located.values()
    assert located.row.key == "114b0e6b5fe9958993e837cc2fff026a"


def test_rows_of_older_versions_without_a_lasting_reason_are_made_again(
    store: PartStore, log: Path
) -> None:
    with PartWriter(store, {"values": "letters"}, None) as writer:
        for word, reason in (("ab", "no such file"), ("cd", "unreadable"), ("", "empty word")):
            writer.add(make_key(of=word), "clip", np.zeros(0, np.int16), reason=reason,
                       details={"notes": []})  # fmt: skip
    assert fill(store, log, ["ab", "cd", ""]) == ["ab", "cd"]
    assert read(store) == {
        make_key(of="ab"): [97, 97],
        make_key(of="cd"): [99, 99],
        make_key(of=""): [],
    }
