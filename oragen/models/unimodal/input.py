"""The `input` that is saved with a published model -> how its waveforms or crops are prepared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from oragen.models.description import FormType, LooseForm, Positive, check_form
from oragen.models.unimodal.waveforms import Order

Means = Annotated[list[float], Field(min_length=3, max_length=3)]  # red, green, blue
Deviations = Annotated[list[Positive], Field(min_length=3, max_length=3)]


class SoundInput(LooseForm):
    """How waveforms are prepared."""

    waveform_order: Order
    min_samples: Annotated[int, Field(ge=400, le=10**6)]


class PictureInput(LooseForm):
    """How crops are prepared."""

    image_px: Annotated[int, Field(ge=8, le=2048)]
    image_mean: Means
    image_std: Deviations


def check_input(folder: Path, form: type[FormType], metadata: Mapping[str, Any]) -> FormType:
    """Return how the input of a published model is prepared.

    Raises:
        UserError: names the first field that does not fit.
    """
    return check_form(folder, "has a wrong metadata.input", form, metadata["input"])
