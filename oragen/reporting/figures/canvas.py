"""A path and a size -> a figure in the project's style, saved as a PNG when it is drawn."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill, wrap
from typing import Final

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oragen.schema.files import atomic_write
from oragen.schema.names import printable

# Okabe & Ito, "Color Universal Design" (2008): told apart with any kind of colour blindness.
BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"
GREEN: Final = "#009e73"
ORANGE: Final = "#e69f00"
SKY: Final = "#56b4e9"
PINK: Final = "#cc79a7"
GREY: Final = "#7a7a7a"
INK: Final = "#222222"
PALE: Final = "#e4e4e4"

COLOUR_OF: Final = {
    "female": VERMILION, "male": BLUE, "child": GREEN, "unknown": GREY,
    "none": GREY, "tissue": PINK, "medical": SKY, "ffp": ORANGE, "respirator": VERMILION,
    "shield": GREEN,
}  # fmt: skip
SERIES: Final = (BLUE, VERMILION, GREEN, ORANGE, PINK, SKY)

STYLE: Final = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # a $ in the name of a clip is a $
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.titlesize": 14,
    "figure.titleweight": "bold",
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}
DOTS_PER_INCH: Final = 120
MARGIN_IN: Final = 0.09


@contextmanager
def drawing(
    path: Path, width_in: float, height_in: float, *, gap_in: float = MARGIN_IN
) -> Iterator[Figure]:
    """Yield a figure to draw on, with `gap_in` above and below all that is in it; then save it."""
    with style.context(STYLE, after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # drawn as a box
        figure = Figure(figsize=(width_in, height_in))
        figure.set_layout_engine("constrained", w_pad=MARGIN_IN, h_pad=gap_in)
        yield figure
        with atomic_write(path) as unfinished:
            figure.savefig(unfinished, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})


def say(axes: Axes, words: str) -> None:
    """Write words where the figure would be."""
    axes.text(0.5, 0.5, words, ha="center", va="center", color=GREY, transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def name_axes(axes: Axes, name: str) -> None:
    """Write the name of a panel on its left."""
    axes.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=12)


def put_legend(axes: Axes, *, is_reversed: bool = False) -> None:
    """Put the legend of a panel on its right."""
    axes.legend(
        loc="center left", bbox_to_anchor=(1.005, 0.5), fontsize=9, labelspacing=0.25,
        handlelength=1.2, reverse=is_reversed,
    )  # fmt: skip


def write_title(figure: Figure, title: str) -> None:
    """Write a title above everything, in as many lines as it needs; it may be any file's name."""
    num_characters = int(7.2 * figure.get_figwidth())
    lines = fill(printable(title), num_characters, break_on_hyphens=False)
    figure.suptitle(lines, x=0.015, ha="left", parse_math=False)


def write_warnings(figure: Figure, warnings: Sequence[str]) -> None:
    """Write sentences below everything, each in as many lines as it needs."""
    if warnings:
        lines = wrap_warnings(warnings, figure.get_figwidth())
        figure.supxlabel("\n".join(lines), x=0.015, ha="left", fontsize=11, color=VERMILION)


def wrap_warnings(warnings: Sequence[str], width_in: float) -> list[str]:
    """Break sentences into the lines of `write_warnings`."""
    num_characters = int(11 * width_in)
    return [line for sentence in warnings for line in wrap(printable(sentence), num_characters)]


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Write `1 prediction`, `2,000 predictions`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
