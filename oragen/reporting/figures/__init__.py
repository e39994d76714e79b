"""Predictions, histories and clips -> figures that are readable at a glance, and their numbers.

A figure is a PNG; the same numbers give the same bytes. Where there is nothing to show, it says so.
The functions named `..._rows` give the numbers behind a figure, for `dvc plots`.

Predictions are a table with a row for each clip and seed. Its columns are the true labels `gender`,
`age_years` and `mask_type`, which may be unknown, `predicted_gender`, `predicted_age_years` and
`predicted_mask_type`, and the probabilities `gender_<label>` and `mask_type_<label>`. They are
empty where a clip has no prediction. The columns of the mask type may be missing where the head
does not predict it.
"""
