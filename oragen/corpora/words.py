"""The words of corpora for genders, splits, mask types and what is unknown -> our labels."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from oragen.schema.vocabulary import MASK_TYPES


class Age(NamedTuple):
    """Years; of a range its first and last one, and their middle."""

    years: float | None = None
    low: float | None = None
    high: float | None = None


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

# What R, pandas, spreadsheets, databases and people write where nothing is known. `none` is a mask
# type as well: a word that is a label of its column is that label.
UNKNOWN_WORDS: Final = frozenset({
    "", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "-nan", "nat", "none", "null", "nil", "(null)",
    "\\n", "unknown", "unk", "undefined", "missing", "not available", "not known", "-", "--", "---",
    "–", "—", "?", "??", "???", ".",
})  # fmt: skip
_SPELLINGS_OF_MACHINES: Final = frozenset({"NaN", "-NaN", "NaT"})
_NAMES_OF_PEOPLE: Final = frozenset({"na", "nan", "nat", "nil"})
_YEARS: Final = re.compile(r"\s*(y|yo|yrs?|years?)\.?(\s+old)?\Z", re.IGNORECASE)


def look_up(
    column: str, word: str, words: Mapping[str, str | None], problems: list[str]
) -> str | None:
    """Return our label for a word in any case; one of `UNKNOWN_WORDS` is unknown.

    Any other word that is not in `words` adds a line to `problems`: a closed vocabulary is never
    guessed.
    """
    if word.lower() in words:
        return words[word.lower()]
    if not is_unknown(word):
        problems.append(f"unknown {column}: {word}")
    return None


def is_unknown(word: str) -> bool:
    """Return whether a cell says that nothing is known."""
    return word.strip().lower() in UNKNOWN_WORDS


def is_unknown_speaker(name: str) -> bool:
    """Return whether a cell says that the speaker is not known.

    `Nan`, `Na`, `Nat` and `Nil`, written as names are, are people.
    """
    is_name = name.lower() in _NAMES_OF_PEOPLE and name.istitle()
    return is_unknown(name) and (name in _SPELLINGS_OF_MACHINES or not is_name)


def to_number(column: str, text: str, problems: list[str]) -> float | None:
    """Return a number with a decimal point or comma, and perhaps the unit of years behind it.

    One of `UNKNOWN_WORDS` is None; any other text adds a line to `problems`.
    """
    if is_unknown(text):
        return None
    digits = _YEARS.sub("", text)
    try:
        if "_" not in digits:  # Python would read 3_4 as 34
            return float(digits.replace(",", "."))
    except ValueError:
        pass
    problems.append(f"{column} is no number: {text}")
    return None
