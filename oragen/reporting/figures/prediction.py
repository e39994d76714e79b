"""The prediction of one clip -> one figure: predictions over time, and what they are based on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from oragen.reporting.figures.canvas import (
    BLUE,
    COLOUR_OF,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    SERIES,
    SKY,
    count,
    drawing,
    name_axes,
    put_legend,
    wrap_warnings,
    write_title,
    write_warnings,
)
from oragen.reporting.figures.example import ExampleWindow
from oragen.schema.names import printable

WIDTH_IN: Final = 11.0
LINE_IN: Final = 0.2  # of a warning
AGE_IN, CLASSES_IN, COVERAGE_IN = 2.0, 1.5, 0.95
ROWS: Final = ("speech", "face", "windows")
MAX_DOTS: Final = 60  # more windows are drawn as lines alone


@dataclass(frozen=True)
class ClipPredictions:
    """The predictions of one clip. Times are in seconds from its start.

    Attributes:
        title: such as the name of the file.
        words: the prediction of the whole clip in words, or why there is none.
        length_s: of the clip.
        age_years: of the whole clip; None without a prediction.
        age_interval: lower and upper end in years; None where the model gives none.
        windows: in the order of time; empty without a prediction.
        speech_s: start and stop of each span.
        faces_s: start and stop of each stretch in which the face is visible.
        no_speech: what is written where there is none.
        no_face: likewise.
        warnings: sentences, written below everything.
    """

    title: str
    words: str
    length_s: float
    age_years: float | None
    age_interval: tuple[float, float] | None
    windows: Sequence[ExampleWindow]
    speech_s: Sequence[tuple[float, float]]
    faces_s: Sequence[tuple[float, float]]
    no_speech: str = "no speech"
    no_face: str = "no face"
    warnings: Sequence[str] = ()


def draw_predictions(path: Path, clip: ClipPredictions) -> None:
    """Draw age, gender and mask type of the windows over time, above speech and faces."""
    classes = _classes(clip.windows)
    heights = [COVERAGE_IN]
    if clip.windows:
        heights = [AGE_IN, *(CLASSES_IN for _ in classes), COVERAGE_IN]
    around = 1.3 + LINE_IN * len(wrap_warnings(clip.warnings, WIDTH_IN))
    with drawing(path, WIDTH_IN, around + sum(heights), gap_in=0.05) as figure:
        write_title(figure, clip.title)
        grid = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
        *upper, coverage = grid[:, 0]
        if clip.windows:
            _draw_age(upper[0], clip)
        for axes, (name, predictions) in zip(upper[1:], classes.items(), strict=True):
            _draw_classes(axes, name, clip, predictions)
        _draw_coverage(coverage, clip)
        coverage.set(xlabel="seconds", xlim=(0, max(clip.length_s, 0.001)))
        top = grid[0, 0]
        top.set_title(printable(clip.words), fontweight="normal", parse_math=False)
        figure.align_ylabels(grid[:, 0])
        write_warnings(figure, clip.warnings)


def _classes(windows: Sequence[ExampleWindow]) -> dict[str, list[Mapping[str, float]]]:
    """Return what is drawn as shares of the whole; without windows nothing is."""
    classes = {"gender": [window.genders for window in windows]}
    if any(window.mask_types for window in windows):
        classes["mask type"] = [window.mask_types for window in windows]
    return classes if windows else {}


def _draw_age(axes: Axes, clip: ClipPredictions) -> None:
    name_axes(axes, "age, years")
    ages = [window.age_years for window in clip.windows]
    known = list(ages)
    if clip.age_interval is not None:
        low, high = clip.age_interval
        label = f"interval of the clip, {low:.0f} to {high:.0f}"
        axes.axhspan(low, high, color=BLUE, alpha=0.1, linewidth=0, label=label)
        known += [low, high]
    if clip.age_years is not None:
        label = f"age of the clip, {clip.age_years:.0f}"
        axes.axhline(clip.age_years, color=BLUE, linewidth=1.2, label=label)
        known.append(clip.age_years)
    starts, stops = _edges(clip.windows)
    axes.hlines(ages, starts, stops, color=BLUE, linewidth=3, alpha=0.35)
    style = "o" if len(ages) <= MAX_DOTS else ""
    axes.plot((starts + stops) / 2, ages, f"{style}-", color=BLUE, markersize=5, linewidth=1,
              label="age of a window")  # fmt: skip
    axes.set_ylim(max(0.0, min(known) - 4), max(known) + 4)
    axes.grid(True, axis="y")
    put_legend(axes)


def _draw_classes(
    axes: Axes, name: str, clip: ClipPredictions, predictions: Sequence[Mapping[str, float]]
) -> None:
    """Stack the probabilities, each window's from its middle to the middles beside it."""
    name_axes(axes, name)
    times = _steps(clip.windows)
    bottom = np.zeros(times.shape)
    for number, label in enumerate(predictions[0]):
        # windows, 1 -> windows, 3: where a step begins, where it ends, and a break
        shares = np.array([[window[label]] for window in predictions]) * [1, 1, np.nan]
        colour = COLOUR_OF.get(label, SERIES[number % len(SERIES)])
        colour = PALE if label == "none" else colour
        top = bottom + shares
        axes.fill_between(
            times.ravel(), bottom.ravel(), top.ravel(), color=colour, alpha=0.85, linewidth=0,
            label=label,
        )  # fmt: skip
        bottom = top
    axes.set(ylim=(0, 1))
    axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
    put_legend(axes, is_reversed=True)  # as they are stacked


