"""The metadata of a trained head -> its labels, features and calibration, known to be usable."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from oragen.models.description import Form, LooseForm, Sha256, Text, check_form
from oragen.models.heads import Head, SavedHead
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import (
    GENDERS,
    LEVELS_OF_VIEWS,
    MASK_TYPES,
    Level,
    Modality,
    Precision,
)
from oragen.training.calibration import Calibration, read_calibration
from oragen.training.conformal import Conformal, read_conformal
from oragen.training.familiarity import Familiarity
from oragen.training.familiarity_files import read_familiarity
from oragen.training.training_data import TrainingData, from_json

Age = Annotated[float, Field(ge=0, le=200)]
Count = Annotated[int, Field(ge=0)]


LayerNumbers = Annotated[
    list[Annotated[int, Field(ge=0, le=200)]], Field(min_length=1, max_length=201)
]


class StretchForm(LooseForm):
    """As `Stretching`; two minutes of frames of 5 ms at most."""

    frames: Annotated[int, Field(ge=1, le=24_000)]
    context_frames: Annotated[int, Field(ge=0, le=12_000)]


class FeatureForm(LooseForm):
    """The features of a modality, as `FeatureSpec`."""

    encoder: Text
    source: Text
    fingerprint: Sha256
    level: Level
    precision: Precision
    shape: Annotated[list[Annotated[int, Field(ge=1, le=2**18)]], Field(min_length=2, max_length=2)]
    stretch: StretchForm | None = None  # None: each window is encoded by itself
    layers: LayerNumbers | None = None  # None: what the encoder returns

    @model_validator(mode="after")
    def _check_stretch(self) -> "FeatureForm":
        if self.stretch is not None and (
            self.stretch.frames < self.shape[0] or self.level not in LEVELS_OF_VIEWS
        ):
            raise ValueError(
                f"stretches of {self.stretch.frames} frames hold no window of {self.shape[0]} at "
                f"the level {self.level}"
            )
        return self


class UsualLabels(LooseForm):
    """The majority baseline, see `find_majority_baseline`."""

    gender: Text | None = None
    mask_type: Text | None = None
    age_years: Age | None = None


class TrainingCorpusForm(Form):
    """As `TrainingCorpus`."""

    name: Text
    num_speakers: Count | None = None
    num_clips: Count | None = None
    generated: bool | None = None


class TrainingDataForm(Form):
    """As `TrainingData`."""

    corpora: Annotated[list[TrainingCorpusForm], Field(max_length=1000)]
    youngest_years: Age | None = None
    oldest_years: Age | None = None


class MetadataForm(LooseForm):
    """What `train_head` saves with a head, as far as it is read again."""

    genders: list[Text]
    mask_types: list[Text]
    trained_on: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    features: Annotated[dict[Modality, FeatureForm], Field(min_length=1)]
    usual_labels: UsualLabels = UsualLabels()
    training_data: TrainingDataForm | None = None  # heads of earlier versions have none


@dataclass(frozen=True)
class HeadMetadata:
    """What a head was trained on, and how its output is calibrated."""

    genders: list[str]
    mask_types: list[str]
    trained_on: list[str]
    features: dict[Modality, dict[str, Any]]
    calibration: Calibration
    conformal: Conformal  # without thresholds: an earlier version trained the head
    usual_labels: dict[str, str | float | None]
    training_data: TrainingData | None  # None: the head does not say it
    familiarity: Familiarity  # with its limits; empty: the head has none


def read_metadata(folder: Path, saved: SavedHead) -> HeadMetadata:
    """Return the metadata of a trained head.

    Raises:
        UserError: names the first field that is missing or does not fit.
    """
    form = check_form(folder, "has wrong metadata", MetadataForm, saved.metadata)
    _refuse_other_widths(folder, saved.head, form)
    return HeadMetadata(
        genders=form.genders,
        mask_types=form.mask_types,
        trained_on=form.trained_on,
        features={modality: saved.metadata["features"][modality] for modality in form.features},
        calibration=read_calibration(saved.metadata.get("calibration"), folder),
        conformal=read_conformal(saved.metadata.get("conformal"), folder),
        usual_labels=form.usual_labels.model_dump(),
        training_data=None
        if form.training_data is None
        else from_json(form.training_data.model_dump()),
        familiarity=read_familiarity(
            folder,
            saved.metadata.get("familiarity"),
            {modality: spec.shape[1] for modality, spec in form.features.items()},
        ),
    )


def refuse_other_labels(folder: Path, metadata: HeadMetadata) -> None:
    """Refuse a head whose labels are not those of the project, in its order.

    Raises:
        UserError: names both.
    """
    expected = {"genders": list(GENDERS), "mask types": list(MASK_TYPES)}
    found = {"genders": metadata.genders, "mask types": metadata.mask_types or list(MASK_TYPES)}
    for task, labels in found.items():
        if labels != expected[task]:
            raise UserError(
                f"The head in {folder} predicts the {task} {', '.join(labels)}; expected "
                f"{', '.join(expected[task])}. Run `dvc repro train_head`."
            )


def _refuse_other_widths(folder: Path, head: Head, form: MetadataForm) -> None:
    """Refuse features that the head itself could not take."""
    sizes = head.spec.sizes
    widths = {"audio": sizes.audio_width, "face": sizes.face_width}
    for modality, spec in form.features.items():
        if spec.shape[1] != widths[modality]:
            raise UserError(
                f"The head in {folder} takes {modality} features of width {widths[modality]}, and "
                f"its head.json says that they have {spec.shape[1]}. Fetch it again (`dvc pull`)."
            )
