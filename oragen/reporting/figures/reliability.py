"""Probabilities of classes and true labels -> accuracy by confidence."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from oragen.reporting.certainty import NUM_BINS, bin_confidence, judge_probabilities
from oragen.reporting.figures.canvas import (
    BLUE,
    GREY,
    INK,
    VERMILION,
    count,
    drawing,
    say,
    write_title,
)
from oragen.schema.vocabulary import ClassTask


def reliability_rows(predictions: pd.DataFrame, task: ClassTask) -> pd.DataFrame:
    """Predictions -> mean confidence and accuracy in bins of the confidence.

    The confidence of a prediction is the probability of its class. There are ten bins from 0 to 1,
    each with its upper edge, and one row for each that has a prediction: `confidence` (mean),
    `accuracy` (share of correct predictions), `count`, and the edges `from` and `to`. A prediction
    is skipped where the true label is unknown, or is none that the head knows.
    """
    judged = judge_probabilities(predictions, task)
    confidences = judged[["confidence"]].assign(is_right=1 - judged["is_wrong"])
    groups = confidences.groupby(bin_confidence(confidences["confidence"].to_numpy()))
    rows = groups.mean().assign(count=groups.size()).rename(columns={"is_right": "accuracy"})
    rows["from"], rows["to"] = rows.index / NUM_BINS, (rows.index + 1) / NUM_BINS
    return rows.reset_index(drop=True)


def calibration_error(rows: pd.DataFrame) -> float:
    """Expected calibration error: mean gap of confidence and accuracy, 0 to 1.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.

    Args:
        rows: from `reliability_rows`, at least one.
    """
    gaps = (rows["accuracy"] - rows["confidence"]).abs()
    return float(np.average(gaps, weights=rows["count"]))


def draw_reliability(path: Path, predictions: pd.DataFrame, task: ClassTask, title: str) -> None:
    """Draw the accuracy by the confidence, and the number of predictions of each confidence."""
    rows = reliability_rows(predictions, task)
    with drawing(path, 6.4, 7.4) as figure:
        write_title(figure, title)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        above.set(ylabel="accuracy", ylim=(0, 1))
        below.set(
            xlabel="confidence: probability of the predicted class",
            ylabel="predictions",
            xlim=(0, 1),
        )
        if rows.empty:
            for axes in (above, below):
                say(axes, "no labelled clip")
            return
        above.set_title(
            f"{count(int(rows['count'].sum()), 'prediction')}, expected calibration error "
            f"{calibration_error(rows):.1%}", fontweight="normal",
        )  # fmt: skip
        _draw_accuracy(above, rows)
        middles = (rows["from"] + rows["to"]) / 2
        below.bar(middles, rows["count"], width=0.9 / NUM_BINS, color=GREY)
        below.grid(True, axis="y")
        below.set_xticks(np.linspace(0, 1, 6), [f"{share:.0%}" for share in np.linspace(0, 1, 6)])


def _draw_accuracy(axes: Axes, rows: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], "--", color=INK, linewidth=1.2, label="calibrated")
    axes.vlines(
        rows["confidence"], rows["accuracy"], rows["confidence"],
        color=VERMILION, linewidth=6, alpha=0.4, label="gap",
    )  # fmt: skip
    axes.plot(rows["confidence"], rows["accuracy"], color=BLUE, linewidth=1.2)
    sizes = 25 + 175 * rows["count"] / rows["count"].max()
    axes.scatter(rows["confidence"], rows["accuracy"], s=sizes, color=BLUE, zorder=3, clip_on=False)
    for words, place, side in (("underconfident", 0.03, "left"), ("overconfident", 0.97, "right")):
        axes.text(
            place, 0.5, words, color=GREY, ha=side, va="center", fontstyle="italic",
            transform=axes.transAxes,
        )  # fmt: skip
    axes.set_yticks(np.linspace(0, 1, 6), [f"{share:.0%}" for share in np.linspace(0, 1, 6)])
    axes.grid(True)
    axes.legend(loc="upper left")
