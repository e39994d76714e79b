"""Frames of predictions and epochs -> figures, compared with what was worked out by hand."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from oragen.reporting.figures.ages import age_error_rows, age_rows, draw_age_errors, draw_ages
from oragen.reporting.figures.confusion import confusion_rows, draw_confusion
from oragen.reporting.figures.curves import curve_rows, draw_curves
from oragen.reporting.figures.reliability import (
    calibration_error,
    draw_reliability,
    reliability_rows,
)
from tests.figure_inputs import (
    AGES,
    NOTHING,
    SURE,
    TWO_PHASES,
    history,
    keep_figures,
    predictions,
    read_picture,
    words_of,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that were saved, in order."""
    yield from keep_figures(monkeypatch)


# Confusion


@pytest.mark.parametrize("num_labels", [2, 6])
def test_a_confusion_matrix_is_a_square_picture_of_a_size_to_look_at(
    tmp_path: Path, num_labels: int
) -> None:
    labels = [f"class {number}" for number in range(num_labels)]
    path = tmp_path / "figures" / "confusion.png"
    draw_confusion(path, pd.Series(labels), pd.Series(labels[::-1]), labels, "title")
    height, width = read_picture(path).shape[:2]
    assert path.read_bytes().startswith(b"\x89PNG")
    assert height == width
    assert 300 < height < 1000


def test_a_confusion_matrix_shows_what_was_confused(tmp_path: Path) -> None:
    """Of two women both are right, of two men one: on the diagonal it is darker for the women."""
    true = pd.Series(["female", "female", "male", "male"])
    labels = ["female", "male"]
    pictures = []
    for name, predicted in {"some": [*true[:3], "female"], "none": list(true)}.items():
        draw_confusion(tmp_path / f"{name}.png", true, pd.Series(predicted), labels, "title")
        pictures.append(read_picture(tmp_path / f"{name}.png").astype(int))
    is_darker = pictures[0].mean(axis=2) - pictures[1].mean(axis=2)
    assert (np.abs(is_darker) > 50).mean() > 0.1


def test_a_cell_shows_the_share_and_the_number(tmp_path: Path, drawn: list[Figure]) -> None:
    """Three of four men are predicted correctly; the child is no label of the head."""
    true = pd.Series(["male"] * 4 + ["child"])
    predicted = pd.Series(["male"] * 3 + ["female"] * 2)
    draw_confusion(tmp_path / "x.png", true, predicted, ["female", "male"], "title")
    words = words_of(drawn[0]).splitlines()
    assert {"75%", "3", "25%", "1", "4 predictions", "0 predictions"} <= set(words)
    assert [word for word in words if word == "0"] == ["0", "0"]  # nobody was female


def test_a_confusion_matrix_of_nothing_says_so(tmp_path: Path, drawn: list[Figure]) -> None:
    nothing = pd.Series([], dtype=str)
    draw_confusion(tmp_path / "nothing.png", nothing, nothing, ["a", "b"], "title")
    child = pd.Series(["child"])
    draw_confusion(tmp_path / "child.png", child, pd.Series(["a"]), ["a", "b"], "title")
    assert "no labelled clip" in words_of(drawn[0])
    assert (tmp_path / "nothing.png").read_bytes() == (tmp_path / "child.png").read_bytes()


def test_confusion_rows_are_the_pairs_that_are_known() -> None:
    rows = confusion_rows(
        predictions(gender=["male", None, "female"], predicted_gender=["female", "male", np.nan]),
        "gender",
    )
    assert rows.to_dict("records") == [{"actual": "male", "predicted": "female"}]
    assert confusion_rows(NOTHING, "mask_type").columns.tolist() == ["actual", "predicted"]


# Ages


def test_ages_are_compared_where_both_are_known() -> None:
    assert age_rows(AGES).to_dict("records") == [
        {"true_age_years": 20.0, "predicted_age_years": 23.0, "gender": "female"},
        {"true_age_years": 22.0, "predicted_age_years": 21.0, "gender": "male"},
        {"true_age_years": 28.0, "predicted_age_years": 30.0, "gender": "unknown"},
        {"true_age_years": 30.0, "predicted_age_years": 30.0, "gender": "male"},
    ]


def test_the_error_of_the_age_by_decade() -> None:
    """In the twenties the errors are 3, -1 and 2: quartiles 1.5, 2, 2.5 of 1, 2, 3; bias 4/3."""
    rows = age_error_rows(AGES)
    assert rows[["age_from", "age_to", "count"]].to_numpy().tolist() == [[20, 30, 3], [30, 40, 1]]
    scores = ["lower_quartile", "median", "upper_quartile", "bias"]
    expected = np.array([[1.5, 2, 2.5, 4 / 3], [0, 0, 0, 0]])
    np.testing.assert_allclose(rows[scores].to_numpy(), expected)


