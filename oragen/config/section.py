"""A mapping of params.yaml -> a typed section: what all sections are made of."""

from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from oragen.config.messages import explain_unknown_key

Item = TypeVar("Item", str, int)

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
# The name of a corpus, an encoder or a head is also the name of a folder and of a DVC stage.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _refuse_repeats(items: list[Item]) -> list[Item]:
    for item in items:
        if items.count(item) > 1:
            raise ValueError(f"{item!r} is listed twice")
    return items


NoRepeats = AfterValidator(_refuse_repeats)
Names = Annotated[list[str], Field(min_length=1), NoRepeats]


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
