"""Mistakes in params.yaml -> sentences that say where, what was found, and what fits."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from oragen.schema.errors import UserError

# What version 0.1 called them -> what they are called now.
RENAMED_KEYS: Final[Mapping[str, str]] = {"summary": "pooling"}
RENAMED_VALUES: Final[Mapping[str, str]] = {
    "afterwards_with_new_decisions": "afterwards_with_new_output_layers",
}


class ParamsError(UserError):
    """params.yaml asks for something that does not exist or does not fit."""


def explain(error: ValidationError) -> str:
    """Return a line for each mistake."""
    return "\n".join(f"  {_explain_one(issue)}" for issue in error.errors())


def explain_unknown_key(key: str, known: Collection[str]) -> str:
    """Return what is said of a key that a section does not have."""
    renamed = RENAMED_KEYS.get(key)
    if renamed is not None and renamed in known:
        return _explain_renamed(key, renamed)
    return f"there is no {key!r}{suggest(key, known)}"


def suggest(name: str, known: Collection[str]) -> str:
    """Return what may have been meant, and all that there is."""
    close = get_close_matches(name, known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f".{guess} There are: {', '.join(known) or 'none'}."


def _explain_one(issue: ErrorDetails) -> str:
    """One mistake -> its place, what is expected there, and what was found."""
    found, steps = issue["input"], _steps_to(issue)
    place = f"{'.'.join(steps)}: " if steps else ""
    if isinstance(found, str) and found in RENAMED_VALUES:
        return f"{place}{_explain_renamed(found, RENAMED_VALUES[found])}"
    message = issue["msg"].removeprefix("Value error, ")
    shown = "" if issue["type"] in {"value_error", "missing"} else f" (found {found!r})"
    return f"{place}{message}{shown}"


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
