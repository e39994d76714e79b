"""Bytes of a JSON file -> its object, or one reason why it is not one that can be trusted.

Python's own reader lets the last of two equal keys win, and takes NaN and infinite numbers.
"""

import json
import math
from typing import Final, NoReturn

from oragen.schema.vocabulary import Json

MAX_BYTES: Final = 4_000_000  # a config with the names of 22,000 classes has a quarter of it
MAX_DEPTH: Final = 30
MAX_SHOWN: Final = 80  # letters of a wrong value in a message


class JsonError(ValueError):
    """Why bytes are not a JSON object; ends without a full stop."""


def parse_object(content: bytes) -> dict[str, Json]:
    """Read a JSON object of finite numbers, in which no key is repeated.

    Raises:
        JsonError: it is another value, too large, too deep, or not JSON.
    """
    if len(content) > MAX_BYTES:
        raise JsonError(f"it has {len(content)} bytes, expected at most {MAX_BYTES}")
    try:
        found = json.loads(
            content,
            object_pairs_hook=_refuse_repeats,
            parse_constant=_refuse_constant,
            parse_float=_refuse_infinite,
        )
    except RecursionError as error:
        raise JsonError(f"it is nested more than {MAX_DEPTH} deep") from error
    except JsonError:
        raise
    except ValueError as error:  # no JSON, no UTF-8, or an integer of thousands of digits
        raise JsonError(f"it is not JSON: {shorten(str(error))}") from error
    if not isinstance(found, dict):
        raise JsonError(f"it holds a {type(found).__name__}, expected an object")
    _check(found, MAX_DEPTH)
    return found


def shorten(text: str, length: int = MAX_SHOWN) -> str:
    """Return at most so many letters of a text."""
    return text if len(text) <= length else f"{text[:length]}..."


def _refuse_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in mapping if keys.count(key) > 1)
        raise JsonError(f"the key {shorten(repr(repeated))} is there twice")
    return mapping


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"it holds {name}, expected finite numbers")


def _refuse_infinite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise JsonError(f"it holds {shorten(digits)}, expected finite numbers")
    return number


def _check(value: Json, depth: int) -> None:
    """Refuse what is too deep, and text that no file or terminal can take."""
    if depth < 0:
        raise JsonError(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise JsonError(f"{shorten(repr(value))} is not Unicode text") from error
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check(key, depth)
            _check(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth - 1)
