"""Predictions, histories and clips -> pictures that are readable at a glance, and their numbers.

A picture is a PNG; the same numbers give the same bytes. Where there is nothing to show, it says
so. The functions named `..._rows` give the numbers behind a picture, for `dvc plots`.

What is called predictions here has a row for each answer, with the columns `gender`, `age_years`
and `mask_type` (true labels, may be unknown), `predicted_gender`, `predicted_age_years`,
`predicted_mask_type`, and the probabilities `gender_<label>`, `mask_type_<label>`; a row without
an answer has empty ones. A head that does not tell the mask type may lack the columns of it.
"""

from oragen.pictures.ages import age_error_rows, age_rows, draw_age_errors, draw_ages
from oragen.pictures.attention import draw_attention
from oragen.pictures.confusion import ClassTask, confusion_rows, draw_confusion
from oragen.pictures.curves import curve_rows, draw_curves
from oragen.pictures.example import (
    Attributes,
    ClipExample,
    ExampleCrop,
    ExampleWindow,
    draw_example,
)
from oragen.pictures.prediction import ClipAnswers, draw_answers
from oragen.pictures.reliability import calibration_error, draw_reliability, reliability_rows

__all__ = [
    "Attributes",
    "ClassTask",
    "ClipAnswers",
    "ClipExample",
    "ExampleCrop",
    "ExampleWindow",
    "age_error_rows",
    "age_rows",
    "calibration_error",
    "confusion_rows",
    "curve_rows",
    "draw_age_errors",
    "draw_ages",
    "draw_answers",
    "draw_attention",
    "draw_confusion",
    "draw_curves",
    "draw_example",
    "draw_reliability",
    "reliability_rows",
]
