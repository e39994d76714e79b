"""Histories of trained heads -> loss and dev score by epoch, head by head."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oragen.reporting.figures.canvas import BLUE, VERMILION, count, drawing, say, write_title

COLUMNS: Final = 3
KEPT: Final = (
    "seed", "phase", "epoch", "train_loss", "dev_score", "gender_uar", "age_mae_years",
    "mask_type_uar",
)  # fmt: skip


def curve_rows(histories: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Histories by head -> one table, with the columns `head` and `step` in front.

    A step is an epoch, counted through all phases of a seed from 1.
    """
    tables = []
    for head, history in histories.items():
        ordered = history.sort_values(["seed", "phase", "epoch"], ignore_index=True)
        ordered = ordered.reindex(columns=[*KEPT])
        ordered.insert(0, "step", ordered.groupby("seed").cumcount() + 1)
        ordered.insert(0, "head", head)
        tables.append(ordered)
    if not tables:
        return pd.DataFrame(columns=["head", "step", *KEPT])
    return pd.concat(tables, ignore_index=True)


def draw_curves(path: Path, histories: Mapping[str, pd.DataFrame], title: str) -> None:
    """Draw the dev score and the training loss of all heads, a line for each seed.

    A dot marks the best dev score of each phase, which is what was kept; phases after the first
    are dashed. All heads have the same scales.
    """
    rows = curve_rows(histories)
    num_lines = max(1, -(-len(histories) // COLUMNS))
    num_columns = min(COLUMNS, max(1, len(histories)))
    with drawing(path, 1.2 + 3.7 * num_columns, 1 + 4.0 * num_lines) as figure:
        write_title(figure, title)
        if rows.empty:
            say(figure.subplots(), "no history of a training")
            return
        _draw_heads(figure, rows, list(histories), num_lines, num_columns)


def _draw_heads(
    figure: Figure, rows: pd.DataFrame, heads: list[str], num_lines: int, num_columns: int
) -> None:
    grid = figure.subplots(
        2 * num_lines, num_columns, squeeze=False, sharex=True, height_ratios=[3, 2] * num_lines
    )
    for number in range(num_lines * num_columns):
        line, column = divmod(number, num_columns)
        score, loss = grid[2 * line, column], grid[2 * line + 1, column]
        if number >= len(heads):
            score.set_axis_off()
            loss.set_axis_off()
            continue
        members = rows[rows["head"] == heads[number]]
        title = f"{heads[number]} ({count(members['seed'].nunique(), 'seed')})"
        score.set_title(fill(title, 34, break_on_hyphens=False))
        for axes, name, colour in ((score, "dev_score", BLUE), (loss, "train_loss", VERMILION)):
            if rows[name].isna().all():  # the last epoch was kept, without a dev score
                say(axes, "no dev score")
                continue
            _draw_seeds(axes, members, name, colour)
            low, high = rows[name].min(), rows[name].max()
            margin = 0.08 * (high - low) or 0.05
            axes.set_ylim(low - margin, high + margin)
        _mark_best(score, members)
        loss.tick_params(labelbottom=True)
        if column == 0:
            score.set_ylabel("dev score")
            loss.set_ylabel("training loss")
        if number + num_columns >= len(heads):
            loss.set_xlabel("epoch")


def _draw_seeds(axes: Axes, members: pd.DataFrame, name: str, colour: str) -> None:
    axes.grid(True)
    for (_, phase), history in members.groupby(["seed", "phase"]):
        line = "-" if phase == members["phase"].min() else "--"
        axes.plot(history["step"], history[name], line, color=colour, alpha=0.65, linewidth=1.5)


def _mark_best(axes: Axes, members: pd.DataFrame) -> None:
    scored = members.dropna(subset="dev_score")
    best = scored.loc[scored.groupby(["seed", "phase"])["dev_score"].idxmax()]
    axes.plot(best["step"], best["dev_score"], "o", color=BLUE, markersize=6)
