"""The words that corpora use for genders, splits and mask types -> ours."""

from collections.abc import Mapping
from typing import Final

from oragen.schema.vocabulary import MASK_TYPES

GENDER_WORDS: Final = {
    "f": "female", "m": "male", "female": "female", "male": "male", "child": "child",
}  # fmt: skip
SPLIT_WORDS: Final = {
    "train": "train", "dev": "dev", "devel": "dev", "valid": "dev", "val": "dev",
    "validation": "dev", "test": "test",
}  # fmt: skip
MASK_TYPE_WORDS: Final = {word: word for word in MASK_TYPES} | {
    "no mask": "none",
    "tissue mask": "tissue",
    "medical mask": "medical",
    "protective mask (ffp2/ffp3)": "ffp",
    "respirator": "respirator",
    "protective face shield": "shield",
}


def look_up(
    column: str, found: str, words: Mapping[str, str | None], problems: list[str]
) -> str | None:
    """Return what a word means, whatever its case; nothing found means nothing known.

    A word that is not in `words` adds a line to `faults`: a closed vocabulary is never guessed.
    """
    if not found:
        return None
    if found.lower() not in words:
        problems.append(f"unknown {column}: {found}")
    return words.get(found.lower())


def to_number(column: str, found: str, problems: list[str]) -> float | None:
    """Return a number with a decimal point or comma; what is none adds a line to `faults`."""
    try:
        return float(found.replace(",", ".")) if found else None
    except ValueError:
        problems.append(f"{column} is no number: {found}")
        return None
