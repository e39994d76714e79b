"""Scores of all heads -> the tables of a report, a module for each."""
