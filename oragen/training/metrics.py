"""Labels and predicted labels -> UAR, F1, error, correlation; numbers of windows -> of clips.

Scores are fractions, ages are in years. A label may be a number or a word. None, NaN and negative
numbers are unknown labels, which are ignored.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, assert_never

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import NDArray

from oragen.schema.vocabulary import ClassTask

Label = int | float | str | np.integer[Any] | np.floating[Any] | None
Labels: TypeAlias = Sequence[Label] | NDArray[Any] | pd.Series
ClassRule = Literal["seen_in_targets", "seen_in_either"]
GroupingRule = Literal["mean", "majority"]


class ClassScores(NamedTuple):
    """Unweighted averages over the classes."""

    uar: float  # unweighted average recall
    macro_f1: float
    macro_precision: float


class AgeScores(NamedTuple):
    """Error in years, and two correlations; None where a correlation is not defined."""

    mae_years: float
    pcc: float | None
    ccc: float | None


def score_classes(
    targets: Labels,
    predictions: Labels,
    *,
    classes: ClassRule | Sequence[Label] = "seen_in_targets",
) -> ClassScores | None:
    """Score one task.

    Args:
        targets: true labels.
        predictions: as many labels.
        classes: which ones to average over. `seen_in_targets`: the classes of the targets; with
            a single one the task has no score. The published versions differ: `seen_in_either`,
            as in scikit-learn (markitantov/ORAGEN, and chimera_ml by window), or a list of all
            classes (chimera_ml by file). Both have a score for a single class, too.

    Returns:
        None: nothing to score.

    Raises:
        ValueError: a known label has no prediction.
    """
    true, predicted = _split_known(targets, predictions)
    averaged = _class_set(true, predicted, classes)
    if not len(true) or (classes == "seen_in_targets" and len(averaged) < 2):
        return None
    hits, num_true, num_predicted = (
        np.array([int((chosen == label).sum()) for label in averaged])
        for chosen in (true[true == predicted], true, predicted)
    )
    return ClassScores(
        uar=_mean_share(hits, num_true),
        macro_f1=_mean_share(2 * hits, num_true + num_predicted),
        macro_precision=_mean_share(hits, num_predicted),
    )


def _mean_share(numbers: NDArray[np.int64], wholes: NDArray[np.int64]) -> float:
    """Return the mean of shares; 0 of 0 is 0, as scikit-learn is told to in the published code."""
    shares = np.zeros(len(wholes))
    np.divide(numbers, wholes, out=shares, where=wholes > 0)
    return float(shares.mean())


def score_ages(targets_years: Labels, predictions_years: Labels) -> AgeScores | None:
    """Score the ages; None: no age is known.

    Raises:
        ValueError: a known age has no prediction.
    """
    known = _split_known(targets_years, predictions_years)
    true, predicted = (ages.astype(np.float64) for ages in known)
    if not len(true):
        return None
    return AgeScores(
        mae_years=float(np.abs(true - predicted).mean()),
        pcc=_pearson(true, predicted),
        ccc=_concordance(true, predicted),
    )


def list_predicted_labels(predictions: pd.DataFrame, task: ClassTask) -> list[str]:
    """Return the classes that the predictions have probabilities of.

    In a table of several heads, the columns of classes that a head does not predict are empty.
    """
    columns = [name for name in predictions if name.startswith(f"{task}_")]
    return [name.removeprefix(f"{task}_") for name in columns if predictions[name].notna().any()]


def group_probabilities(
    clip_ids: Sequence[str] | pd.Series,
    probabilities: Float[np.ndarray, "windows classes"],
    *,
    rule: GroupingRule = "mean",
) -> pd.DataFrame:
    """Group the probabilities of windows: a row for each clip, in order of first appearance.

    The class of a clip is the `argmax` of its row; of two equal ones it is the first.

    Args:
        clip_ids: of each window.
        probabilities: of each window and class.
        rule: `mean` probability (chimera_ml), or the share of the windows that vote for the class
            (`majority`: markitantov/ORAGEN).
    """
    match rule:
        case "mean":
            shares = probabilities
        case "majority":
            # window, class -> window, class: 1 for the likeliest class, 0 for the others
            shares = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
        case _:
            assert_never(rule)
    return _mean_by_clip(clip_ids, pd.DataFrame(shares.astype(np.float64)))  # clip, class


def group_ages(
    clip_ids: Sequence[str] | pd.Series,
    age_years: Float[np.ndarray, " windows"],
    *,
    round_to_years: bool = False,
) -> "pd.Series[float]":
    """Group the ages of windows: the mean of each clip, in order of first appearance.

    Args:
        clip_ids: of each window.
        age_years: of each window.
        round_to_years: as in markitantov/ORAGEN before scoring.
    """
    ages = _mean_by_clip(clip_ids, pd.DataFrame({"age_years": age_years.astype(np.float64)}))
    return ages["age_years"].round() if round_to_years else ages["age_years"]


def _mean_by_clip(clip_ids: Sequence[str] | pd.Series, windows: pd.DataFrame) -> pd.DataFrame:
    clips = pd.Index(clip_ids, name="clip_id")
    return windows.set_axis(clips, axis=0).groupby("clip_id", sort=False).mean()


def _split_known(targets: Labels, predictions: Labels) -> tuple[NDArray[Any], NDArray[Any]]:
    """Keep the pairs whose target is known.

    Raises:
        ValueError: one of them has no prediction.
    """
    if len(targets) != len(predictions):
        raise ValueError(f"{len(targets)} targets, but {len(predictions)} predictions.")
    true, predicted = np.asarray(targets, dtype=object), np.asarray(predictions, dtype=object)
    known = np.array([_is_known(label) for label in true], dtype=bool)
    if missing := int(pd.isna(predicted[known]).sum()):
        raise ValueError(
            f"{missing} of {known.sum()} known labels have no prediction. Score every clip, or "
            f"skip the label, too."
        )
    return np.array(true[known].tolist()), np.array(predicted[known].tolist())


def _is_known(label: Label) -> bool:
    if isinstance(label, str):
        return True
    return label is not None and not pd.isna(label) and bool(label >= 0)


def _class_set(
    true: NDArray[Any], predicted: NDArray[Any], classes: ClassRule | Sequence[Label]
) -> list[Any]:
    if classes == "seen_in_targets":
        return sorted(set(true.tolist()))
    if classes == "seen_in_either":
        return sorted({*true.tolist(), *predicted.tolist()})
    return list(classes)


def _pearson(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> float | None:
    if np.ptp(true) == 0 or np.ptp(predicted) == 0:
        return None
    return float(np.corrcoef(true, predicted)[0, 1])


def _concordance(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> float | None:
    """Concordance correlation coefficient (Lin 1989), of the population."""
    gap = (true.mean() - predicted.mean()) ** 2
    if (spread := true.var() + predicted.var() + gap) == 0:
        return None
    covariance = ((true - true.mean()) * (predicted - predicted.mean())).mean()
    return float(2 * covariance / spread)
