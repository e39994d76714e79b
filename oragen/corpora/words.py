"""The words of corpora for genders, splits and mask types -> our labels."""

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
    column: str, word: str, words: Mapping[str, str | None], problems: list[str]
) -> str | None:
    """Return our label for a word in any case; an empty word is unknown.

    A word that is not in `words` adds a line to `problems`: a closed vocabulary is never guessed.
    """
    if not word:
        return None
    if word.lower() not in words:
        problems.append(f"unknown {column}: {word}")
    return words.get(word.lower())


def to_number(column: str, text: str, problems: list[str]) -> float | None:
    """Return a number with a decimal point or comma; any other text adds a line to `problems`."""
    try:
        return float(text.replace(",", ".")) if text else None
    except ValueError:
        problems.append(f"{column} is no number: {text}")
        return None
