"""Names that a stranger chose -> terminals, logs, pictures, pages and tables, as text alone."""

import csv
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oragen.cli.drawn_files import plan_files
from oragen.predictor import ClassPrediction
from oragen.predictor.files import NamedClip
from oragen.predictor.output import open_output
from oragen.predictor.overlay import Overlay
from oragen.predictor.plot import plot_prediction
from oragen.reporting.page.rendering import write_page
from oragen.reporting.page.sections import PageSection
from oragen.schema.names import (
    MAX_SHOWN,
    PrintableFormatter,
    encodable,
    neutralise,
    printable,
    printable_lines,
    restore,
    shorten,
)
from tests.made_predictions import NOT_PREDICTED, PREDICTED

ESCAPE = "\x1b[31mred"
OVERRIDE = "clip\u202egpj.exe"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Käse 日本 👩‍👩‍👧.mp4", "Käse 日本 👩‍👩‍👧.mp4"),
        ("C:\\a [b] $x$ %s", "C:\\a [b] $x$ %s"),
        (ESCAPE, r"\x1b[31mred"),
        ("a\nb\tc\rd\x00", r"a\nb\tc\rd\x00"),
        ("\x9b31m", r"\x9b31m"),
        (OVERRIDE, r"clip\u202egpj.exe"),
        ("\u2066a\u200f\u2028", r"\u2066a\u200f\u2028"),
        ("k\udce4se", r"k\udce4se"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_is_not_safe_to_show_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_lines_stay_lines_where_they_are_ours() -> None:
    assert printable_lines("a\x1b\nb\r") == "a\\x1b\nb\\r"
    assert len(shorten("x" * 10_000)) == MAX_SHOWN
    assert encodable("k\udce4se\n") == "k\\udce4se\n"


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|x", "-rf.mp4", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
                                  "'=1", "''+x", "＝1", "－x", "-"])  # fmt: skip
def test_a_cell_like_a_formula_gets_a_mark_that_can_be_taken_off(cell: str) -> None:
    assert neutralise(cell) == f"'{cell}"
    assert restore(f"'{cell}") == cell


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-inf", "1e-3", "a=b", "'quoted'", "", -0.5, None])
def test_numbers_and_plain_texts_stay(cell: str | float | None) -> None:
    assert neutralise(cell) == cell
    assert not isinstance(cell, str) or restore(cell) == cell


def test_a_csv_of_predictions_has_no_formula_and_keeps_numbers(tmp_path: Path) -> None:
    with open_output(tmp_path / "all.csv") as take:
        take(replace(PREDICTED, input="=HYPERLINK(1).mp4"))
        take(replace(NOT_PREDICTED, input="k\udce4se.mp4"))
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert restore(first["input"]) == "=HYPERLINK(1).mp4"
    assert first["input"].startswith("'")
    assert float(first["age"]) == 40.25
    assert second["input"] == r"k\udce4se.mp4"


@pytest.mark.slow
def test_a_name_is_drawn_as_text(tmp_path: Path) -> None:
    for number, name in enumerate((r"$\frac$.mp4", ESCAPE, OVERRIDE, "k\udce4se\n.mp4")):
        plot_prediction(tmp_path / f"{number}.png", replace(PREDICTED, input=name))
        assert (tmp_path / f"{number}.png").read_bytes().startswith(b"\x89PNG")


def test_a_drawn_label_has_no_control_characters() -> None:
    label = "f\u202emale\n"
    odd = replace(PREDICTED, gender=ClassPrediction(label, {label: 1.0}))
    plain = replace(PREDICTED, gender=ClassPrediction(printable(label), {printable(label): 1.0}))
    blank = np.zeros((64, 400, 3), np.uint8)
    drawn, expected = (
        Overlay(one, 400, 64, length_s=1.0).paint(blank, 0.0) for one in (odd, plain)
    )
    assert np.array_equal(drawn, expected)


def test_names_that_a_file_system_may_take_for_one_get_files_of_their_own(tmp_path: Path) -> None:
    names = ["Anna.mp4", "anna.mp4", "jose\u0301.mp4", "jos\u00e9.mp4"]
    clips = [NamedClip(Path(str(number), name)) for number, name in enumerate(names)]
    planned = plan_files(clips, tmp_path, "--draw", (".mp4", ".png"))
    assert [path.name for path in planned.values()] == [
        "Anna.mp4", "anna-2.mp4", "jose\u0301.mp4", "jos\u00e9-2.mp4",
    ]  # fmt: skip


def test_a_log_shows_names_as_escapes() -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s\nsecond", (ESCAPE,), None)
    assert PrintableFormatter("%(message)s").format(record) == "\\x1b[31mred\nsecond"


def test_a_page_shows_names_as_escapes(tmp_path: Path) -> None:
    section = PageSection(f"<b>{OVERRIDE}", [])
    write_page(tmp_path / "page.html", ESCAPE, [section])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert r"\x1b[31mred" in page
    assert r"&lt;b&gt;clip\u202egpj.exe" in page
    assert not {"\x1b", "\u202e"} & set(page)
