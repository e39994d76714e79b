"""Keys are found without an object for each: also equal ones, and what is no key."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from oragen.store import key_sets
from oragen.store.key_sets import KeySet, find_last, pack_keys, unpack_keys
from tests.number_stores import key_of

NAMES = ("a", "b", "c")
KEYS = [key_of(name) for name in NAMES]


@pytest.mark.parametrize(
    "keys",
    [
        KEYS,
        pa.array(KEYS),
        pa.array(["x", *KEYS], pa.large_string()).slice(1),
        pa.chunked_array([KEYS[:1], [], KEYS[1:]], pa.string()),
        pd.Series(KEYS),
        dict.fromkeys(KEYS),
    ],
)
def test_keys_come_in_many_forms(keys: key_sets.Keys) -> None:
    packed = pack_keys(keys)
    assert unpack_keys(packed.numbers) == KEYS
    assert packed.are_keys.all()
    assert [number.to_bytes(8, "little").hex() for number in packed.numbers[0].tolist()] == [
        KEYS[0][:16], KEYS[0][16:],
    ]  # fmt: skip


def test_what_is_no_key_is_never_found() -> None:
    packed = pack_keys([KEYS[0], "short", "", "x" * 32, "0" * 31 + "ж", KEYS[1]])
    assert packed.are_keys.tolist() == [True, False, False, False, False, True]
    zero = pack_keys(["0" * 32]).numbers
    assert KeySet.of(packed).contains(zero).tolist() == [False]


def match(wanted: list[str], there: list[str]) -> list[tuple[int, int]]:
    found, places = KeySet.of(pack_keys(wanted)).match(pack_keys(there).numbers)
    return sorted(zip(places.tolist(), found.tolist(), strict=True))


def test_each_wanted_key_is_found_where_it_is() -> None:
    a, b, c = KEYS
    assert match([c, a], [a, b, c]) == [(0, 2), (1, 0)]
    assert match([a, b, a], [a, c]) == [(0, 0), (2, 0)]
    assert match([], [a]) == match([a], []) == []


def test_keys_that_are_mixed_to_one_number_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What anyone can make a part of."""
    monkeypatch.setattr(key_sets, "_ODD", np.uint64(0))  # only the first half counts
    first, second, third = (key_of("a")[:16] + key_of(name)[16:] for name in NAMES)
    assert match([third, first], [second, first, third]) == [(0, 2), (1, 1)]
    assert match([second], [first, third]) == []


def test_many_keys_are_converted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "_AT_ONCE", 7)
    keys = [key_of(str(number)) for number in range(100)]
    assert unpack_keys(pack_keys(keys).numbers) == keys
    assert match(keys, keys[::-1]) == [(number, 99 - number) for number in range(100)]


def test_of_a_key_that_is_there_twice_the_last_place_counts() -> None:
    a, b, c = KEYS
    assert find_last(pack_keys([a, b, a, c]).numbers).tolist() == [1, 2, 3]
    assert find_last(pack_keys([a, b]).numbers).tolist() == [0, 1]
