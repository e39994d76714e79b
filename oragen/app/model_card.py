"""A loaded model -> what a reader must know of it before using it."""

from importlib.metadata import version
from typing import Final

from oragen.app.forms import LicenceForm, LimitsForm, ModelForm
from oragen.app.options import ServeOptions
from oragen.predictor import Predictor

LICENCES: Final = (LicenceForm(what="oragen", licence="see LICENSE"),)


def describe_model(predictor: Predictor, options: ServeOptions) -> ModelForm:
    """Return what answers, on whom it was trained, and what the service takes."""
    trained = predictor.training_data
    return ModelForm(
        name=predictor.description.get("head", "model"),
        version=version("oragen"),
        description=predictor.description,
        training_data=None if trained is None else trained.as_json(),
        warnings=predictor.warnings,
        modalities=list(predictor.modalities),
        genders=list(predictor.genders),
        mask_types=list(predictor.mask_types),
        licences=[*LICENCES],
        limits=LimitsForm(
            max_upload_mb=options.max_upload_bytes / 10**6,
            max_duration_s=options.max_duration_s,
            queue=options.queue,
        ),
    )
