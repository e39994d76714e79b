"""The parameters saved with a head -> typed options of speech, faces and windows."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from pydantic import model_validator

from oragen.detection.detector_choice import WITHOUT_YUNET, choose_detector
from oragen.detection.faces import CropOptions
from oragen.detection.speech import SpeechOptions
from oragen.detection.windows import Window, WindowOptions, cut_whole_windows, cut_windows
from oragen.detection.yunet_weights import YUNET_FILE, find_kept_yunet, refuse_unknown_yunet
from oragen.models.description import Form, LooseForm, Text, check_form
from oragen.schema.choices.face_detectors import DetectorChoice
from oragen.schema.choices.preprocessing import CropShape, PreprocessingRules
from oragen.schema.choices.windows import WindowRule
from oragen.schema.clip_options import (
    CropGap,
    CropMargin,
    CropSide,
    Duration,
    LeastMilliseconds,
    PadMilliseconds,
    ScoreShare,
    WindowHop,
    WindowLength,
    refuse_windows_out_of_order,
)
from oragen.schema.links import find_inside
from oragen.schema.vocabulary import Span

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preprocessing:
    """How a clip becomes windows; the same as in training, or predictions would be wrong."""

    max_audio_s: float
    speech: SpeechOptions
    faces: CropOptions
    windows: WindowOptions
    rules: PreprocessingRules = "oragen"
    use_sound: bool = True  # False: sound is not decoded, and windows go along the crops

    @property
    def are_published(self) -> bool:
        """Whether a clip is prepared as the published inference does.

        Then sound is not rounded to int16, windows cover the whole clip, and what is missing is
        zeros that the head takes for features.
        """
        return self.rules == "published_inference"

    def cut(
        self, num_samples: int, speech: list[Span], crop_samples: list[int], *, is_still: bool
    ) -> list[Window]:
        """Cut a clip into windows, see `cut_windows` and `cut_whole_windows`."""
        match self.rules:
            case "oragen":
                return cut_windows(
                    num_samples, speech, crop_samples, options=self.windows, is_still=is_still
                )
            case "published_inference":
                return cut_whole_windows(num_samples, speech, crop_samples, options=self.windows)
            case _:
                assert_never(self.rules)

    def follow(self, rules: PreprocessingRules) -> "Preprocessing":
        """Return the same by other rules."""
        shape: CropShape = "rectangle" if rules == "published_inference" else "square"
        return replace(self, rules=rules, faces=replace(self.faces, shape=shape))

    def shorten(self, max_duration_s: float) -> "Preprocessing":
        """Return the same with a bound for clips that is never above the one there was."""
        faces_s = min(self.faces.max_duration_s, max_duration_s)
        return replace(
            self,
            max_audio_s=min(self.max_audio_s, max_duration_s),
            faces=replace(self.faces, max_duration_s=faces_s),
        )

    def seek_landmarks(self, seek: bool) -> "Preprocessing":
        """Return the same with landmarks, or without those that take a search of their own."""
        return replace(self, faces=replace(self.faces, seek_landmarks=seek))


class AudioForm(Form):
    """As `audio` of params.yaml."""

    max_duration_s: Duration


class SpeechForm(Form):
    """As `SpeechOptions`."""

    threshold: ScoreShare
    min_speech_ms: LeastMilliseconds
    min_silence_ms: LeastMilliseconds
    pad_ms: PadMilliseconds


class FacesForm(Form):
    """As `CropOptions`."""

    # `auto`: of a model that was trained on the faces of no detector of ours
    detector: DetectorChoice
    weights: Text | None = None
    min_score: ScoreShare
    max_gap: CropGap
    margin: CropMargin
    crop_px: CropSide
    max_duration_s: Duration


class WindowsForm(Form):
    """As `WindowOptions.from_seconds` takes it."""

    rule: WindowRule
    length_s: WindowLength
    hop_s: WindowHop
    min_length_s: WindowLength

    @model_validator(mode="after")
    def _check_order(self) -> "WindowsForm":
        refuse_windows_out_of_order(
            length_s=self.length_s, hop_s=self.hop_s, min_length_s=self.min_length_s
        )
        return self


class PreprocessingForm(LooseForm):
    """What `train_head` saves under `preprocessing`."""

    audio: AudioForm
    speech: SpeechForm
    faces: FacesForm
    windows: WindowsForm
    rules: PreprocessingRules = "oragen"
    use_sound: bool = True


def read_preprocessing(saved: object, folder: Path) -> Preprocessing:
    """Read what `train_head` saved under `preprocessing`.

    Args:
        saved: from the head.json.
        folder: of the head. If it holds weights of a face detector, these are used.

    Raises:
        UserError: names the first field that is missing or does not fit, or weights that are
            not to be used.
    """
    form = check_form(folder, "has wrong metadata.preprocessing", PreprocessingForm, saved)
    weights = _choose_weights(folder, form.faces)
    detector = choose_detector(form.faces.detector, weights)
    if detector == "cascade" and form.faces.detector == "auto":
        logger.info("faces are found by the %s", WITHOUT_YUNET)
    faces = form.faces.model_dump() | {"detector": detector, "weights": weights}
    preprocessing = Preprocessing(
        max_audio_s=form.audio.max_duration_s,
        speech=SpeechOptions(**form.speech.model_dump()),
        faces=CropOptions(**faces),
        windows=WindowOptions.from_seconds(**form.windows.model_dump()),
        use_sound=form.use_sound,
    )
    return preprocessing.follow(form.rules)


def _choose_weights(folder: Path, faces: FacesForm) -> Path | None:
    """Return the weights beside the head, or published ones: where its head.json says, or kept.

    A head may come from elsewhere. So it cannot name any file of this machine to be read.
    """
    if faces.detector not in ("yunet", "auto"):
        return None
    if (folder / YUNET_FILE).exists():
        return find_inside(folder, YUNET_FILE)
    if faces.weights is None:
        return find_kept_yunet()
    named = Path(faces.weights)
    file = named / YUNET_FILE if named.is_dir() else named
    if not file.is_file():
        return find_kept_yunet() or file
    refuse_unknown_yunet(
        file, f"If you trust this file, copy it to {folder / YUNET_FILE}, where it is used."
    )
    return file
