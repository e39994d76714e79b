"""Predicted and true classes -> false rates, by hand and by scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from oragen.reporting.table_formats import to_cells
from oragen.reporting.tables.false_rates import compare_false_rates
from tests.scored_heads import clips, labels, predict, score, values


def test_false_rates_worked_out_by_hand() -> None:
    """Two women, two men; a man is called a woman. One of two tissue masks is called medical."""
    wrong = clips()
    wrong.loc[3, ["predicted_gender", "predicted_mask_type"]] = ["female", "medical"]
    table = compare_false_rates(score(predict(wrong)), "ours")
    assert table is not None
    assert labels(table, "class") == ["female", "male", "none", "tissue", "medical"]
    assert values(table) == [
        [0.0, 1 / 2, 1 / 3],
        [1 / 2, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [1 / 2, 0.0, 0.0],
        [None, 1 / 4, 1.0],  # nobody wears one
    ]
    counts = [[cell.clips for cell in row.cells] for row in table.rows]
    assert counts == [[2, 2, 3], [2, 2, 1], [2, 2, 2], [2, 2, 1], [0, 4, 1]]
    assert to_cells(table)[1][1][2] == "50.0 (2 clips)"  # of one speaker


def test_false_rates_are_those_of_scikit_learns_confusion_matrix() -> None:
    generator = np.random.default_rng(0)
    rows = clips().iloc[np.arange(200) % 4].reset_index(drop=True)
    rows["clip_id"] = [f"{number}" for number in rows.index]
    rows["predicted_gender"] = generator.choice(["female", "male"], 200)
    table = compare_false_rates(score(predict(rows)), "ours")
    assert table is not None
    (tn, fp), (fn, tp) = confusion_matrix(
        rows["gender"] == "male", rows["predicted_gender"] == "male"
    )
    male = values(table)[labels(table, "class").index("male")]
    assert male == pytest.approx([fn / (fn + tp), fp / (fp + tn), fp / (fp + tp)])


def test_what_nobody_labelled_has_no_false_rates() -> None:
    unlabelled = clips().assign(gender=None, mask_type=None)
    assert compare_false_rates(score(predict(unlabelled)), "ours") is None
