"""Predictions of windows -> predictions of clips, joined with labels -> scores.

Training and fine-tuning select by these scores. A report counts the same by resampling, with
intervals.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from oragen.schema.errors import UserError
from oragen.schema.vocabulary import CLASS_TASKS, MASK_TYPES, Task
from oragen.training.metrics import (
    GroupingRule,
    group_ages,
    group_probabilities,
    list_predicted_labels,
    score_ages,
    score_classes,
)

LABELS: Final = ("gender", "age_years", "mask_type")
AGE_BAND: Final = ("age_low", "age_high")
SELECTED_BY: Final[dict[Task, str]] = {
    "gender": "gender_uar", "mask_type": "mask_type_uar", "age": "age_ccc",
}  # fmt: skip
Scores = dict[str, float | int | None]


class WindowPredictions(NamedTuple):
    """Predictions of a model for each window, or in fine-tuning for each crop."""

    gender: Float[np.ndarray, "windows genders"]  # probabilities
    age_years: Float[np.ndarray, " windows"]
    mask_type: Float[np.ndarray, "windows mask_types"] | None  # probabilities; None: not a task


def group_predictions(
    clips: pd.Series,
    predictions: WindowPredictions,
    *,
    genders: Sequence[str],
    mask_types: Sequence[str] = MASK_TYPES,
    rule: GroupingRule = "mean",
    round_to_years: bool = False,
) -> pd.DataFrame:
    """Group the predictions of windows: one prediction for each clip.

    Args:
        clips: the `clip_id` of each window.
        predictions: of each window.
        genders: the model's labels in order.
        mask_types: likewise, if it predicts them.
        rule: mean of the probabilities, or the shares of the windows' votes.
        round_to_years: round the age of a clip.

    Returns:
        a row for each clip, indexed by `clip_id`: `num_windows`, `predicted_gender`,
        `predicted_age_years`, `predicted_mask_type` (if the model predicts it), and the
        probabilities `gender_<label>`, `mask_type_<label>`.
    """
    columns = _choose("gender", clips, predictions.gender, genders, rule)
    columns["predicted_age_years"] = group_ages(
        clips, predictions.age_years, round_to_years=round_to_years
    )
    if predictions.mask_type is not None:
        columns |= _choose("mask_type", clips, predictions.mask_type, mask_types, rule)
    num_windows = clips.value_counts(sort=False)
    return pd.DataFrame({"num_windows": num_windows, **columns}).rename_axis("clip_id")


def join_labels(
    predictions: pd.DataFrame, table: pd.DataFrame, further: Collection[str] = ()
) -> pd.DataFrame:
    """Join predictions with the labels of all clips; a clip without a prediction keeps its row.

    Args:
        predictions: from `group_predictions`.
        table: with the clips' labels, which are those of a clip's first row.
        further: columns to keep beside the labels.
    """
    clips = table.drop_duplicates("clip_id").set_index("clip_id")
    joined = clips[["corpus", "split", "speaker_id", *LABELS, *further]].join(predictions)
    if unknown := sorted(set(predictions.index) - set(joined.index)):
        raise ValueError(
            f"{len(unknown)} predicted clips are not in the dataset, e.g. {unknown[0]}"
        )
    joined["num_windows"] = joined["num_windows"].fillna(0).astype(int)
    return joined.sort_index()


def find_majority_baseline(clips: pd.DataFrame) -> dict[str, str | float | None]:
    """Return the most frequent gender and mask type, and the mean age, of labelled clips.

    Of two equally frequent labels it is the first in the alphabet. None: no label is known.
    """
    baseline: dict[str, str | float | None] = {}
    for task in CLASS_TASKS:
        known = clips[task].dropna()
        baseline[task] = str(known.mode().iloc[0]) if len(known) else None
    ages = clips["age_years"].dropna()
    baseline["age_years"] = float(ages.mean()) if len(ages) else None
    return baseline


def fill_with_baseline(
    predictions: pd.DataFrame, baseline: Mapping[str, str | float | None]
) -> pd.DataFrame:
    """Predict clips without a usable window by the majority baseline, as published.

    Args:
        predictions: from `join_labels`.
        baseline: from `find_majority_baseline`, of the clips that the head was trained on.
    """
    filled = predictions.copy()
    empty = filled["num_windows"] == 0
    for task in CLASS_TASKS:
        if f"predicted_{task}" in filled and baseline[task] is not None:
            filled.loc[empty, f"predicted_{task}"] = baseline[task]
            for label in list_predicted_labels(filled, task):
                filled.loc[empty, f"{task}_{label}"] = float(label == baseline[task])
    if baseline["age_years"] is not None:
        filled.loc[empty, "predicted_age_years"] = round(float(baseline["age_years"]))
    return filled


def score_clips(clips: pd.DataFrame) -> Scores:
    """Score labelled predictions; None for a task that cannot be scored on these clips.

    UAR and F1 are fractions, the error of the age is in years. Clips without a prediction are
    counted, but not scored. A label that the head cannot predict is unknown, as in training.
    """
    predicted = clips[clips["predicted_age_years"].notna()]
    scores: Scores = {
        "clips": len(clips),
        "speakers": len(clips[["corpus", "speaker_id"]].drop_duplicates()),
        "without_window": int((clips["num_windows"] == 0).sum()),
    }
    for task in CLASS_TASKS:
        known = predicted[predicted[task].isin(list_predicted_labels(clips, task))]
        classes = score_classes(known[task].tolist(), known.get(f"predicted_{task}", []))
        scores[f"{task}_uar"] = classes.uar if classes else None
        scores[f"{task}_macro_f1"] = classes.macro_f1 if classes else None
    ages = score_ages(predicted["age_years"], predicted["predicted_age_years"])
    scores["age_mae_years"] = ages.mae_years if ages else None
    scores["age_ccc"] = ages.ccc if ages else None
    return scores


def selection_score(
    scores: Mapping[str, float | int | None], tasks: Collection[Task] = tuple(SELECTED_BY)
) -> float:
    """Return one number to select by, from 0 to 1: the mean of gender UAR, age CCC, mask UAR.

    Tasks that cannot be scored, or are not in `tasks`, are ignored.

    Raises:
        UserError: there is no task to select by.
    """
    of_tasks = [scores[name] for task, name in SELECTED_BY.items() if task in tasks]
    known = [score for score in of_tasks if score is not None]
    if not known:
        raise UserError(
            "No dev clip with a window has a label to select by. Label some clips of the split "
            "`dev`, with two classes or two ages at least."
        )
    return float(np.mean(known))


def _choose(
    task: str,
    clips: pd.Series,
    probabilities: np.ndarray,
    labels: Sequence[str],
    rule: GroupingRule,
) -> dict[str, pd.Series]:
    means = group_probabilities(clips, probabilities, rule=rule)
    chosen = means.to_numpy().argmax(axis=1)
    columns = {f"{task}_{label}": means[code] for code, label in enumerate(labels)}
    predicted = pd.Series([labels[code] for code in chosen], index=means.index, dtype="str")
    return {f"predicted_{task}": predicted, **columns}
