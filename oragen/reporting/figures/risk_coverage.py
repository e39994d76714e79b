"""Probabilities of classes and true labels -> the share of errors by the share that is answered."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from oragen.reporting.certainty import judge_probabilities
from oragen.reporting.figures.canvas import SERIES, count, drawing, say, write_title
from oragen.schema.vocabulary import CLASS_TASKS, ClassTask


def risk_rows(predictions: pd.DataFrame, tasks: Sequence[ClassTask] = CLASS_TASKS) -> pd.DataFrame:
    """Predictions -> the `risk` at each `coverage`, where clips are answered the surest first.

    A row has the `task`, and how many predictions are `answered`.

    The seeds are pooled. Clips of equal confidence are answered together.
    """
    tables = [_follow(predictions, task) for task in tasks]
    return pd.concat(tables, ignore_index=True)


def draw_risk_coverage(path: Path, predictions: pd.DataFrame, title: str) -> None:
    """Draw the share of wrong predictions among those that are as sure as to be answered."""
    rows = risk_rows(predictions)
    with drawing(path, 6.4, 5.6) as figure:
        write_title(figure, title)
        axes = figure.subplots()
        if rows.empty:
            say(axes, "no labelled clip")
            return
        for (task, of_task), colour in zip(rows.groupby("task", sort=False), SERIES, strict=False):
            name = str(task).replace("_", " ")
            label = f"{name}, {count(int(of_task['answered'].max()), 'prediction')}"
            axes.step(of_task["coverage"], of_task["risk"], where="pre", color=colour, label=label)
        axes.set(
            xlabel="coverage: share of the clips that are answered, the surest first",
            ylabel="risk: share of wrong predictions among them",
            xlim=(0, 1), ylim=(0, max(0.05, 1.1 * float(rows["risk"].max()))),
        )  # fmt: skip
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.grid(True)
        axes.legend(loc="upper left")


def _follow(predictions: pd.DataFrame, task: ClassTask) -> pd.DataFrame:
    judged = judge_probabilities(predictions, task)
    by_confidence = judged.groupby("confidence", sort=True)["is_wrong"].agg(["sum", "size"])[::-1]
    answered = by_confidence["size"].cumsum().to_numpy(float)
    return pd.DataFrame(
        {
            "task": task,
            "answered": answered,
            "coverage": answered / max(1, len(judged)),
            "risk": by_confidence["sum"].cumsum().to_numpy(float) / answered,
        },
        index=np.arange(len(answered)),
    )
