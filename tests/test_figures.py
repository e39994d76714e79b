"""Every figure: the same bytes for the same numbers, under any title, also of nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from oragen.reporting.figures.ages import draw_age_errors, draw_ages
from oragen.reporting.figures.attention import draw_attention
from oragen.reporting.figures.confusion import draw_confusion
from oragen.reporting.figures.curves import draw_curves
from oragen.reporting.figures.example import draw_example
from oragen.reporting.figures.reliability import draw_reliability
from tests.figure_inputs import (
    AGES,
    NOTHING,
    SURE,
    TWO_PHASES,
    history,
    keep_figures,
    make_example,
    read_picture,
    task_map,
    words_of,
)

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


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that were saved, in order."""
    yield from keep_figures(monkeypatch)


@pytest.mark.slow
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