def _steps(windows: Sequence[ExampleWindow]) -> Float[np.ndarray, "windows 3"]:
    """Return from when to when the prediction of each window is drawn, and the latter once more.

    A step lasts to halfway between the middles of two windows. It ends with its window, so that
    nothing is drawn where there is none. The line is broken off at the third column.
    """
    starts, stops = _edges(windows)
    middles = (starts + stops) / 2
    borders = (middles[:-1] + middles[1:]) / 2
    begins = np.maximum(starts, np.concatenate([[-np.inf], borders]))
    ends = np.minimum(stops, np.concatenate([borders, [np.inf]]))
    return np.column_stack([begins, ends, ends])


def _draw_coverage(axes: Axes, clip: ClipPredictions) -> None:
    """Draw where there is speech, where the face is visible, and where windows lie."""
    name_axes(axes, "")
    axes.set(ylim=(len(ROWS) - 0.5, -0.5))
    axes.set_yticks(range(len(ROWS)), ROWS)
    axes.tick_params(axis="y", length=0)
    windows = [(window.start_s, window.stop_s) for window in clip.windows]
    axes.broken_barh(_as_widths(clip.speech_s), (-0.35, 0.7), color=GREEN)
    axes.broken_barh(_as_widths(clip.faces_s), (0.65, 0.7), color=ORANGE)
    for lane in (0, 1):  # windows overlap
        own = _as_widths(windows[lane::2])
        axes.broken_barh(own, (1.63 + 0.37 * lane, 0.35), color=SKY, edgecolor="white")
    rows = ((clip.speech_s, clip.no_speech), (clip.faces_s, clip.no_face), (windows, "no window"))
    for row, (spans, otherwise) in enumerate(rows):
        if not spans:
            axes.text(0.01, row, otherwise, va="center", color=GREY,
                      transform=axes.get_yaxis_transform())  # fmt: skip
    seconds = sum(stop - start for start, stop in clip.speech_s)
    total = f"{seconds:.1f} s speech\n{count(len(windows), 'window')}"
    axes.text(1.02, 0.5, total, transform=axes.transAxes, va="center", color=GREY)


def _as_widths(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(start, stop - start) for start, stop in spans]


def _edges(windows: Sequence[ExampleWindow]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.array([window.start_s for window in windows])
    stops = np.array([window.stop_s for window in windows])
    return starts, stops
