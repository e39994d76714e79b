"""Mistakes in params.yaml -> sentences that say where, what was found, and what fits."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from oragen.schema.errors import UserError
from oragen.schema.names import shorten

# What version 0.1 called them -> what they are called now.
RENAMED_KEYS: Final[Mapping[str, str]] = {"summary": "pooling"}
RENAMED_VALUES: Final[Mapping[str, str]] = {
    "afterwards_with_new_decisions": "afterwards_with_new_output_layers",
}


PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")
MAX_LINES: Final = 20
LineOf = Callable[[Sequence[str]], int | None]  # the keys that lead to a place -> its line


class ParamsError(UserError):
    """params.yaml asks for something that does not exist or does not fit."""


def explain(error: ValidationError, line_of: LineOf | None = None) -> str:
    """Return a line for each mistake; the first ones, if there are many."""
    issues = error.errors(include_url=False)
    lines = [f"  {_find_line(issue, line_of)}{_explain_one(issue)}" for issue in issues[:MAX_LINES]]
    if more := len(issues) - len(lines):
        lines.append(f"  and {more:,} more")
    return "\n".join(lines)


def misplaced(place: str, sentence: str) -> PydanticCustomError:
    """Return an error that has a place of its own: keys that lead to it, with points between."""
    return PydanticCustomError("misplaced", "{sentence}", {"sentence": sentence, "place": place})


def explain_unknown_key(key: str, known: Collection[str]) -> str:
    """Return what is said of a key that a section does not have."""
    renamed = RENAMED_KEYS.get(key)
    if renamed is not None and renamed in known:
        return _explain_renamed(key, renamed)
    return f"there is no {shorten(repr(key))}{suggest(key, known)}"


def suggest(name: str, known: Collection[str]) -> str:
    """Return what may have been meant, and all that there is."""
    close = get_close_matches(shorten(name), known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join([*known][:MAX_LINES]) or "none"
    more = f" and {len(known) - MAX_LINES:,} more" if len(known) > MAX_LINES else ""
    return f".{guess} There are: {listed}{more}."


def _explain_one(issue: ErrorDetails) -> str:
    """One mistake -> its place, what is expected there, and what was found."""
    found = issue["input"]
    if issue["type"] == "misplaced":
        return issue["msg"]
    steps = [step if PLAIN.fullmatch(step) else shorten(repr(step)) for step in _steps_to(issue)]
    place = f"{'.'.join(steps)}: " if steps else ""
    if isinstance(found, str) and found in RENAMED_VALUES:
        return f"{place}{_explain_renamed(found, RENAMED_VALUES[found])}"
    message = issue["msg"].removeprefix("Value error, ")
    shown = "" if issue["type"] in {"value_error", "missing"} else f" (found {_show(found)})"
    return f"{place}{message}{shown}"


def _show(found: object) -> str:
    """Return what was found; one word for what may be long."""
    match found:
        case dict() | list():
            return f"a {type(found).__name__} of {len(found):,}"
        case int() if found.bit_length() > 1000:
            return f"a number of {found.bit_length():,} bits"
        case _:
            return shorten(repr(found))


def _find_line(issue: ErrorDetails, line_of: LineOf | None) -> str:
    if line_of is None:
        return ""
    place = issue.get("ctx", {}).get("place")
    line = line_of(place.split(".") if place else _steps_to(issue))
    return "" if line is None else f"line {line}: "


def _steps_to(issue: ErrorDetails) -> list[str]:
    """Return the keys that lead to a mistake, as they are in the file."""
    steps = [str(step) for step in issue["loc"]]
    for catalogue in (["corpora"], ["encoders", "catalogue"]):
        if steps[: len(catalogue)] == catalogue:
            kind = len(catalogue) + 1  # pydantic's step for the kind of entry is not in the file
            del steps[kind : kind + 1]
    return [step for step in steps if "[" not in step]  # pydantic's names of keys and choices


def _explain_renamed(old: str, new: str) -> str:
    return f"`{old}` is called `{new}` since version 0.2: rename it"
