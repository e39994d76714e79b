"""Predictions of dev clips -> age intervals and sets of labels that hold for each condition.

A condition is what a clip is predicted from (voice, face or both), and the predicted mask type. It
is known before the truth is. So each condition gets a threshold of its own, and the coverage holds
for each, whatever the model (Mondrian: Vovk et al. 2003, "Mondrian confidence machine"). A
condition with too few dev clips takes the threshold of what it is part of.

- The score of an age is its error over a predicted scale of errors, so that the interval is wider
  where errors are (Lei et al. 2018, doi 10.1080/01621459.2017.1307116, section 5.2).
- The score of a label is 1 minus its probability; the set has all labels whose score is within
  the threshold (Sadinle et al. 2019, doi 10.1080/01621459.2017.1395341), and always the predicted
  one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64
from pydantic import Field

from oragen.models.description import Form, Text, check_form
from oragen.schema.vocabulary import CLASS_TASKS, ClassTask, Task
from oragen.training.calibration import COVERAGE, conformal_half_width
from oragen.training.metrics import list_predicted_labels

MIN_CLIPS: Final = 30  # of dev with a label, for a condition to have a threshold of its own
MIN_SPEAKERS: Final = 10  # likewise, as clips of one speaker are alike
MIN_CLIPS_OF_SCALE: Final = 40  # with fewer, all clips have the same scale
NUM_FOLDS: Final = 5  # of speakers: no clip has a scale that was fitted on its own speaker
SCALE_LIMITS: Final = (0.5, 2.0)  # of a predicted scale, as shares of the mean error
ALL: Final = "all"
SEPARATOR: Final = ", "  # between labels of a set and parts of a condition
EVERY_TASK: Final[tuple[Task, ...]] = ("age", *CLASS_TASKS)
COLUMNS: Final[Mapping[str, str]] = {  # of the predictions, and their types
    "age_conditional_half_width_years": "float64",
    "age_condition": "str",
    "age_condition_clips": "float64",
    "set_of_gender": "str",
    "set_of_mask_type": "str",
}


@dataclass(frozen=True)
class Threshold:
    """The score that a new clip of a condition does not exceed at the level of coverage."""

    score: float
    clips: int  # of dev that it comes from


@dataclass(frozen=True)
class AgeScale:
    """The error to expect of an age: linear in what `describe_doubt` returns, within limits."""

    weights: tuple[float, ...]
    mean_years: float  # error over all dev clips

    def predict(self, rows: pd.DataFrame) -> Float64[np.ndarray, " clips"]:
        """Return the scale of each clip, 1 for the mean error."""
        lowest, highest = SCALE_LIMITS
        years = describe_doubt(rows) @ np.array(self.weights)
        return np.clip(years / self.mean_years, lowest, highest)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Conformal:
    """The thresholds of one head; without any it gives no interval and no set."""

    coverage: float = COVERAGE
    thresholds: Mapping[str, Mapping[Task, Threshold]] = field(default_factory=dict)  # by condition
    age_scale: AgeScale | None = None  # None: 1 everywhere

    def as_json(self) -> dict[str, object]:
        """Return it as it is written in head.json."""
        return asdict(self)

    def apply(self, clips: pd.DataFrame) -> pd.DataFrame:
        """Return the interval and the sets of clips.

        Args:
            clips: predictions, see `group_predictions`, with a column `modalities_used`; those
                without a prediction get nothing.

        Returns:
            a row for each clip: `age_conditional_half_width_years`; `age_condition`, and
            `age_condition_clips`, the number of dev clips that the interval comes from;
            `set_of_gender` and `set_of_mask_type`, labels joined by ", ". NaN or None where there
            is none.
        """
        usable = clips["predicted_age_years"].notna() & clips["modalities_used"].notna()
        predicted = clips[usable]
        scales = pd.Series(self._predict_scales(predicted), predicted.index)
        parts = [
            self._apply_to_group(rows, scales[rows.index], *condition)
            for condition, rows in _group_by_condition(predicted)
        ]
        nothing = pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
        return pd.concat([nothing, *parts]).reindex(clips.index)

    def _apply_to_group(
        self, rows: pd.DataFrame, scales: "pd.Series[float]", modalities: str, mask_type: str | None
    ) -> pd.DataFrame:
        """Return what `apply` does for clips of one condition."""
        applied = pd.DataFrame(index=rows.index)
        if found := self.find("age", modalities, mask_type):
            applied["age_conditional_half_width_years"] = found.threshold.score * scales
            applied["age_condition"] = found.condition
            applied["age_condition_clips"] = float(found.threshold.clips)
        for task in CLASS_TASKS:
            found = self.find(task, modalities, mask_type)
            if found and f"predicted_{task}" in rows:
                applied[f"set_of_{task}"] = _collect_labels(rows, task, found.threshold.score)
        return applied.reindex(columns=list(COLUMNS)).astype(COLUMNS)

    def _predict_scales(self, clips: pd.DataFrame) -> Float64[np.ndarray, " clips"]:
        if self.age_scale is None or clips.empty:
            return np.ones(len(clips))
        return self.age_scale.predict(clips)

    def find(self, task: Task, modalities: str, mask_type: str | None) -> "Found | None":
        """Return the narrowest condition of a clip that has a threshold; None if none has."""
        for condition in name_conditions(modalities, mask_type):
            if threshold := self.thresholds.get(condition, {}).get(task):
                return Found(condition, threshold)
        return None


class Found(NamedTuple):
    """A condition, and its threshold."""

    condition: str
    threshold: Threshold


NO_CONFORMAL: Final = Conformal()


class ThresholdForm(Form):
    """As `Threshold`."""

    score: Annotated[float, Field(ge=0, le=1000)]
    clips: Annotated[int, Field(ge=1)]


class AgeScaleForm(Form):
    """As `AgeScale`."""

    weights: Annotated[list[float], Field(min_length=4, max_length=4)]
    mean_years: Annotated[float, Field(gt=0, le=1000)]


Thresholds = dict[Literal["age", "gender", "mask_type"], ThresholdForm]


class ConformalForm(Form):
    """A `Conformal`, as it is written in head.json."""

    coverage: Annotated[float, Field(gt=0, lt=1)]
    thresholds: Annotated[dict[Text, Thresholds], Field(max_length=1000)]
    age_scale: AgeScaleForm | None = None


def read_conformal(saved: object, folder: Path = Path()) -> Conformal:
    """Return the thresholds of `as_json`.

    Args:
        saved: what a head.json holds; None: an earlier version trained the head.
        folder: of the head, for the message.

    Raises:
        UserError: names the first field that does not fit.
    """
    if saved is None:
        return NO_CONFORMAL
    form = check_form(folder, "has a wrong metadata.conformal", ConformalForm, saved)
    return Conformal(
        form.coverage,
        {
            condition: {task: Threshold(one.score, one.clips) for task, one in of_tasks.items()}
            for condition, of_tasks in form.thresholds.items()
        },
        None
        if form.age_scale is None
        else AgeScale(tuple(form.age_scale.weights), form.age_scale.mean_years),
    )


def name_conditions(modalities: str, mask_type: str | None) -> list[str]:
    """Return the conditions that a clip meets, the narrowest first."""
    narrow = [f"{modalities}{SEPARATOR}{mask_type}"] if mask_type else []
    return [*narrow, modalities, ALL]


def _group_by_condition(
    clips: pd.DataFrame,
) -> Iterator[tuple[tuple[str, str | None], pd.DataFrame]]:
    """Yield what clips are predicted from, their predicted mask type, and these clips.

    The mask type is None where it is not predicted.
    """
    mask_types = clips.get("predicted_mask_type", pd.Series("", clips.index, "str")).fillna("")
    for (modalities, mask_type), rows in clips.groupby(
        [clips["modalities_used"], mask_types], sort=False
    ):
        yield (modalities, mask_type or None), rows


def describe_doubt(clips: pd.DataFrame) -> Float64[np.ndarray, "clips 4"]:
    """Return what the scale of an error is predicted from.

    These are 1, the predicted age and its square in centuries, and how unsure the gender is. All
    of it is known of any clip.
    """
    century = clips["predicted_age_years"].to_numpy(float) / 100
    unsure = 1 - _take_shares(clips, "gender").max(axis=1)
    return np.stack([np.ones_like(century), century, century**2, unsure], axis=1)


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


def _take_shares(clips: pd.DataFrame, task: ClassTask) -> Float64[np.ndarray, "clips labels"]:
    names = [f"{task}_{label}" for label in list_predicted_labels(clips, task)]
    return np.asarray(clips[names], float)


def _take_true_share(clips: pd.DataFrame, task: ClassTask) -> "pd.Series[float]":
    """Return the probability of each true label; NaN where the label is not known."""
    shares = pd.Series(np.nan, clips.index)
    for label in list_predicted_labels(clips, task):
        of_label = clips[task] == label
        shares[of_label] = clips.loc[of_label, f"{task}_{label}"]
    return shares


def _collect_labels(clips: pd.DataFrame, task: ClassTask, score: float) -> list[str]:
    """Return the set of each clip: labels whose score is within the threshold, and the likeliest.

    They are in the order of the model's labels.
    """
    labels = list_predicted_labels(clips, task)
    shares = _take_shares(clips, task)
    within = 1 - shares <= score
    within[np.arange(len(clips)), shares.argmax(axis=1)] = True
    kinds, of_clip = np.unique(within, axis=0, return_inverse=True)
    names = [
        SEPARATOR.join(label for label, is_in in zip(labels, kind, strict=True) if is_in)
        for kind in kinds
    ]
    return [names[number] for number in of_clip.ravel()]
