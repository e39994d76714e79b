"""Frames and clips -> figures, compared with what was worked out by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from oragen.reporting.attention.lanes import AttentionLane
from oragen.reporting.attention.maps import AttentionMap
from oragen.reporting.figures.ages import age_error_rows, age_rows, draw_age_errors, draw_ages
from oragen.reporting.figures.attention import NUM_BINS, draw_attention, draw_strips, rasterise
from oragen.reporting.figures.confusion import confusion_rows, draw_confusion
from oragen.reporting.figures.curves import curve_rows, draw_curves
from oragen.reporting.figures.example import (
    Attributes,
    ClipExample,
    ExampleCrop,
    ExampleWindow,
    draw_example,
)
from oragen.reporting.figures.reliability import (
    calibration_error,
    draw_reliability,
    reliability_rows,
)

NOTHING = pd.DataFrame(
    columns=["gender", "age_years", "mask_type", "predicted_gender", "predicted_age_years"]
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that were saved, in order."""
    figures: list[Figure] = []
    save = Figure.savefig

    def save_and_keep(figure: Figure, *args: Any, **kwargs: Any) -> None:
        save(figure, *args, **kwargs)
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", save_and_keep)
    yield figures
    assert figures, "nothing was drawn"


def words_of(figure: Figure) -> str:
    """All that can be read in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def read_picture(path: Path) -> np.ndarray[Any, Any]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def predictions(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(columns)


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

AGES = predictions(
    gender=["female", "male", None, "male", "female", "male"],
    age_years=[20, 22, 28, 30, 45, np.nan],
    predicted_age_years=[23.0, 21.0, 30.0, 30.0, np.nan, 40.0],
)


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

SURE = predictions(
    gender=["female", "male", "female", "female", "child", None],
    predicted_gender=["female", "female", "female", "female", "female", "male"],
    gender_female=[0.55, 0.58, 0.95, 1.0, 0.9, 0.2],
    gender_male=[0.45, 0.42, 0.05, 0.0, 0.1, 0.8],
)


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


def history(*scores: tuple[int, int, int, float]) -> pd.DataFrame:
    """Seed, phase, epoch, dev score; the loss is one less the score."""
    rows = pd.DataFrame(scores, columns=["seed", "phase", "epoch", "dev_score"])
    return rows.assign(train_loss=1 - rows["dev_score"])


TWO_PHASES = history((0, 1, 1, 0.3), (0, 1, 2, 0.5), (0, 2, 1, 0.4), (1, 1, 1, 0.2), (0, 2, 2, 0.1))


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


# Attention


def lane(name: str = "gender", modality: Any = "audio", **cells: list[float]) -> AttentionLane:
    arrays = {key: np.array(value, dtype=float) for key, value in cells.items()}
    return AttentionLane(name=name, modality=modality, share=0.6, **arrays)


def test_overlapping_cells_are_their_mean_and_no_cell_is_nothing() -> None:
    """0 to 2 s weighs 1 and 1 to 3 s weighs 3: 1, 2, 3, and nothing in the fourth second."""
    found = rasterise(lane(starts_s=[0, 1], stops_s=[2, 3], times_even=[1, 3]), duration_s=4.0)
    seconds = found.reshape(4, NUM_BINS // 4)
    np.testing.assert_allclose(seconds[:3].mean(axis=1), [1, 2, 3])
    np.testing.assert_allclose(seconds[:3].std(axis=1), 0, atol=1e-12)
    assert np.isnan(seconds[3]).all()


def test_an_even_share_has_the_middle_colour_and_no_share_the_last_one() -> None:
    axes = Figure().subplots()
    lanes = [lane(starts_s=[0, 1, 2, 3], stops_s=[1, 2, 3, 4], times_even=[1, 3, 1 / 3, 0])]
    image: Any = draw_strips(axes, lanes, 5.0)
    colours = image.norm(image.get_array())[0].reshape(5, -1)
    np.testing.assert_allclose(colours[:3].mean(axis=1), [0.5, 1, 0], atol=1e-9)
    assert (colours[3] < 0).all()
    assert np.ma.getmaskarray(colours[4]).all()


def task_map() -> AttentionMap:
    """Two windows, three queries, 20 audio frames, 2 slots of 3 layers; the second has no face."""
    generator = np.random.default_rng(0)
    audio, face = generator.random((2, 3, 20)), generator.random((2, 3, 2, 3))
    face[1] = 0
    nothing = np.ones((2, 3))
    total = audio.sum(axis=2) + face.sum(axis=(2, 3)) + nothing
    return AttentionMap(
        queries=("gender", "mask type", "age"),
        weights=np.zeros((2, 1, 3, 27)),
        audio=audio / total[..., None],
        face=face / total[..., None, None],
        nothing=nothing / total,
    )


def test_a_map_has_panels_for_what_was_there_with_their_shares(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    found = task_map()
    for window in range(2):
        draw_attention(tmp_path / f"{window}.png", {"tasks": found}, window, "title")
    titles = [{axes.get_title(loc="left") for axes in figure.axes} - {""} for figure in drawn]
    assert titles == [{"audio", "face", "nothing"}, {"audio", "nothing"}]
    words = words_of(drawn[0]).splitlines()
    for share in found.audio[0].sum(axis=1):
        assert f"{share:.0%}" in words
    assert {"gender", "mask type", "age", "slot, 3 layers each"} <= set(words)


def test_a_head_without_attention_gets_a_figure_that_says_so(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    draw_attention(tmp_path / "x.png", {}, 0, "title")
    assert "this head has no attention" in words_of(drawn[0])


# Examples


def make_example(**changes: Any) -> ClipExample:
    window = ExampleWindow(0, 4, {"female": 0.9, "male": 0.1}, 30.0, {"none": 0.7, "ffp": 0.3})
    fields: dict[str, Any] = {
        "clip_id": "studio/clip-007",
        "head": "joint",
        "duration_s": 7.0,
        "labels": Attributes("female", 34.0, None),
        "predicted": Attributes("male", 31.6, "ffp"),
        "crops": [
            ExampleCrop(float(second), np.full((96, 96, 3), 60 * second, np.uint8))
            for second in range(3)
        ],
        "speech_s": [(0.5, 2.0), (3.0, 6.5)],
        "windows": [window, window._replace(start_s=2, stop_s=6)],
        "attention": [lane(starts_s=[0, 2], stops_s=[2, 4], times_even=[0.5, 1.5])],
    }
    return ClipExample(**(fields | changes))


def rows_of(figure: Figure) -> dict[str, Axes]:
    return {axes.get_ylabel(): axes for axes in figure.axes}


def test_an_example_shows_labels_and_prediction_in_words(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    draw_example(tmp_path / "x.png", make_example())
    words = words_of(drawn[0])
    assert " true:  female, 34 years, mask type unknown" in words
    assert "joint:  male, 32 years, mask type ffp" in words
    assert "female (true)" in words


def test_the_interval_of_the_age_is_written_and_drawn(tmp_path: Path, drawn: list[Figure]) -> None:
    predicted = Attributes("male", 31.6, "ffp", age_half_width_years=8.2)
    draw_example(tmp_path / "x.png", make_example(predicted=predicted))
    assert "joint:  male, 32 ± 8 years" in words_of(drawn[0])
    (band,) = rows_of(drawn[0])["age, years"].patches
    assert (band.get_y(), band.get_height()) == pytest.approx((23.4, 16.4))  # type: ignore[attr-defined]


def test_an_example_shows_everything_at_its_time(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_example(tmp_path / "x.png", make_example())
    rows = rows_of(drawn[0])
    names = [
        "faces",
        "speech",
        "windows",
        "gender",
        "age, years",
        "mask type",
        "attention\nto audio",
    ]
    assert [name for name in rows if name in names] == names
    assert {axes.get_xlim() for name, axes in rows.items() if name in names} == {(0, 7)}
    spans = [path.get_extents() for path in rows["speech"].collections[0].get_paths()]
    assert [(span.x0, span.x1) for span in spans] == [(0.5, 2), (3, 6.5)]
    female, male = rows["gender"].get_lines()
    assert female.get_xydata().tolist() == [[2, 0.9], [4, 0.9]]  # type: ignore[union-attr]
    assert male.get_xydata().tolist() == [[2, 0.1], [4, 0.1]]  # type: ignore[union-attr]


def test_crops_can_be_seen_in_the_picture(tmp_path: Path) -> None:
    """A crop is of one colour that nothing else has."""
    crop = ExampleCrop(1.0, np.full((40, 40, 3), (1, 250, 2), np.uint8))
    draw_example(tmp_path / "x.png", make_example(crops=[crop]))
    found = (read_picture(tmp_path / "x.png") == (2, 250, 1)).all(axis=2)
    assert found.sum() > 100 * 100


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crops": []}, "no face found"),
        ({"speech_s": []}, "no speech found"),
        ({"windows": [], "predicted": Attributes(None, None, None)}, "no usable window"),
        ({"windows": []}, "joint:  no usable window"),
        ({"labels": Attributes(None, None, None)}, "gender unknown, age unknown"),
    ],
)
def test_what_a_clip_lacks_is_said(
    tmp_path: Path, drawn: list[Figure], changes: dict[str, Any], words: str
) -> None:
    draw_example(tmp_path / "x.png", make_example(**changes))
    assert words in words_of(drawn[0])


def test_a_head_without_mask_types_or_attention_has_no_row_for_them(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    windows = [ExampleWindow(0, 4, {"female": 0.9, "male": 0.1}, 30.0, {})]
    draw_example(tmp_path / "x.png", make_example(windows=windows, attention=[]))
    assert set(rows_of(drawn[0])) == {"faces", "speech", "windows", "gender", "age, years"}


def test_an_hour_of_crops_and_windows_is_one_figure_of_the_usual_size(tmp_path: Path) -> None:
    window = make_example().windows[0]
    windows = [window._replace(start_s=2.0 * n, stop_s=2.0 * n + 4) for n in range(1800)]
    crops = [ExampleCrop(float(s), np.zeros((96, 96, 3), np.uint8)) for s in range(3600)]
    draw_example(tmp_path / "x.png", make_example(duration_s=3602.0, windows=windows, crops=crops))
    height, width = read_picture(tmp_path / "x.png").shape[:2]
    assert (width, height < 1200) == (1440, True)


def test_a_clip_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"studio/clip-007 should last more than 0 s, found 0\.0"):
        make_example(duration_s=0.0)


# All of them

DRAW: dict[str, Callable[[Path, str], None]] = {
    "confusion": lambda path, title: draw_confusion(
        path, SURE["gender"], SURE["predicted_gender"], ["female", "male"], title
    ),
    "ages": lambda path, title: draw_ages(path, AGES, title),
    "age errors": lambda path, title: draw_age_errors(path, AGES, title),
    "reliability": lambda path, title: draw_reliability(path, SURE, "gender", title),
    "curves": lambda path, title: draw_curves(path, {title: TWO_PHASES}, title),
    "attention": lambda path, title: draw_attention(path, {"tasks": task_map()}, 0, title),
    "example": lambda path, title: draw_example(path, make_example(clip_id=title)),
}


@pytest.mark.parametrize("name", DRAW)
def test_the_same_numbers_give_the_same_bytes_whatever_the_users_style(
    tmp_path: Path, name: str
) -> None:
    DRAW[name](tmp_path / "one.png", "title")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 50}):
        DRAW[name](tmp_path / "two.png", "title")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("title", ["a $\\frac$ b_{1} <b> 录音 Ä", "long " * 20])
@pytest.mark.parametrize("name", DRAW)
def test_any_name_can_be_a_title(
    tmp_path: Path, drawn: list[Figure], name: str, title: str
) -> None:
    DRAW[name](tmp_path / "x.png", title)
    assert "".join(title.split()) in "".join(words_of(drawn[0]).split())
    assert read_picture(tmp_path / "x.png").min() < 100


NOTHING_TO_DRAW: dict[str, Callable[[Path], None]] = {
    "no clip of known age": lambda path: draw_ages(path, NOTHING, "title"),
    "no clip of known age ": lambda path: draw_age_errors(path, NOTHING, "title"),
    "no labelled clip": lambda path: draw_reliability(path, NOTHING, "mask_type", "title"),
    "no history of a training": lambda path: draw_curves(path, {}, "title"),
    "no history of a training ": lambda path: draw_curves(path, {"joint": history()}, "title"),
}


@pytest.mark.parametrize("words", NOTHING_TO_DRAW)
def test_a_figure_of_nothing_says_so(tmp_path: Path, drawn: list[Figure], words: str) -> None:
    NOTHING_TO_DRAW[words](tmp_path / "x.png")
    assert words.strip() in words_of(drawn[0])
    assert "title" in words_of(drawn[0])
