"""Bytes, or a tree of JSON or YAML -> the same with something wrong in it, by a seed."""

import copy
import random
from collections.abc import Callable, MutableMapping, MutableSequence
from typing import Any, Final

WORDS: Final = (
    b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0\0\0\0\0",
    b"\xff\xff\xff\x7f", b"../", b"file:///etc/hostname", b"\r\n", b'"', b"\xc3\x28",
    b"\xe2\x80\xae",
)  # fmt: skip
LEAVES: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 1, 2**31, 10**30, 1e-300, 1e308, float("nan"), float("-inf"), "", ".", "..",
    "../../outside/secret.txt", "/etc/hostname", "file:///etc/hostname", "$(touch PWNED)",
    "x" * 10_000, "\x1b[31m", "\u202e", "\ud800", "no\nline", "=1+1", [], {}, [[]], {"": None},
    [0] * 1_000, 3, 10**6, 10**9, 0.5, -0.5, [0.0, 0.0, 0.0], {"a": {"b": {"c": 1}}},
    "https://example.org/x", "hf-hub:someone/model", "/dev/zero", "float16", "relu",
)  # fmt: skip
# That libraries obey where they find them.
KEYS: Final = (
    "auto_map", "trust_remote_code", "quantization_config", "attn_implementation", "architecture",
    "model_type", "checkpoint_path", "pretrained_cfg", "num_labels", "dtype", "layers",
)  # fmt: skip
DEEP: Final = 3_000
HEADER: Final = 1_024  # bytes where most formats describe themselves


def mutate_bytes(content: bytes, chance: random.Random) -> bytes:
    """Spoil one to four places; one half of them lie in the header."""
    spoilt = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        chance.choice(_WAYS)(spoilt, chance)
    return bytes(spoilt)


def mutate_tree(tree: Any, chance: random.Random) -> Any:
    """Spoil one to three leaves or branches."""
    spoilt = copy.deepcopy(tree)
    for _ in range(chance.choice((1, 1, 2, 3))):
        branch, key = _choose_place(spoilt, chance)
        match chance.randrange(5):
            case 0:
                del branch[key]
            case 1:
                branch[key] = _nest(branch[key], chance)
            case 2 if isinstance(branch, MutableMapping):
                branch[chance.choice(KEYS)] = copy.deepcopy(chance.choice(LEAVES))
            case _:
                branch[key] = copy.deepcopy(chance.choice(LEAVES))
    return spoilt


def _choose_place(tree: Any, chance: random.Random) -> tuple[Any, Any]:
    """Walk down to a random item of a mapping or a list."""
    branch = tree
    while True:
        keys = list(branch) if isinstance(branch, MutableMapping) else range(len(branch))
        key = chance.choice(list(keys))
        below = branch[key]
        is_branch = isinstance(below, MutableMapping | MutableSequence) and len(below) > 0
        if not is_branch or chance.random() < 0.15:  # seldom a whole branch
            return branch, key
        branch = below


def _nest(value: Any, chance: random.Random) -> Any:
    nested = value
    for _ in range(chance.choice((1, 50, DEEP))):
        nested = [nested]
    return nested


def _place(spoilt: bytearray, chance: random.Random) -> int:
    is_early = chance.random() < 0.5
    return chance.randrange(max(1, min(len(spoilt), HEADER) if is_early else len(spoilt)))


def _flip_bit(spoilt: bytearray, chance: random.Random) -> None:
    if spoilt:
        spoilt[_place(spoilt, chance) % len(spoilt)] ^= 1 << chance.randrange(8)


def _write_word(spoilt: bytearray, chance: random.Random) -> None:
    word, place = chance.choice(WORDS), _place(spoilt, chance)
    spoilt[place : place + len(word)] = word


def _insert_word(spoilt: bytearray, chance: random.Random) -> None:
    place = _place(spoilt, chance)
    spoilt[place:place] = chance.choice(WORDS)


def _delete(spoilt: bytearray, chance: random.Random) -> None:
    place = _place(spoilt, chance)
    del spoilt[place : place + chance.choice((1, 4, 100, 5_000))]


def _repeat(spoilt: bytearray, chance: random.Random) -> None:
    place = _place(spoilt, chance)
    spoilt[place:place] = spoilt[place : place + chance.choice((1, 16, 1_000))]


def _cut_off(spoilt: bytearray, chance: random.Random) -> None:
    del spoilt[_place(spoilt, chance) :]


def _shuffle(spoilt: bytearray, chance: random.Random) -> None:
    place, length = _place(spoilt, chance), chance.choice((8, 64, 1_000))
    stretch = list(spoilt[place : place + length])
    chance.shuffle(stretch)
    spoilt[place : place + length] = bytes(stretch)


_WAYS: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    _flip_bit, _flip_bit, _write_word, _write_word, _insert_word, _delete, _repeat, _cut_off,
    _shuffle,
)  # fmt: skip
