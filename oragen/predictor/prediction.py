"""The prediction of one clip -> its JSON (docs/prediction.schema.json)."""

import json
from dataclasses import dataclass
from typing import Final

from oragen.detection.quality import FaceQuality, SoundQuality
from oragen.predictor.clip_inputs import FaceBox
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Modality, Span
from oragen.training.training_data import TrainingData

SCHEMA_VERSION: Final = 1
PROBABILITY_DIGITS: Final = 6
DISTANCE_DIGITS: Final = 3
QUALITY_DIGITS: Final = 3


@dataclass(frozen=True)
class ClassPrediction:
    """The predicted class, and the probability of each class."""

    label: str
    probabilities: dict[str, float]  # in the order of the model's labels
    label_set: tuple[str, ...] | None = None  # has the true label at the model's level of coverage


@dataclass(frozen=True)
class AgePrediction:
    """An age in years, and an interval that covers most ages of clips like those of dev.

    The interval holds for clips of the same condition, if the model knows conditions.
    """

    value: float
    interval: tuple[float, float] | None  # None: not calibrated, or the clip is unfamiliar
    coverage: float | None = None  # share of the ages that it covers
    fixed_interval: tuple[float, float] | None = None  # of the one width that all clips share
    condition: str | None = None  # such as `audio` or `audio_visual, medical`: see `Conformal`
    condition_clips: int | None = None  # dev clips that the interval comes from


@dataclass(frozen=True)
class WindowPrediction:
    """The prediction of one window; times are those of the clip."""

    span: Span
    has_speech: bool
    num_faces: int
    gender: ClassPrediction
    age_years: float
    mask_type: ClassPrediction | None


@dataclass(frozen=True)
class ModalityReport:
    """Whether a modality is usable, or the reason why not."""

    usable: bool
    reason: str | None
    unfamiliarity: float | None = None  # see `Prediction`


@dataclass(frozen=True)
class Prediction:
    """The prediction of one clip; without a usable modality gender, age and mask type are None."""

    input: str
    gender: ClassPrediction | None
    age: AgePrediction | None
    mask_type: ClassPrediction | None  # None also if the model does not predict it
    windows: list[WindowPrediction]
    modalities: dict[Modality, ModalityReport]
    speech: list[Span]
    faces: list[FaceBox]
    length_s: float
    sound_quality: SoundQuality
    face_quality: FaceQuality
    notes: list[str]
    model: dict[str, str]
    training_data: TrainingData | None  # of the model; None: it does not say it
    unfamiliarity: float | None  # distance from the clips of training; 1 is the limit
    warnings: list[str]  # sentences: what a reader must know before trusting the prediction

    @property
    def is_predicted(self) -> bool:
        """Return whether a modality was usable."""
        return self.gender is not None

    @property
    def unfamiliar(self) -> bool | None:
        """Return whether the clip is unlike those of training; None where it cannot be told."""
        return None if self.unfamiliarity is None else self.unfamiliarity > 1

    @property
    def reasons(self) -> str:
        """Return in one line why modalities are missing."""
        return "; ".join(
            f"{modality}: {report.reason}"
            for modality, report in self.modalities.items()
            if report.reason
        )

    @property
    def quality(self) -> dict[str, float | int | None]:
        """How much speech and face there is, and how good: see docs/report.md; None: none."""
        measures = {
            "speech_sec": self.sound_quality.speech_s,
            "snr_db": self.sound_quality.snr_db,
            "face_px": self.face_quality.face_px,
            "sharpness": self.face_quality.sharpness,
            "num_crops": self.face_quality.num_crops,
        }
        return {
            name: None if value is None else round(value, QUALITY_DIGITS)
            for name, value in measures.items()
        }

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON: a superset of the output of the published inference."""
        return {
            "schema_version": SCHEMA_VERSION,
            "input": self.input,
            "status": "ok" if self.is_predicted else "no_predictions",
            "gender": _class_to_dict(self.gender),
            "age": None
            if self.age is None
            else {
                "value": round(self.age.value, 3),
                "interval": _round_edges(self.age.interval),
                "coverage": self.age.coverage,
                "fixed_interval": _round_edges(self.age.fixed_interval),
                "condition": self.age.condition,
                "condition_clips": self.age.condition_clips,
            },
            "mask_type": _class_to_dict(self.mask_type),
            "num_windows": len(self.windows),
            "windows": [_window_to_dict(index, one) for index, one in enumerate(self.windows)],
            "modalities": {
                modality: {
                    "usable": report.usable,
                    "reason": report.reason,
                    "unfamiliarity": _round_distance(report.unfamiliarity),
                }
                for modality, report in self.modalities.items()
            },
            "speech": [
                {"start_sec": _seconds(span.start), "end_sec": _seconds(span.stop)}
                for span in self.speech
            ],
            "faces": [
                {
                    "time_sec": box.time_s,
                    "box": [round(edge, 1) for edge in (box.x1, box.y1, box.x2, box.y2)],
                    "score": round(box.score, 4),
                }
                for box in self.faces
            ],
            "length_sec": round(self.length_s, 3),
            "quality": self.quality,
            "notes": self.notes,
            "unfamiliarity": _round_distance(self.unfamiliarity),
            "unfamiliar": self.unfamiliar,
            "warnings": self.warnings,
            "model": {
                **self.model,
                "training_data": None
                if self.training_data is None
                else self.training_data.as_json(),
            },
        }

    def to_json(self) -> str:
        """Return `to_dict` as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=2)


def _class_to_dict(prediction: ClassPrediction | None) -> dict[str, object] | None:
    if prediction is None:
        return None
    return {
        "label": prediction.label,
        "class_index": list(prediction.probabilities).index(prediction.label),
        "probabilities": _round(prediction.probabilities),
        "label_set": None if prediction.label_set is None else list(prediction.label_set),
    }


def _round_edges(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(edge, 3) for edge in interval]


def _window_to_dict(index: int, window: WindowPrediction) -> dict[str, object]:
    mask_type = window.mask_type
    return {
        "index": index,
        "start_sec": _seconds(window.span.start),
        "end_sec": _seconds(window.span.stop),
        "has_speech": window.has_speech,
        "num_faces": window.num_faces,
        "gender_pred_label": window.gender.label,
        "gender_probs": _round(window.gender.probabilities),
        "age_pred": round(window.age_years, 3),
        "mask_type_pred_label": None if mask_type is None else mask_type.label,
        "mask_type_probs": None if mask_type is None else _round(mask_type.probabilities),
    }


def _round(probabilities: dict[str, float]) -> dict[str, float]:
    return {label: round(share, PROBABILITY_DIGITS) for label, share in probabilities.items()}


def _round_distance(unfamiliarity: float | None) -> float | None:
    return None if unfamiliarity is None else round(unfamiliarity, DISTANCE_DIGITS)


def _seconds(sample: int) -> float:
    return round(sample / SAMPLE_RATE_HZ, 4)
