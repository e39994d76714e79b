"""Predictions of dev clips -> the thresholds of a head by condition."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float64

from oragen.schema.vocabulary import CLASS_TASKS, ClassTask, Task
from oragen.training.calibration import COVERAGE, conformal_half_width
from oragen.training.conformal import (
    ALL,
    AgeScale,
    Conformal,
    Threshold,
    describe_doubt,
    name_conditions,
)
from oragen.training.metrics import list_predicted_labels

MIN_CLIPS: Final = 30  # of dev with a label, for a condition to have a threshold of its own
MIN_SPEAKERS: Final = 10  # likewise, as clips of one speaker are alike
MIN_CLIPS_OF_SCALE: Final = 40  # with fewer, all clips have the same scale
NUM_FOLDS: Final = 5  # of speakers: no clip has a scale that was fitted on its own speaker
EVERY_TASK: Final[tuple[Task, ...]] = ("age", *CLASS_TASKS)


def fit_conformal(
    widest: pd.DataFrame, alone: pd.DataFrame | None = None, *, coverage: float = COVERAGE
) -> Conformal:
    """Fit the thresholds to the predictions of dev clips.

    The scale of an age by which its error is judged was fitted without its speaker.

    Args:
        widest: predictions of the clips from all that they have, with their labels, `corpus`,
            `speaker_id` and `modalities_used`: see `join_labels`. They make the condition `all`.
        alone: of a head of both modalities: likewise, of the same clips with one of them hidden.
            They stand for clips that have but the other.
        coverage: level of the intervals and of the sets.
    """
    conditional = widest
    if alone is not None:
        with_both = widest[widest["modalities_used"] == "audio_visual"]
        conditional = pd.concat([with_both, alone], ignore_index=True)
    scores = _score(conditional, conditional)
    thresholds = {ALL: _find_thresholds(_score(widest, conditional), coverage)}
    for condition, members in _list_conditions(scores):
        if len(members) >= MIN_CLIPS and members["speaker"].nunique() >= MIN_SPEAKERS:
            thresholds[condition] = _find_thresholds(members, coverage, MIN_CLIPS)
    return Conformal(coverage, thresholds, fit_scale(conditional))


def fit_scale(clips: pd.DataFrame) -> AgeScale | None:
    """Fit the errors of ages by least squares; None with fewer than `MIN_CLIPS_OF_SCALE` clips."""
    known = clips[clips["age_years"].notna() & clips["predicted_age_years"].notna()]
    errors = (known["age_years"] - known["predicted_age_years"]).abs().to_numpy(float)
    if known["clip_id"].nunique() < MIN_CLIPS_OF_SCALE or errors.mean() == 0:
        return None
    weights = np.linalg.lstsq(describe_doubt(known), errors, rcond=1e-6)[0]
    return AgeScale(tuple(map(float, weights)), float(errors.mean()))


def _score(clips: pd.DataFrame, judges: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of predicted clips, NaN without a label, and their conditions.

    Args:
        clips: predictions with labels.
        judges: that the scales of the ages are fitted on, those of other speakers.
    """
    clips = clips[clips["predicted_age_years"].notna()].reset_index(drop=True)
    speakers = _name_speakers(clips)
    scales = _predict_scales(clips, speakers, judges)
    columns: dict[str, object] = {
        "speaker": speakers,
        "modalities_used": clips["modalities_used"],
        "age": (clips["age_years"] - clips["predicted_age_years"]).abs() / scales,
    }
    for task in CLASS_TASKS:
        if f"predicted_{task}" in clips:
            columns[f"predicted_{task}"] = clips[f"predicted_{task}"]
            columns[task] = 1 - _take_true_share(clips, task)
    return pd.DataFrame(columns)


def _predict_scales(
    clips: pd.DataFrame, speakers: pd.Series, judges: pd.DataFrame
) -> Float64[np.ndarray, " clips"]:
    """Predict the scale of each clip by the speakers of the other folds."""
    scales = np.ones(len(clips))
    if fit_scale(judges) is None:
        return scales
    judging = _name_speakers(judges)
    folds = {name: number % NUM_FOLDS for number, name in enumerate(sorted(judging.unique()))}
    for fold in range(NUM_FOLDS):
        own = (speakers.map(folds) == fold).to_numpy()
        if (fitted := fit_scale(judges[judging.map(folds) != fold])) is not None and own.any():
            scales[own] = fitted.predict(clips[own])
    return scales


def _name_speakers(clips: pd.DataFrame) -> pd.Series:
    return clips["corpus"] + "/" + clips["speaker_id"]


def _list_conditions(scores: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each condition but `all`, and the scores of its clips."""
    for modalities, members in scores.groupby("modalities_used"):
        yield str(modalities), members
        if "predicted_mask_type" in members:
            for mask_type, narrow in members.groupby("predicted_mask_type"):
                yield name_conditions(str(modalities), str(mask_type))[0], narrow


def _find_thresholds(
    scores: pd.DataFrame, coverage: float, min_clips: int = 1
) -> dict[Task, Threshold]:
    """Return the threshold of each task that has enough labels for one."""
    found: dict[Task, Threshold] = {}
    for task in EVERY_TASK:
        known = scores.get(task, pd.Series(dtype=float)).dropna().to_numpy(float)
        score = conformal_half_width(known, coverage) if len(known) >= min_clips else None
        if score is not None:
            found[task] = Threshold(score, len(known))
    return found


def _take_true_share(clips: pd.DataFrame, task: ClassTask) -> "pd.Series[float]":
    """Return the probability of each true label; NaN where the label is not known."""
    shares = pd.Series(np.nan, clips.index)
    for label in list_predicted_labels(clips, task):
        of_label = clips[task] == label
        shares[of_label] = clips.loc[of_label, f"{task}_{label}"]
    return shares
