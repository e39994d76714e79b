"""The folder of a model -> its head, its encoders and the preprocessing of clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from oragen.models.folder import read_description
from oragen.models.heads import Head, load_head
from oragen.models.off_the_shelf import LIMITS, describe_networks
from oragen.models.packages import describe_speaker_network
from oragen.models.places import DESCRIPTION_FILE, ModelError, no_model
from oragen.predictor.origin import describe_origin
from oragen.predictor.preprocessing import Preprocessing, read_preprocessing
from oragen.predictor.sums import check_sums
from oragen.schema.choices.encoders import OFF_THE_SHELF, RESEMBLYZER
from oragen.schema.choices.preprocessing import PreprocessingRules
from oragen.schema.vocabulary import Modality, Precision
from oragen.training.calibration import Calibration
from oragen.training.conformal import Conformal
from oragen.training.familiarity import Familiarity
from oragen.training.head_metadata import HeadMetadata, read_metadata
from oragen.training.model_warnings import warn_of_model
from oragen.training.training_data import TrainingData

if TYPE_CHECKING:
    from oragen.encoders import AudioEncoder, FaceEncoder, OffTheShelfEncoder, SpeakerEncoder

    AnyEncoder: TypeAlias = AudioEncoder | SpeakerEncoder | FaceEncoder | OffTheShelfEncoder

ENCODER_FOLDERS: Final[dict[Modality, str]] = {"audio": "audio_encoder", "face": "face_encoder"}
# `data/heads/<head>/seed-<n>` names its encoders relative to the project's folder.
_DEPTH_IN_PROJECT: Final = 4


@dataclass(frozen=True)
class Pretrained:
    """All parts of a model that predicts on clips."""

    head: Head
    audio: "AudioEncoder | SpeakerEncoder | None"
    face: "FaceEncoder | OffTheShelfEncoder | None"
    preprocessing: Preprocessing
    calibration: Calibration
    conformal: Conformal
    genders: list[str]
    mask_types: list[str]
    specs: dict[Modality, dict[str, Any]]
    description: dict[str, str]  # of the model, for each prediction
    familiarity: Familiarity  # empty: how unlike training a clip is cannot be told
    training_data: TrainingData | None  # None: the model does not say it
    warnings: list[str]  # of the model, for each prediction: see `warn_of_model`


def load_pretrained(
    folder: Path,
    *,
    precision: Precision | None = None,
    revision: str | None = None,
    rules: PreprocessingRules | None = None,
) -> Pretrained:
    """Load a head from a folder, and the encoders of its training.

    Args:
        folder: of a head of this project, or of a model with its encoders beside it.
        precision: of the encoders; as in training if None.
        revision: of encoders that come from a hub.
        rules: how clips are prepared; None = as the model says.

    Raises:
        ModelError: the rules do not fit the model, there is no head, or an encoder is not the one
            of its training.
        UserError: a part is damaged, or says what cannot be.
    """
    if not (folder / DESCRIPTION_FILE).is_file():
        raise no_model(folder)
    check_sums(folder)
    saved = load_head(folder)
    if not saved.metadata.get("preprocessing") or not saved.metadata.get("features"):
        raise ModelError(
            f"The head in {folder} does not say which features it needs, nor how to prepare clips. "
            "It was converted or trained elsewhere. Name a head that `dvc repro` trained, or the "
            "folder of all three published checkpoints."
        )
    metadata = read_metadata(folder, saved)
    preprocessing = read_preprocessing(saved.metadata["preprocessing"], folder)
    if rules is not None and rules != preprocessing.rules:
        if not preprocessing.are_published:
            raise ModelError(
                f"The model in {folder} was trained on clips that were prepared by the rules "
                f"{preprocessing.rules}. Only the published model can follow other rules: leave "
                "them out."
            )
        preprocessing = preprocessing.follow(rules)
    encoders: dict[Modality, Any] = {
        modality: _load_encoder(folder, modality, spec, precision, revision)
        for modality, spec in metadata.features.items()
    }
    return Pretrained(
        head=saved.head,
        audio=encoders.get("audio"),
        face=encoders.get("face"),
        preprocessing=preprocessing.seek_landmarks(_take_landmarks(encoders.get("face"))),
        calibration=metadata.calibration,
        conformal=metadata.conformal,
        genders=metadata.genders,
        mask_types=metadata.mask_types,
        specs=metadata.features,
        description=_describe(folder, saved.head, metadata, preprocessing)
        | describe_origin(folder, saved.metadata),
        familiarity=metadata.familiarity,
        training_data=metadata.training_data,
        warnings=[
            *warn_of_model(metadata.training_data, metadata.trained_on),
            *([LIMITS] if saved.head.spec.name == "off_the_shelf" else []),
        ],
    )


def _load_encoder(
    folder: Path,
    modality: Modality,
    spec: Mapping[str, Any],
    precision: Precision | None,
    revision: str | None,
) -> "AnyEncoder":
    from oragen.encoders import load_any_audio_encoder, load_any_face_encoder
    from oragen.encoders.layers import LayerError

    source = locate_encoder(folder, modality, spec["source"])
    load: Any = load_any_face_encoder
    if modality == "audio":
        load = partial(load_any_audio_encoder, layers=spec.get("layers") or "last")
    try:
        encoder: AnyEncoder = load(
            source, revision, precision=precision or spec["precision"], levels=[spec["level"]]
        )
    except LayerError as error:
        raise ModelError(
            f"{folder} holds a head for hidden layers {spec['layers']}, which cannot be had: "
            f"{error} Fetch the model again, or train it again."
        ) from error
    fingerprint = encoder.fingerprint(spec["level"])
    if fingerprint != spec["fingerprint"]:
        raise ModelError(
            f"The {modality} encoder {source} is not the one that the head in {folder} was trained "
            f"with: its fingerprint is {fingerprint[:12]}, expected {spec['fingerprint'][:12]}. "
            "Run `dvc repro`, or use head and encoders of one run."
        )
    return encoder


def _take_landmarks(face: "FaceEncoder | OffTheShelfEncoder | None") -> bool:
    return face is not None and face.takes_landmarks


def locate_encoder(folder: Path, modality: Modality, source: str) -> str:
    """Return the place of an encoder: beside the head, in the head's project, or on the hub."""
    if source in (OFF_THE_SHELF, RESEMBLYZER):  # of packages that are installed
        return source
    beside = folder / ENCODER_FOLDERS[modality]
    if beside.is_dir():
        return str(beside)
    parents = folder.resolve().parents
    if len(parents) >= _DEPTH_IN_PROJECT:
        in_project = parents[_DEPTH_IN_PROJECT - 1] / source
        if in_project.is_dir():
            return str(in_project)
    return source


def _describe(
    folder: Path, head: Head, metadata: HeadMetadata, preprocessing: Preprocessing
) -> dict[str, str]:
    described = {
        "folder": str(folder),
        "head": head.spec.name,
        "trained_on": ", ".join(metadata.trained_on),
        "weights_sha256": read_description(folder, ["head"])["weights_sha256"],
    }
    for modality, spec in metadata.features.items():
        described[f"{modality}_encoder"] = spec["encoder"]
        described[f"{modality}_fingerprint"] = spec["fingerprint"]
        if spec["source"] == OFF_THE_SHELF:
            described |= describe_networks()
        if spec["source"] == RESEMBLYZER:
            described |= describe_speaker_network()
    if "face" in metadata.features:
        described["face_detector"] = preprocessing.faces.detector
    return described
