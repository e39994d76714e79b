"""Predictions, histories and clips -> pictures that are readable at a glance, and their numbers.

A picture is a PNG; the same numbers give the same bytes. Where there is nothing to show, it says
so. The functions named `..._rows` give the numbers behind a picture, for `dvc plots`.

What is called predictions here has a row for each answer, with the columns `gender`, `age_years`
and `mask_type` (true labels, may be unknown), `predicted_gender`, `predicted_age_years`,
`predicted_mask_type`, and the probabilities `gender_<label>`, `mask_type_<label>`; a row without
an answer has empty ones. A head that does not tell the mask type may lack the columns of it.
"""

from oragen.reporting.figures.ages import age_error_rows, age_rows, draw_age_errors, draw_ages
from oragen.reporting.figures.attention import draw_attention
from oragen.reporting.figures.confusion import ClassTask, confusion_rows, draw_confusion
from oragen.reporting.figures.curves import curve_rows, draw_curves
from oragen.reporting.figures.example import (
    Attributes,
    ClipExample,
    ExampleCrop,
    ExampleWindow,
    draw_example,
)
from oragen.reporting.figures.prediction import ClipPredictions, draw_predictions
from oragen.reporting.figures.reliability import (
    calibration_error,
    draw_reliability,
    reliability_rows,
)

__all__ = [
    "Attributes",
    "ClassTask",
    "ClipExample",
    "ClipPredictions",
    "ExampleCrop",
    "ExampleWindow",
    "age_error_rows",
    "age_rows",
    "calibration_error",
    "confusion_rows",
    "curve_rows",
    "draw_age_errors",
    "draw_ages",
    "draw_attention",
    "draw_confusion",
    "draw_curves",
    "draw_example",
    "draw_predictions",
    "draw_reliability",
    "reliability_rows",
]