def test_the_scatter_has_a_point_for_each_prediction_and_counts_them(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    draw_ages(tmp_path / "ages.png", AGES, "title")
    points = np.concatenate([found.get_offsets() for found in drawn[0].axes[0].collections])
    assert sorted(map(tuple, points)) == [(20, 23), (22, 21), (28, 30), (30, 30)]
    words = words_of(drawn[0])
    assert "4 predictions, mean absolute error 1.5 years" in words
    assert {"female: 1 prediction", "male: 2 predictions", "unknown: 1 prediction"} <= set(
        words.splitlines()
    )


def test_bars_of_the_bias_go_where_the_age_is_off_to(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_age_errors(tmp_path / "errors.png", AGES, "title")
    heights = [bar.get_height() for bar in drawn[0].axes[1].patches]  # type: ignore[attr-defined]
    assert heights == pytest.approx([4 / 3, 0])
    assert "n = 3" in words_of(drawn[0])


# Confidence


def test_reliability_worked_out_by_hand() -> None:
    """Of two predictions near 57 % one is correct, of two near 98 % both."""
    rows = reliability_rows(SURE, "gender")
    columns = ["confidence", "accuracy", "count", "from", "to"]
    expected = np.array([[0.565, 0.5, 2, 0.5, 0.6], [0.975, 1.0, 2, 0.9, 1.0]])
    np.testing.assert_allclose(rows[columns].to_numpy(float), expected)
    assert calibration_error(rows) == pytest.approx((2 * 0.065 + 2 * 0.025) / 4)


@pytest.mark.parametrize(("confidence", "expected"), [(0.5, 0.5), (0.7, 0.7), (0.71, 0.8), (1, 1)])
def test_a_bin_has_its_upper_edge(confidence: float, expected: float) -> None:
    rows = reliability_rows(
        predictions(
            gender=["male"],
            predicted_gender=["male"],
            gender_male=[confidence],
            gender_female=[1 - confidence],
            predicted_age_years=[30.0],
        ),
        "gender",
    )
    assert rows["to"].tolist() == pytest.approx([expected])


def test_the_figure_shows_the_calibration_error(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_reliability(tmp_path / "x.png", SURE, "gender", "title")
    assert "4 predictions, expected calibration error 4.5%" in words_of(drawn[0])
    heights = [bar.get_height() for bar in drawn[0].axes[1].patches]  # type: ignore[attr-defined]
    assert heights == [2, 2]


# Training


def test_steps_go_on_through_the_phases_of_a_seed() -> None:
    rows = curve_rows({"joint": TWO_PHASES})
    assert rows[["head", "seed", "phase", "epoch", "step"]].to_numpy().tolist() == [
        ["joint", 0, 1, 1, 1],
        ["joint", 0, 1, 2, 2],
        ["joint", 0, 2, 1, 3],
        ["joint", 0, 2, 2, 4],
        ["joint", 1, 1, 1, 1],
    ]
    assert curve_rows({}).empty


def test_a_dot_marks_what_was_kept_of_each_phase(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_curves(tmp_path / "x.png", {"joint": TWO_PHASES, "other": history((0, 1, 1, 0.9))}, "t")
    lines = drawn[0].axes[0].get_lines()
    assert [line.get_ydata().tolist() for line in lines] == [  # type: ignore[union-attr]
        [0.3, 0.5], [0.4, 0.1], [0.2], [0.5, 0.4, 0.2],
    ]  # fmt: skip
    assert [line.get_linestyle() for line in lines[:3]] == ["-", "--", "-"]
    assert lines[3].get_xdata().tolist() == [2, 3, 1]  # type: ignore[union-attr]
    assert {"joint (2 seeds)", "other (1 seed)"} <= set(words_of(drawn[0]).splitlines())


@pytest.mark.parametrize("num_heads", [1, 2, 3, 4, 7])
def test_any_number_of_heads_is_drawn(tmp_path: Path, drawn: list[Figure], num_heads: int) -> None:
    draw_curves(tmp_path / "x.png", {f"head {n}": TWO_PHASES for n in range(num_heads)}, "title")
    titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
    assert [title for title in titles if title] == [f"head {n} (2 seeds)" for n in range(num_heads)]
