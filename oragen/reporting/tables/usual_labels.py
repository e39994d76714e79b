"""The usual labels of training, said of every clip -> a row to compare methods with."""

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from oragen.reporting.bootstrap import Measure
from oragen.reporting.scores import HeadScores, find_in_scope
from oragen.reporting.table_formats import Label, Row
from oragen.schema.vocabulary import CLASS_TASKS
from oragen.training.metrics import list_predicted_labels

UsualLabels = Mapping[str, str | float | None]  # as `find_majority_baseline` returns them
NAME: Final = "most frequent label, mean age"


def compare_usual(
    scores: HeadScores,
    usual: UsualLabels,
    places: Sequence[tuple[str, Measure]],
    names: Sequence[str],
) -> Row:
    """Score what needs no voice and no face: a method that is no better has learned nothing.

    Args:
        scores: of the heads; their clips are scored here.
        usual: the labels.
        places: corpus or all of them, and what is scored there.
        names: of the labels of the table's other rows.
    """
    labels: dict[str, Label] = {**dict.fromkeys(names, ""), "method": NAME}
    rows = scores.resample(_predict_usual(scores.clips, usual))
    cells = [
        scores.score(rows, measure, find_in_scope(rows.table, scope)) for scope, measure in places
    ]
    return Row(labels, cells)


def _predict_usual(clips: pd.DataFrame, usual: UsualLabels) -> pd.DataFrame:
    """Return the labels of clips, each predicted to be the usual one."""
    predicted = clips.assign(seed=0, predicted_age_years=usual["age_years"])
    for task in CLASS_TASKS:
        shares = {
            f"{task}_{label}": float(label == usual[task])
            for label in list_predicted_labels(clips, task)
        }
        predicted = predicted.assign(**{f"predicted_{task}": usual[task]}, **shares)
    return predicted
