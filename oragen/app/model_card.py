"""A loaded model -> what a reader must know of it before using it."""

from importlib.metadata import version
from pathlib import Path
from typing import Final

from oragen.app.forms import LicenceForm, LimitsForm, ModelForm
from oragen.app.options import ServeOptions
from oragen.predictor import Predictor
from oragen.predictor.licences import list_licences
from oragen.schema.errors import UserError
from oragen.schema.links import find_inside

CARD_FILE: Final = "README.md"  # of a packed model, or of one on the hub
MAX_CARD_BYTES: Final = 100_000


def describe_model(predictor: Predictor, options: ServeOptions) -> ModelForm:
    """Return what answers, on whom it was trained, and what the service takes."""
    trained = predictor.training_data
    card = read_card(Path(predictor.description["folder"]))
    return ModelForm(
        name=predictor.description["head"],
        version=version("oragen"),
        description=predictor.description,
        training_data=None if trained is None else trained.as_json(),
        warnings=predictor.warnings,
        modalities=list(predictor.modalities),
        genders=list(predictor.genders),
        mask_types=list(predictor.mask_types),
        licences=[
            LicenceForm(**licence._asdict())
            for licence in list_licences(predictor.description, predictor.encoder_sources, card)
        ],
        card=card,
        limits=LimitsForm(
            max_upload_mb=options.max_upload_bytes / 10**6,
            max_duration_s=predictor.max_duration_s,
            queue=options.queue,
        ),
    )


def read_card(folder: Path) -> str | None:
    """Return the beginning of the README.md of a model; None if it has none of its own."""
    try:
        with find_inside(folder, CARD_FILE).open("rb") as file:
            return file.read(MAX_CARD_BYTES).decode("utf-8", "replace")
    except (OSError, UserError):
        return None
