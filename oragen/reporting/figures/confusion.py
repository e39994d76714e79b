"""True and predicted classes -> a confusion matrix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from jaxtyping import Int
from matplotlib.axes import Axes

from oragen.reporting.figures.canvas import GREY, INK, count, drawing, say, write_title
from oragen.schema.vocabulary import ClassTask

LIGHT_UNTIL: Final = 0.55  # share from which white is easier to read on blue than black


def confusion_rows(predictions: pd.DataFrame, task: ClassTask) -> pd.DataFrame:
    """Predictions -> columns `actual` and `predicted`, as the `confusion` template of DVC reads."""
    names = {task: "actual", f"predicted_{task}": "predicted"}
    return predictions.reindex(columns=[*names]).dropna().rename(columns=names)


def draw_confusion(
    path: Path, true: pd.Series, predicted: pd.Series, labels: Sequence[str], title: str
) -> None:
    """Draw the share of each true class that got each predicted class, and their numbers.

    Args:
        path: of the PNG.
        true: the true labels; one that is not among `labels` is skipped.
        predicted: a label for each true one.
        labels: in the order of the rows and of the columns.
        title: of the figure.
    """
    known = true.isin(labels).to_numpy()
    side_in = 3.0 + 0.8 * len(labels)
    with drawing(path, side_in, side_in) as figure:
        axes = figure.subplots()
        if known.any():
            counts = pd.crosstab(true[known], predicted[known])
            counts = counts.reindex(index=labels, columns=labels, fill_value=0)
            _draw_matrix(axes, counts.to_numpy(), labels)
        else:
            say(axes, "no labelled clip")
        write_title(figure, title)
        axes.set(xlabel="predicted", ylabel="true")


def _draw_matrix(
    axes: Axes, counts: Int[np.ndarray, "true predicted"], labels: Sequence[str]
) -> None:
    of_class = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(of_class, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), number in np.ndenumerate(counts):
        if not number:
            axes.text(column, row, "0", ha="center", va="center", color=GREY, fontsize=8)
            continue
        ink = "white" if shares[row, column] > LIGHT_UNTIL else INK
        middle: dict[str, Any] = {"ha": "center", "color": ink}
        axes.text(column, row, f"{shares[row, column]:.0%}", va="bottom", fontsize=12, **middle)
        axes.text(column, row + 0.08, f"{number:,}", va="top", fontsize=8, **middle)
    names = [
        f"{label}\n{count(int(total), 'prediction')}"
        for label, total in zip(labels, of_class[:, 0], strict=True)
    ]
    places = range(len(labels))
    slanted: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(places, labels, **(slanted if len(labels) > 3 else {}))
    axes.set_yticks(places, names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
