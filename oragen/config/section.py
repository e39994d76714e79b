"""A mapping of params.yaml -> a typed section: what all sections are made of."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from oragen.config.messages import explain_unknown_key
from oragen.schema.names import printable, shorten

Item = TypeVar("Item", str, int)
Text = TypeVar("Text", str, Path)

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
MAX_NAME: Final = 100  # file systems take 255 bytes, with what is added to a name
MAX_TEXT: Final = 4096  # of a path or an address


def _refuse_odd_names(name: str) -> str:
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise ValueError(
            "a name has letters of English, digits, `-` and `_`, begins with a letter or digit, "
            f"and has at most {MAX_NAME} characters. Rename it wherever it is used"
        )
    return name


def _refuse_controls(text: Text) -> Text:
    """Refuse what no path and no name has: a zero byte, a line break, a change of direction."""
    if len(str(text)) > MAX_TEXT or printable(str(text)) != str(text):
        raise ValueError(
            f"a text has at most {MAX_TEXT} characters, and none that controls a terminal (found "
            f"{shorten(repr(str(text)))})"
        )
    return text


def _refuse_repeats(items: list[Item]) -> list[Item]:
    for item, count in Counter(items).items():
        if count > 1:
            raise ValueError(f"{shorten(repr(item))} is listed twice")
    return items


NotNegative = Annotated[float, Field(ge=0, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
# A name is also that of a folder and of a DVC stage, and part of paths that DVC removes.
Name = Annotated[str, AfterValidator(_refuse_odd_names)]
Words = Annotated[str, AfterValidator(_refuse_controls)]
Place = Annotated[Path, AfterValidator(_refuse_controls)]
NoRepeats = AfterValidator(_refuse_repeats)
Names = Annotated[list[Words], Field(min_length=1, max_length=1000), NoRepeats]


class Section(BaseModel):
    """A mapping with known keys; it cannot be changed."""

    # Infinity and NaN cannot be part of a key.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, section: object) -> object:
        for key in section if isinstance(section, dict) else ():
            if key not in cls.model_fields:
                raise ValueError(explain_unknown_key(str(key), cls.model_fields))
        return section

    def as_cache_parameters(self) -> dict[str, Any]:
        """Return plain values, as they go into keys and head.json."""
        return self.model_dump(mode="json")


def auto_or(least: int, most: int) -> PlainValidator:
    """Take `auto` or a whole number: a mistake is one sentence, where a union has one for each."""

    def read(found: object) -> object:
        if found == "auto" or (type(found) is int and least <= found <= most):
            return found
        raise ValueError(
            f"expected auto, or a whole number from {least} to {most}, found {shorten(repr(found))}"
        )

    return PlainValidator(read)
