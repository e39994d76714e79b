"""True and predicted ages -> a scatter plot, and the error by age."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from oragen.reporting.figures.canvas import (
    BLUE,
    COLOUR_OF,
    GREY,
    INK,
    VERMILION,
    count,
    drawing,
    say,
    write_title,
)

MARKERS: Final = {"female": "o", "male": "s", "child": "^", "unknown": "x"}
MIN_BIN_COUNT: Final = 5  # fewer predictions are drawn pale: their quartiles mean little


def age_rows(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions -> `true_age_years`, `predicted_age_years`, `gender`, where the ages are known.

    A gender that is not known is `unknown`.
    """
    names = {
        "age_years": "true_age_years",
        "predicted_age_years": "predicted_age_years",
        "gender": "gender",
    }
    rows = predictions.reindex(columns=[*names]).rename(columns=names)
    rows["gender"] = rows["gender"].astype(object).where(rows["gender"].notna(), "unknown")
    return rows.dropna().astype({"true_age_years": float, "predicted_age_years": float})


def age_error_rows(predictions: pd.DataFrame, *, bin_years: int = 10) -> pd.DataFrame:
    """Predictions -> the error of the age by the true age, a row for each bin with a prediction.

    Columns: `age_from` and `age_to` (of the bin, without `age_to`), `count`; of the absolute error
    in years `median`, `lower_quartile`, `upper_quartile`; and `bias`, the mean of predicted minus
    true.
    """
    rows = age_rows(predictions)
    starts = (rows["true_age_years"] // bin_years * bin_years).astype(int).rename("age_from")
    error = rows["predicted_age_years"] - rows["true_age_years"]
    absolute = error.abs().groupby(starts)
    return pd.DataFrame(
        {
            "age_to": absolute.size().index + bin_years,
            "count": absolute.size(),
            "median": absolute.median(),
            "lower_quartile": absolute.quantile(0.25),
            "upper_quartile": absolute.quantile(0.75),
            "bias": error.groupby(starts).mean(),
        }
    ).reset_index()


def draw_ages(path: Path, predictions: pd.DataFrame, title: str) -> None:
    """Draw the predicted age against the true one, by gender; the diagonal is an error of 0."""
    rows = age_rows(predictions)
    with drawing(path, 6.4, 6.8) as figure:
        axes = figure.subplots()
        write_title(figure, title)
        axes.set(xlabel="true age, years", ylabel="predicted age, years")
        if rows.empty:
            say(axes, "no clip of known age")
            return
        axes.grid(True)
        _draw_points(axes, rows)
        highest = 10 * np.ceil((rows.select_dtypes("number").max().max() + 2) / 10)
        lowest = 10 * np.floor((rows.select_dtypes("number").min().min() - 2) / 10)
        limits = (max(0.0, float(lowest)), float(highest))
        axes.plot(limits, limits, color=INK, linewidth=1.2, label="no error", zorder=1)
        mean_error = (rows["predicted_age_years"] - rows["true_age_years"]).abs().mean()
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set_title(
            f"{count(len(rows), 'prediction')}, mean absolute error {mean_error:.1f} years",
            fontweight="normal",
        )
        axes.legend(loc="upper left")


def draw_age_errors(
    path: Path, predictions: pd.DataFrame, title: str, *, bin_years: int = 10
) -> None:
    """Draw how far the age is off, and in which direction, by the true age."""
    rows = age_error_rows(predictions, bin_years=bin_years)
    with drawing(path, 7.0, 6.8) as figure:
        write_title(figure, title)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        above.set(title="How far off: median and quartiles", ylabel="absolute error,\nyears")
        below.set(
            title="In which direction: mean of predicted − true", xlabel="true age, years",
            ylabel="bias, years",
        )  # fmt: skip
        if rows.empty:
            for axes in (above, below):
                say(axes, "no clip of known age")
            return
        for axes in (above, below):
            axes.grid(True, axis="y")
        _draw_quartiles(above, rows)
        _draw_bias(below, rows, bin_years)


def _draw_points(axes: Axes, rows: pd.DataFrame) -> None:
    opacity = float(np.clip(12 / np.sqrt(len(rows)), 0.08, 0.7))
    for gender, members in rows.groupby("gender", sort=True):
        axes.scatter(
            members["true_age_years"], members["predicted_age_years"],
            s=34 if len(rows) < 2_000 else 10, marker=MARKERS.get(str(gender), "D"),
            color=COLOUR_OF.get(str(gender), GREY), alpha=opacity, linewidth=0.8, zorder=2,
            label=f"{gender}: {count(len(members), 'prediction')}",
        )  # fmt: skip


def _draw_quartiles(axes: Axes, rows: pd.DataFrame) -> None:
    middles = (rows["age_from"] + rows["age_to"]) / 2
    for middle, row in zip(middles, rows.itertuples(), strict=True):
        opacity = 1.0 if row.count >= MIN_BIN_COUNT else 0.4
        axes.plot(
            [middle, middle], [row.lower_quartile, row.upper_quartile],
            color=BLUE, linewidth=9, alpha=0.35 * opacity, solid_capstyle="butt",
        )  # fmt: skip
        axes.plot([middle], [row.median], "o", color=BLUE, markersize=8, alpha=opacity)
        axes.annotate(
            f"n = {row.count:,}", (middle, row.upper_quartile), xytext=(0, 6),
            textcoords="offset points", ha="center", fontsize=9, color=GREY,
        )  # fmt: skip
    axes.set_ylim(0, 1.2 * float(rows["upper_quartile"].max()) + 0.5)


def _draw_bias(axes: Axes, rows: pd.DataFrame, bin_years: int) -> None:
    edges = sorted({*rows["age_from"], *rows["age_to"]})
    axes.bar(
        (rows["age_from"] + rows["age_to"]) / 2, rows["bias"], width=0.8 * bin_years,
        color=np.where(rows["bias"] >= 0, VERMILION, BLUE),
        edgecolor="white",
    )  # fmt: skip
    axes.axhline(0, color=INK, linewidth=1.2)
    axes.margins(y=0.25)
    axes.set_xticks(edges)
    axes.annotate("taken for older", (1, 1), xycoords="axes fraction", ha="right", va="top",
                  fontsize=9, color=VERMILION)  # fmt: skip
    axes.annotate("taken for younger", (1, 0), xycoords="axes fraction", ha="right", va="bottom",
                  fontsize=9, color=BLUE)  # fmt: skip
