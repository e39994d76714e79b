"""Predictions of all heads -> scores with intervals, tables, figures, a page."""
