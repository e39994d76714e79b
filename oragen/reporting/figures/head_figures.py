"""Predictions of one head, and histories of all -> the figures of a report, and their numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from oragen.reporting.figures.ages import age_rows, draw_age_errors, draw_ages
from oragen.reporting.figures.confusion import confusion_rows, draw_confusion
from oragen.reporting.figures.curves import curve_rows, draw_curves
from oragen.reporting.figures.figure import Figure
from oragen.reporting.figures.quality import draw_quality
from oragen.reporting.figures.reliability import draw_reliability, reliability_rows
from oragen.reporting.figures.risk_coverage import draw_risk_coverage, risk_rows
from oragen.reporting.table_formats import ReportTable
from oragen.reporting.tables.age_errors import SECTION as AGES
from oragen.reporting.tables.calibration import SECTION as CLASSES
from oragen.reporting.tables.quality import SECTION as QUALITY
from oragen.schema.files import write_text
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, ClassTask

LABELS_OF: Final[dict[ClassTask, Sequence[str]]] = {"gender": GENDERS, "mask_type": MASK_TYPES}


def draw_figures(
    folder: Path,
    predictions: pd.DataFrame,
    histories: Mapping[str, pd.DataFrame],
    head: str,
    quality: ReportTable | None = None,
) -> list[Figure]:
    """Draw the confusions, ages and confidence of one head, and all trainings.

    A task whose clips are all of one class has no confusion: nothing could be taken for it.

    Args:
        folder: for the PNGs.
        predictions: of the head, from one set of modalities.
        histories: of the training of each head.
        head: its name.
        quality: from `compare_quality`; None: it is not drawn.
    """
    return [
        *(
            _draw_confusion(folder, predictions, task, head)
            for task in LABELS_OF
            if has_classes(predictions, task)
        ),
        *_draw_ages(folder, predictions, head),
        *(_draw_reliability(folder, predictions, task, head) for task in LABELS_OF),
        _draw_risk(folder, predictions, head),
        *([] if quality is None else [_draw_quality(folder, quality, head)]),
        _draw_training(folder, histories),
    ]


def has_classes(predictions: pd.DataFrame, task: ClassTask) -> bool:
    """Return whether the labelled and predicted clips of a task are of two classes or more."""
    labels = predictions.reindex(columns=[task, f"predicted_{task}"]).dropna()
    return bool(labels[task].nunique() > 1)


def write_plot_data(
    folder: Path, predictions: pd.DataFrame, histories: Mapping[str, pd.DataFrame]
) -> None:
    """Write what `dvc plots` draws, as CSV."""
    frames = {
        "confusion_gender": confusion_rows(predictions, "gender"),
        "confusion_mask_type": confusion_rows(predictions, "mask_type"),
        "ages": age_rows(predictions),
        "reliability_gender": reliability_rows(predictions, "gender"),
        "reliability_mask_type": reliability_rows(predictions, "mask_type"),
        "risk_coverage": risk_rows(predictions),
        "training": curve_rows(histories),
    }
    for name, frame in frames.items():
        write_text(folder / f"{name}.csv", frame.to_csv(index=False))


def _draw_confusion(folder: Path, predictions: pd.DataFrame, task: ClassTask, head: str) -> Figure:
    path, words = folder / f"confusion_{task}.png", task.replace("_", " ")
    labels = predictions.reindex(columns=[task, f"predicted_{task}"]).dropna()
    draw_confusion(
        path, labels[task], labels[f"predicted_{task}"], LABELS_OF[task], f"{words}, {head}"
    )
    caption = f"Which classes {head} confuses."
    return Figure(path, f"Confusion matrix of {words}", caption, CLASSES)


def _draw_ages(folder: Path, predictions: pd.DataFrame, head: str) -> list[Figure]:
    ages, errors = folder / "ages.png", folder / "age_errors.png"
    draw_ages(ages, predictions, f"Age, {head}")
    draw_age_errors(errors, predictions, f"Error of the age, {head}")
    return [
        Figure(ages, "Predicted over true ages", "Each dot is a clip and a seed.", AGES),
        Figure(errors, "Error of the age by true age", "Median, quartiles and bias.", AGES),
    ]


def _draw_reliability(
    folder: Path, predictions: pd.DataFrame, task: ClassTask, head: str
) -> Figure:
    path, words = folder / f"reliability_{task}.png", task.replace("_", " ")
    draw_reliability(path, predictions, task, f"Reliability of {words}, {head}")
    return Figure(path, f"Reliability diagram of {words}", "Accuracy by confidence.", CLASSES)


def _draw_risk(folder: Path, predictions: pd.DataFrame, head: str) -> Figure:
    path = folder / "risk_coverage.png"
    draw_risk_coverage(path, predictions, f"Errors if unsure clips are left out, {head}")
    return Figure(path, "Risk against coverage", "The surest are answered first.", CLASSES)


def _draw_quality(folder: Path, table: ReportTable, head: str) -> Figure:
    path = folder / "quality.png"
    draw_quality(path, table, f"Errors by what {head} had to work with")
    caption = "Quarters of the clips; 95 % intervals."
    return Figure(path, "Errors by speech, noise, face and crops", caption, QUALITY)


def _draw_training(folder: Path, histories: Mapping[str, pd.DataFrame]) -> Figure:
    path = folder / "training.png"
    draw_curves(path, histories, "Training of all heads")
    return Figure(path, "Training curves", "Every seed; the dot is the epoch that is kept.")
