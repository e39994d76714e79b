"""The JSON of a part's header -> what it says, once all of it is as oragen writes it."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from oragen.schema.vocabulary import Json
from oragen.store.hashing import SCHEMA_VERSION

ROW_COLUMNS: Final = ("key", "clip_id", "start", "stop", "reason", "details")
MAX_ROWS: Final = 100_000  # that are written into one part
_MAX_BYTES: Final = 2**28
MAX_ITEMS: Final = 2**23  # each costs Python up to a hundred bytes
_FIELDS: Final = {"schema_version", "spec"}
ROWS: Final = "entries"  # of a part of an earlier version, which has its rows in the header
_KEY: Final = re.compile(r"[0-9a-f]{32}")


def to_json(header: Mapping[str, Json]) -> str:
    """Return the text that stands for a header in checksums and names.

    Raises:
        ValueError: a number in it is not finite.
    """
    return json.dumps(header, sort_keys=True, allow_nan=False)


def parse_json(text: bytes) -> Any:
    """Parse JSON that may come from anywhere, in bounded memory.

    Raises:
        ValueError: it is too large, nested too deeply, or no JSON of finite numbers.
    """
    refuse_large(len(text))
    num_items = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    if num_items > MAX_ITEMS:
        raise ValueError(f"its JSON has {num_items:,} items, at most {MAX_ITEMS:,} are read")
    return decode(text.decode())


def decode(text: str) -> Any:
    """Parse JSON whose size was bounded, see `parse_json`."""
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def refuse_large(num_bytes: int) -> None:
    """Refuse JSON that is larger than that of any part, before it is read."""
    if num_bytes > _MAX_BYTES:
        raise ValueError(f"its JSON has {num_bytes:,} bytes, at most {_MAX_BYTES:,} are read")


def check_header(header: Json, num_positions: int, *, with_rows: bool) -> dict[str, Json]:
    """Return a header that is one: each field has its type, and rows in it fit the values.

    Of another schema version only the frame is looked at: nothing of it is used.

    Args:
        header: what was read.
        num_positions: of the values.
        with_rows: whether the rows are in the header, as in parts of earlier versions.

    Raises:
        ValueError: names the field, what it should be, and what it is.
    """
    fields = {*_FIELDS, ROWS} if with_rows else _FIELDS
    if not isinstance(header, dict) or header.keys() != fields:
        raise ValueError(f"its header has not exactly the fields {', '.join(sorted(fields))}")
    if type(header["schema_version"]) is not int or not isinstance(header["spec"], dict):
        raise ValueError("its schema_version is no integer, or its spec is no object")
    if with_rows and header["schema_version"] == SCHEMA_VERSION:
        _check_rows(header[ROWS], num_positions)
    return header


def _check_rows(columns: Json, num_positions: int) -> None:
    if not isinstance(columns, dict) or columns.keys() != {*ROW_COLUMNS}:
        raise ValueError(f"its rows have not exactly the columns {', '.join(ROW_COLUMNS)}")
    if not all(isinstance(column, list) for column in columns.values()):
        raise ValueError("a column of its rows is no list")
    if len({len(column) for column in columns.values()}) != 1:
        raise ValueError("the columns of its rows differ in length")
    for key in columns["key"]:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ValueError(f"the key {shorten(key)} of a row is not 32 hexadecimal digits")
    for name, kinds in (("clip_id", str), ("reason", (str, type(None))), ("details", dict)):
        _check_types(name, columns[name], kinds)
    for start, stop in zip(columns["start"], columns["stop"], strict=True):
        if type(start) is not int or type(stop) is not int:
            raise ValueError("the start or stop of a row is no integer")
        if not 0 <= start <= stop <= num_positions:
            raise ValueError(f"a row is from {start} to {stop}, of {num_positions} values")


def _check_types(name: str, column: Sequence[Json], kinds: type | tuple[type, ...]) -> None:
    for value in column:
        if not isinstance(value, kinds):
            raise ValueError(f"the {name} of a row is {shorten(value)}")


def shorten(value: object) -> str:
    """Return how a value from elsewhere is shown: in a few characters that print."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"a number in its JSON is {constant}")


def _parse_finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        _refuse(digits[:20])
    return number


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_parse_finite)
