"""Probabilities of classes and true labels -> Brier score, NLL, ECE, and risk against coverage.

The confidence of a prediction is the probability of its class.
"""

from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from oragen.reporting.bootstrap import is_scored
from oragen.reporting.estimates import Estimate
from oragen.reporting.resampled_rows import ResampledRows, divide
from oragen.reporting.table_formats import TableMeasure
from oragen.schema.vocabulary import ClassTask
from oragen.training.metrics import list_predicted_labels

NUM_BINS: Final = 10  # of the confidence, for the calibration error
MAX_LEVELS: Final = 50  # of the confidence, for the interval of the area under risk and coverage
SMALLEST: Final = 1e-12  # of a probability, before its logarithm


def judge_probabilities(predictions: pd.DataFrame, task: ClassTask) -> pd.DataFrame:
    """Return the `brier`, `nll`, `confidence` and `is_wrong` of each row that `is_scored`.

    `brier` is the sum over the classes of the squared distance of the probability from 1 for the
    true label and 0 for the others, so 0 to 2: Brier 1950, doi
    10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2. `nll` is the negative logarithm of the
    probability of the true label, in nats.
    """
    scored = predictions[is_scored(predictions, task)]
    labels = list_predicted_labels(scored, task)
    probabilities = scored[[f"{task}_{label}" for label in labels]].to_numpy(float)
    is_label = np.stack([(scored[task] == label).to_numpy(float) for label in labels] or [[]], 1)
    of_label = (probabilities * is_label).sum(axis=1)
    predicted = scored.get(f"predicted_{task}", pd.Series(dtype=object))
    return pd.DataFrame(
        {
            "brier": ((probabilities - is_label) ** 2).sum(axis=1),
            "nll": -np.log(of_label.clip(SMALLEST, 1.0)),
            "confidence": probabilities.max(axis=1, initial=0.0),
            "is_wrong": (predicted.to_numpy() != scored[task].to_numpy()).astype(float),
        },
        index=scored.index,
    )


def estimate_certainty(rows: ResampledRows, task: ClassTask) -> dict[TableMeasure, Estimate]:
    """Score the probabilities of one head from one set of modalities; empty without any label."""
    scored = is_scored(rows.table, task).to_numpy(bool)
    if not scored.any():
        return {}
    judged = np.full((4, len(scored)), np.nan)
    judged[:, scored] = judge_probabilities(rows.table, task).to_numpy().T
    brier, nll, confidence, wrong = judged
    means: dict[TableMeasure, Float[np.ndarray, " rows"]] = {"brier": brier, "nll": nll}
    return {
        **rows.average(means),
        "ece": rows.aggregate(1 - wrong - confidence, bin_confidence(confidence), average_gaps),
        "aurc": _estimate_area(rows, wrong, confidence),
    }


def _estimate_area(
    rows: ResampledRows, wrong: Float[np.ndarray, " rows"], confidence: Float[np.ndarray, " rows"]
) -> Estimate:
    """Estimate the area under risk and coverage.

    The score itself knows all confidences. Resamples have `MAX_LEVELS` of them, and are shifted by
    as much as the levels change the score.
    """
    seeds = rows.table["seed"].to_numpy()
    levels = rank_confidence(confidence, seeds, MAX_LEVELS)
    found = rows.aggregate(wrong, levels, area_under_risk)
    exact = np.array(
        [_find_area(wrong[seeds == seed], confidence[seeds == seed]) for seed in np.unique(seeds)]
    )
    shifted = found.resampled + (exact - found.of_seeds)
    return found._replace(of_seeds=exact, resampled=shifted.clip(0.0, 1.0))


def _find_area(wrong: Float[np.ndarray, " rows"], confidence: Float[np.ndarray, " rows"]) -> float:
    """Return the area of one seed, each confidence a level of its own."""
    known = ~np.isnan(confidence)
    if not known.any():
        return float("nan")
    levels = np.unique(-confidence[known], return_inverse=True)[1]
    sums, counts = np.bincount(levels, weights=wrong[known]), np.bincount(levels).astype(float)
    return float(area_under_risk(sums[None], counts[None])[0])


def bin_confidence(confidence: Float[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
    """Return the bin of each confidence: `NUM_BINS` from 0 to 1, each with its upper edge.

    That of NaN is the last.
    """
    upper_edges = np.linspace(0, 1, NUM_BINS + 1)[1:]
    return np.searchsorted(upper_edges[:-1], confidence)


def rank_confidence(
    confidence: Float[np.ndarray, " rows"], seeds: Int[np.ndarray, " rows"], max_levels: int
) -> Int[np.ndarray, " rows"]:
    """Return the level of each row among those of its seed, 0 the most confident; 0 for NaN, too.

    Rows of equal confidence have one level. Of more than `max_levels` confidences, neighbours share
    levels of about as many rows each.
    """
    levels = np.zeros(len(confidence), dtype=int)
    for seed in np.unique(seeds):
        of_seed = (seeds == seed) & ~np.isnan(confidence)
        distinct, places, counts = np.unique(
            -confidence[of_seed], return_inverse=True, return_counts=True
        )
        before = np.cumsum(counts) - counts  # rows that are more confident
        shared = before * max_levels // len(places)
        own = np.arange(len(distinct))
        levels[of_seed] = (shared if len(distinct) > max_levels else own)[places]
    return levels


def average_gaps(
    sums: Float[np.ndarray, "*axes bins"], counts: Float[np.ndarray, "*axes bins"]
) -> Float[np.ndarray, "*axes"]:
    """Sums of correct minus confidence, and counts -> the expected calibration error.

    The mean gap of accuracy and confidence over bins of the confidence, weighted by their clips:
    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    return divide(np.abs(sums).sum(axis=-1), counts.sum(axis=-1))


def area_under_risk(
    sums: Float[np.ndarray, "*axes levels"], counts: Float[np.ndarray, "*axes levels"]
) -> Float[np.ndarray, "*axes"]:
    """Sums of wrong rows and counts, by level of confidence -> the area under risk and coverage.

    The mean over the clips of the risk at which each is still answered: Geifman, Uziel & El-Yaniv
    2019, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", equation 2.
    """
    # The share of wrong rows among those at least as confident as each level.
    risks = divide(sums.cumsum(axis=-1), counts.cumsum(axis=-1))
    return divide((np.nan_to_num(risks) * counts).sum(axis=-1), counts.sum(axis=-1))
