"""What a model gives for a clip -> its prediction, as people read it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from oragen.detection.windows import Window
from oragen.predictor.clip_inputs import ClipInputs
from oragen.predictor.prediction import (
    AgePrediction,
    ClassPrediction,
    ModalityReport,
    Prediction,
    WindowPrediction,
)
from oragen.predictor.pretrained import Pretrained
from oragen.schema.label_sets import split_label_set
from oragen.schema.vocabulary import NO_CROP, Modality
from oragen.training.conformal import COLUMNS
from oragen.training.model_warnings import warn_of_age, warn_of_distances
from oragen.training.scoring import WindowPredictions

NO_DISTANCES: Final = pd.Series(dtype=float)


def to_window(
    model: Pretrained, window: Window, predictions: WindowPredictions, row: int
) -> WindowPrediction:
    """Return what is predicted of a window, of which a row of the predictions is."""
    mask_type = predictions.mask_type
    return WindowPrediction(
        span=window.span,
        has_speech=window.has_speech,
        num_faces=sum(crop != NO_CROP for crop in window.crops),
        gender=_choose(model.genders, predictions.gender[row]),
        age_years=float(predictions.age_years[row]),
        mask_type=None if mask_type is None else _choose(model.mask_types, mask_type[row]),
    )


def to_prediction(
    model: Pretrained,
    inputs: ClipInputs,
    windows: list[WindowPrediction],
    clip: pd.Series | None,
    distances: pd.Series = NO_DISTANCES,
) -> Prediction:
    """Return the prediction of a clip.

    Args:
        model: which predicted.
        inputs: the clip.
        windows: what is predicted of each.
        clip: the means of its windows, see `group_predictions`, and its interval and sets, see
            `Conformal.apply`; None if nothing was usable.
        distances: how far each modality is from those of training; 1 is the limit.
    """
    has_mask_type = clip is not None and "predicted_mask_type" in clip
    unfamiliarity = None if distances.empty else float(distances.max())
    if clip is not None and unfamiliarity is not None and unfamiliarity > 1:
        clip = clip.copy()
        clip[list(COLUMNS)] = None  # what was fitted on other clips says nothing of it
        model = replace(model, calibration=replace(model.calibration, age_half_width_years=None))
    age = None if clip is None else _to_age(model, clip)
    return Prediction(
        input=inputs.name,
        gender=None if clip is None else _read_class(clip, "gender", model.genders),
        age=age,
        mask_type=_read_class(clip, "mask_type", model.mask_types) if has_mask_type else None,
        windows=windows,
        modalities=_report(model, inputs, distances),
        speech=inputs.speech,
        faces=inputs.boxes,
        length_s=inputs.length_s,
        sound_quality=inputs.sound_quality,
        face_quality=inputs.face_quality,
        notes=inputs.notes,
        model=model.description,
        training_data=model.training_data,
        unfamiliarity=unfamiliarity,
        warnings=[
            *model.warnings,
            *warn_of_distances(distances.to_dict()),
            *warn_of_age(age.value if age else None, model.training_data),
        ],
    )


def _to_age(model: Pretrained, clip: pd.Series) -> AgePrediction:
    """Return the age with the interval of its condition, or with the one that all clips share."""
    years = float(clip["predicted_age_years"])
    fixed = _surround(years, model.calibration.age_half_width_years)
    if fixed is None and pd.isna(clip["age_condition"]):
        return AgePrediction(years, None)
    if pd.isna(clip["age_condition"]):
        return AgePrediction(years, fixed, model.calibration.coverage, fixed)
    return AgePrediction(
        years,
        _surround(years, float(clip["age_conditional_half_width_years"])),
        model.conformal.coverage,
        fixed_interval=fixed,
        condition=str(clip["age_condition"]),
        condition_clips=int(clip["age_condition_clips"]),
    )


def _surround(years: float, half_width: float | None) -> tuple[float, float] | None:
    return None if half_width is None else (max(0.0, years - half_width), years + half_width)


def _report(
    model: Pretrained, inputs: ClipInputs, distances: pd.Series
) -> dict[Modality, ModalityReport]:
    reasons: dict[Modality, str | None] = {
        "audio": inputs.audio_reason, "face": inputs.face_reason,
    }  # fmt: skip
    for modality in reasons:
        if modality not in model.specs:
            reasons[modality] = f"the model does not use {modality}"
    return {
        modality: ModalityReport(
            reason is None,
            reason,
            float(distances[modality]) if modality in distances else None,
        )
        for modality, reason in reasons.items()
    }


def _choose(labels: Sequence[str], probabilities: np.ndarray) -> ClassPrediction:
    shares = {label: float(share) for label, share in zip(labels, probabilities, strict=True)}
    return ClassPrediction(labels[int(probabilities.argmax())], shares)


def _read_class(clip: pd.Series, task: str, labels: Sequence[str]) -> ClassPrediction:
    shares = {label: float(clip[f"{task}_{label}"]) for label in labels}
    named = clip[f"set_of_{task}"]
    label_set = None if pd.isna(named) else split_label_set(str(named))
    return ClassPrediction(str(clip[f"predicted_{task}"]), shares, label_set)
