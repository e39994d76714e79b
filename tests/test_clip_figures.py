"""Single clips -> figures of their attention, and of all that is known and predicted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oragen.reporting.figures.attention import NUM_BINS, draw_attention, draw_strips, rasterise
from oragen.reporting.figures.example import Attributes, ExampleCrop, ExampleWindow, draw_example
from tests.figure_inputs import keep_figures, lane, make_example, read_picture, task_map, words_of


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that were saved, in order."""
    yield from keep_figures(monkeypatch)


# Attention


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
