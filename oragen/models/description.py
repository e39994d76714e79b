"""The fields of a `head.json` -> the same, known to be of the right types and within bounds.

The bounds keep what a description can ask for small, before anything of that size is made.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from oragen.models.folder import DESCRIPTION_FILE, damaged
from oragen.schema.choices.heads import HeadName
from oragen.schema.strict_json import shorten

Size = Annotated[int, Field(ge=1, le=2**16)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=1000)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
StdCorrection = Annotated[int, Field(ge=0, le=1)]
NumGenders = Annotated[int, Field(ge=2, le=3)]
NumMaskTypes = Annotated[int, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0)]


class Form(BaseModel):
    """A JSON object with known fields; a number in quotes is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class LooseForm(Form):
    """A JSON object that may have further fields, which nothing here reads."""

    model_config = ConfigDict(extra="ignore")


FormType = TypeVar("FormType", bound=Form)


class Sizes(Form):
    """As `HeadSizes`."""

    audio_steps: Annotated[int, Field(ge=1, le=10**6)]
    audio_width: Annotated[int, Field(ge=1, le=2**18)]  # of all layers of the largest encoders
    face_slots: Size
    face_layers: Size
    face_width: Size
    num_genders: NumGenders
    num_mask_types: NumMaskTypes


class HeadForm(Form):
    """What a head is built from, as `HeadSpec`."""

    name: HeadName
    sizes: Sizes
    width: Size = 256
    num_heads: Annotated[int, Field(ge=1, le=1024)] = 4
    dropout: Dropout = 0.1
    std_correction: StdCorrection = 0
    audio_layers: Annotated[int, Field(ge=1, le=201)] = 1


class Pooling(Form):
    """The pooling of a unimodal model."""

    name: Text
    std_correction: StdCorrection = 0


class UnimodalForm(Form):
    """What a unimodal model is built from; its encoder has a check of its own."""

    encoder: dict[str, Any]
    summary: Pooling
    num_genders: NumGenders
    num_mask_types: NumMaskTypes
    age_as_fraction: bool


def check_form(folder: Path, what: str, form: type[FormType], fields: object) -> FormType:
    """Return the fields of a description as a form.

    Args:
        folder: of the model.
        what: the file describes if the fields fit, for the message; or the place of the fields.
        form: that the fields must have.
        fields: from JSON.

    Raises:
        UserError: names the first field that does not fit.
    """
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        first, *others = error.errors()
        more = f" and {len(others)} more mistakes" if others else ""
        raise damaged(folder, f"{DESCRIPTION_FILE} {what}: {_explain(first)}{more}") from error


def _explain(issue: ErrorDetails) -> str:
    place = ".".join(shorten(str(step)) for step in issue["loc"])
    message = issue["msg"].removeprefix("Value error, ")
    found = "" if issue["type"] == "missing" else f" (found {shorten(repr(issue['input']))})"
    return f"{place}: {message}{found}" if place else f"{message}{found}"
