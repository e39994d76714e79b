"""A prediction as JSON -> where it breaks prediction.schema.json."""

import json
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from tests.project import REPOSITORY

SCHEMA = json.loads((REPOSITORY / "oragen" / "predictor" / "prediction.schema.json").read_text())


def problems(value: Any, schema: Mapping[str, Any], place: str = "prediction") -> list[str]:
    """Say where JSON breaks a schema, for the keywords that ours uses; others are refused."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    unknown = set(schema) - set(CHECKS) - {"properties", "description", "title", "$schema", "$defs"}
    assert not unknown, f"{place}: {unknown} would not be checked"
    found = [CHECKS[word](value, schema, place) for word in schema if word in CHECKS]
    return list(chain.from_iterable(found))


KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,),
    "integer": (int,), "number": (int, float), "null": (type(None),),
}  # fmt: skip


def check_type(value: Any, schema: Mapping[str, Any], place: str) -> list[str]:
    words = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    fits = any(
        isinstance(value, KINDS[word]) and (word == "boolean" or not isinstance(value, bool))
        for word in words
    )
    return [] if fits else [f"{place}: {value!r} is no {' or '.join(words)}"]


def check_properties(value: Any, schema: Mapping[str, Any], place: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    known, rest = schema.get("properties", {}), schema["additionalProperties"]
    found = []
    for name, item in value.items():
        if name in known:
            found += problems(item, known[name], f"{place}.{name}")
        elif rest is False:
            found.append(f"{place}: {name} is not known")
        else:
            found += problems(item, rest, f"{place}.{name}")
    return found


def check_items(value: Any, schema: Mapping[str, Any], place: str) -> list[str]:
    items = value if isinstance(value, list) else []
    return [
        problem
        for number, item in enumerate(items)
        for problem in problems(item, schema["items"], f"{place}[{number}]")
    ]


def check_any(value: Any, schema: Mapping[str, Any], place: str) -> list[str]:
    found = [problems(value, option, place) for option in schema["anyOf"]]
    return [] if not all(found) else min(found, key=len)


def check_that(
    word: str, kinds: tuple[type, ...], holds: Callable[[Any, Any], bool]
) -> Callable[[Any, Mapping[str, Any], str], list[str]]:
    def check(value: Any, schema: Mapping[str, Any], place: str) -> list[str]:
        if not isinstance(value, kinds) or holds(value, schema[word]):
            return []
        return [f"{place}: {word} {schema[word]!r} does not hold of {value!r}"]

    return check


CHECKS: dict[str, Callable[[Any, Mapping[str, Any], str], list[str]]] = {
    "type": check_type,
    "additionalProperties": check_properties,
    "items": check_items,
    "anyOf": check_any,
    "required": check_that("required", (dict,), lambda value, names: set(names) <= set(value)),
    "const": check_that("const", (object,), lambda value, only: bool(value == only)),
    "enum": check_that("enum", (object,), lambda value, all_of: value in all_of),
    "minimum": check_that("minimum", (int, float), lambda value, least: bool(value >= least)),
    "maximum": check_that("maximum", (int, float), lambda value, most: bool(value <= most)),
    "minItems": check_that("minItems", (list,), lambda value, least: len(value) >= least),
    "maxItems": check_that("maxItems", (list,), lambda value, most: len(value) <= most),
    "minProperties": check_that("minProperties", (dict,), lambda value, least: len(value) >= least),
}
