"""The JSON of responses, as OpenAPI describes it."""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from oragen.app.jobs import Job, State


class JobForm(BaseModel):
    """A clip, and what became of it."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field(description="Name of the job in addresses; who knows it may read the job.")
    state: State
    position: int = Field(ge=0, description="How many clips come before this one.")
    windows_done: int = Field(ge=0)
    windows_total: int | None = Field(description="Null until the clip is decoded.")
    detail: str | None = Field(description="Why there is no prediction: one sentence.")
    prediction: dict[str, Any] | None = Field(description="As `oragen predict` writes it.")


class ProblemForm(BaseModel):
    """RFC 9457: why a request has no answer."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="One sentence: what is wrong, and what to do.")


class LimitsForm(BaseModel):
    """What the service takes."""

    max_upload_mb: float
    max_duration_s: float
    queue: int


class LicenceForm(BaseModel):
    """Whose terms hold for a part of the model."""

    what: str
    licence: str


class ModelForm(BaseModel):
    """What answers, and on whom it was trained."""

    name: str
    version: str = Field(description="Of oragen.")
    description: dict[str, str]
    training_data: dict[str, Any] | None
    warnings: list[str]
    modalities: list[str]
    genders: list[str]
    mask_types: list[str]
    licences: list[LicenceForm]
    card: str | None = Field(description="The README.md of the model, as text; null without one.")
    limits: LimitsForm


class ExampleForm(BaseModel):
    """A clip that the demo generated."""

    name: str
    url: str
    length_s: float | None = Field(description="Null where the clip does not say it.")


class StatusForm(BaseModel):
    """Whether the service works."""

    status: str


def to_form(job: Job, position: int, *, with_prediction: bool = True) -> Callable[[], str]:
    """Return a function that writes a job as JSON, as it is now; any thread may call it."""
    prediction = job.prediction if with_prediction else None
    form = JobForm(
        id=job.key,
        state=job.state,
        position=position,
        windows_done=job.windows_done,
        windows_total=job.windows_total,
        detail=job.detail,
        prediction=None,
    )

    def write() -> str:
        if prediction is not None:
            form.prediction = prediction.to_dict()
        return form.model_dump_json()

    return write


@cache
def prediction_schema() -> dict[str, Any]:
    """Return the JSON schema of a prediction, with its definitions inside."""
    text = files("oragen.predictor").joinpath("prediction.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
