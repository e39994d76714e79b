"""Predictions of clips -> age intervals and sets of labels that hold for each condition.

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
from oragen.schema.label_sets import join_label_set
from oragen.schema.vocabulary import CLASS_TASKS, ClassTask, Task
from oragen.training.calibration import COVERAGE
from oragen.training.metrics import list_predicted_labels

SCALE_LIMITS: Final = (0.5, 2.0)  # of a predicted scale, as shares of the mean error
ALL: Final = "all"
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
    narrow = [f"{modalities}, {mask_type}"] if mask_type else []
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
    unsure = 1 - take_shares(clips, "gender").max(axis=1)
    return np.stack([np.ones_like(century), century, century**2, unsure], axis=1)


def take_shares(clips: pd.DataFrame, task: ClassTask) -> Float64[np.ndarray, "clips labels"]:
    """Return the probability of each label of a task, in the order of the model's labels."""
    names = [f"{task}_{label}" for label in list_predicted_labels(clips, task)]
    return np.asarray(clips[names], float)


def _collect_labels(clips: pd.DataFrame, task: ClassTask, score: float) -> list[str]:
    """Return the set of each clip: labels whose score is within the threshold, and the likeliest.

    They are in the order of the model's labels.
    """
    labels = list_predicted_labels(clips, task)
    shares = take_shares(clips, task)
    within = 1 - shares <= score
    within[np.arange(len(clips)), shares.argmax(axis=1)] = True
    kinds, of_clip = np.unique(within, axis=0, return_inverse=True)
    names = [
        join_label_set(label for label, is_in in zip(labels, kind, strict=True) if is_in)
        for kind in kinds
    ]
    return [names[number] for number in of_clip.ravel()]
