"""One clip and its predictions -> one figure: faces, speech, windows, predictions, attention."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from oragen.reporting.attention.lanes import AttentionLane
from oragen.reporting.figures.attention import FULL_SCALE, draw_strips
from oragen.reporting.figures.canvas import (
    BLUE,
    COLOUR_OF,
    GREEN,
    GREY,
    INK,
    SERIES,
    SKY,
    drawing,
    name_axes,
    put_legend,
    say,
    write_title,
)

WIDTH_IN: Final = 12.0
CROP_IN: Final = 0.95
MAX_CROPS: Final = 9  # side by side; more crops are thinned out evenly


class Attributes(NamedTuple):
    """Who speaks: the labels of a clip, or its prediction. None: unknown, or not predicted."""

    gender: str | None
    age_years: float | None
    mask_type: str | None
    age_half_width_years: float | None = None  # of an interval around the age


class ExampleCrop(NamedTuple):
    """A face, and when it was on the screen."""

    second_s: float
    picture: UInt8[np.ndarray, "height width 3"]  # RGB


class ExampleWindow(NamedTuple):
    """A stretch of the clip and what the head predicts for it."""

    start_s: float
    stop_s: float
    genders: Mapping[str, float]  # probability of each label
    age_years: float
    mask_types: Mapping[str, float]  # empty: the head does not predict it


@dataclass(frozen=True)
class ClipExample:
    """One clip as it went through the pipeline. Times are in seconds from its start."""

    clip_id: str
    head: str
    duration_s: float  # of the audio, or of the video where there is none
    labels: Attributes
    predicted: Attributes  # of the whole clip; all None without a window
    crops: Sequence[ExampleCrop]
    speech_s: Sequence[tuple[float, float]]  # start and stop of each span
    windows: Sequence[ExampleWindow]
    attention: Sequence[AttentionLane]  # from `lay_on_time`; empty: the head has none

    def __post_init__(self) -> None:
        if self.duration_s <= 0:
            raise ValueError(f"{self.clip_id} should last more than 0 s, found {self.duration_s}.")


class _Row(NamedTuple):
    """A strip of the figure."""

    height_in: float
    draw: Callable[[Axes, ClipExample], None]


def draw_example(path: Path, example: ClipExample) -> None:
    """Draw a clip over its time: crops, speech, windows, their predictions, attention."""
    rows = _rows(example)
    heights = [row.height_in for row in rows]
    with drawing(path, WIDTH_IN, 1.8 + sum(heights), gap_in=0.04) as figure:
        write_title(figure, example.clip_id)
        all_axes = figure.subplots(len(rows), 1, sharex=True, height_ratios=heights, squeeze=False)
        for axes, row in zip(all_axes[:, 0], rows, strict=True):
            row.draw(axes, example)
            axes.set_xlim(0, example.duration_s)
        axes.set_xlabel("seconds")
        figure.align_ylabels(all_axes[:, 0])
        _write_prediction(all_axes[0, 0], example)


def _rows(example: ClipExample) -> list[_Row]:
    rows = [_Row(CROP_IN + 0.3, _draw_crops), _Row(0.3, _draw_speech)]
    rows.append(_Row(0.2 + 0.14 * (max(_levels(example.windows), default=0) + 1), _draw_windows))
    if example.windows:
        rows += [_Row(1.1, _draw_genders), _Row(1.2, _draw_ages)]
        if any(window.mask_types for window in example.windows):
            rows.append(_Row(1.4, _draw_mask_types))
    for modality, draw in (("audio", _draw_audio_attention), ("face", _draw_face_attention)):
        if lanes := [lane for lane in example.attention if lane.modality == modality]:
            rows.append(_Row(0.4 + 0.2 * len(lanes), draw))
    return rows


def _write_prediction(axes: Axes, example: ClipExample) -> None:
    """Write labels and prediction above the first row."""
    lines = {
        "true": _describe(example.labels),
        example.head: _describe(example.predicted) if example.windows else "no usable window",
    }
    width = max(map(len, lines))
    text = "\n".join(f"{name:>{width}}:  {words}" for name, words in lines.items())
    axes.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(0, 10), textcoords="offset points",
        va="bottom", family="DejaVu Sans Mono", fontsize=11,
    )  # fmt: skip


def _describe(attributes: Attributes) -> str:
    gender, age_years, mask_type, half_width = attributes
    spread = "" if half_width is None else f" ± {half_width:.0f}"
    return ", ".join(
        [
            gender or "gender unknown",
            "age unknown" if age_years is None else f"{age_years:.0f}{spread} years",
            "mask type unknown" if mask_type is None else f"mask type {mask_type}",
        ]
    )


def _draw_crops(axes: Axes, example: ClipExample) -> None:
    name_axes(axes, "faces")
    axes.spines[:].set_visible(False)
    axes.set(yticks=[], ylim=(-0.2, 1))
    axes.tick_params(axis="x", length=0)
    if not example.crops:
        say(axes, "no face found")
        return
    for crop in _choose_crops(example.crops):
        place = crop.second_s / example.duration_s
        axes.plot([crop.second_s], [-0.13], "^", color=GREY, markersize=6, clip_on=False)
        picture = OffsetImage(crop.picture, zoom=72 * CROP_IN / max(crop.picture.shape[:2]))
        axes.add_artist(
            AnnotationBbox(
                picture, (crop.second_s, 0.5), box_alignment=(min(place, 1.0), 0.5), pad=0,
                frameon=False,
            )
        )  # fmt: skip


def _choose_crops(crops: Sequence[ExampleCrop]) -> list[ExampleCrop]:
    numbers = np.linspace(0, len(crops) - 1, min(len(crops), MAX_CROPS)).round().astype(int)
    return [crops[number] for number in numbers]


def _draw_speech(axes: Axes, example: ClipExample) -> None:
    name_axes(axes, "speech")
    axes.set(yticks=[], ylim=(0, 1))
    spans = [(start, stop - start) for start, stop in example.speech_s]
    axes.broken_barh(spans, (0.15, 0.7), color=GREEN)
    if not spans:
        say(axes, "no speech found")


def _draw_windows(axes: Axes, example: ClipExample) -> None:
    name_axes(axes, "windows")
    levels = _levels(example.windows)
    axes.set(yticks=[], ylim=(max(levels, default=0) + 0.6, -0.6))
    for level in set(levels):
        spans = [
            (window.start_s, window.stop_s - window.start_s)
            for window, own in zip(example.windows, levels, strict=True)
            if own == level
        ]
        axes.broken_barh(spans, (level - 0.4, 0.8), color=SKY, edgecolor="white", linewidth=1)
    if not example.windows:
        say(axes, "no usable window")


def _levels(windows: Sequence[ExampleWindow]) -> list[int]:
    """Give each window the first level on which no earlier one is in its way."""
    stops: list[float] = []
    levels = []
    for window in windows:
        free = [level for level, stop in enumerate(stops) if stop <= window.start_s]
        level = free[0] if free else len(stops)
        stops[level : level + 1] = [window.stop_s]
        levels.append(level)
    return levels


def _draw_genders(axes: Axes, example: ClipExample) -> None:
    name_axes(axes, "gender")
    predictions = [window.genders for window in example.windows]
    _draw_probabilities(axes, example, predictions, true=example.labels.gender)


def _draw_mask_types(axes: Axes, example: ClipExample) -> None:
    name_axes(axes, "mask type")
    predictions = [window.mask_types for window in example.windows]
    _draw_probabilities(axes, example, predictions, true=example.labels.mask_type)


def _draw_probabilities(
    axes: Axes,
    example: ClipExample,
    predictions: Sequence[Mapping[str, float]],
    *,
    true: str | None,
) -> None:
    axes.set(ylim=(-0.05, 1.05))
    axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
    for number, label in enumerate(predictions[0]):
        colour = COLOUR_OF.get(label, SERIES[number % len(SERIES)])
        name = f"{label} (true)" if label == true else label
        _draw_values(axes, example, [shares[label] for shares in predictions], colour, name)
    put_legend(axes)


def _draw_ages(axes: Axes, example: ClipExample) -> None:
    name_axes(axes, "age, years")
    ages = [window.age_years for window in example.windows]
    _draw_values(axes, example, ages, BLUE, "window")
    known = [*ages]
    for age, colour, style, label in (
        (example.predicted.age_years, BLUE, "-", "clip"),
        (example.labels.age_years, INK, "--", "true"),
    ):
        if age is not None:
            axes.axhline(age, color=colour, linestyle=style, linewidth=1.2, label=label)
            known.append(age)
    age_years, half_width = example.predicted.age_years, example.predicted.age_half_width_years
    if age_years is not None and half_width is not None:
        interval = (age_years - half_width, age_years + half_width)
        axes.axhspan(*interval, color=BLUE, alpha=0.08, linewidth=0, label="interval")
        known += interval
    axes.set_ylim(max(0, min(known) - 5), max(known) + 5)
    put_legend(axes)


def _draw_values(
    axes: Axes, example: ClipExample, values: Sequence[float], colour: str, label: str
) -> None:
    """Draw a value for each window: a dot in its middle, a line as long as it is."""
    starts = np.array([window.start_s for window in example.windows])
    stops = np.array([window.stop_s for window in example.windows])
    axes.grid(True, axis="y")
    axes.hlines(values, starts, stops, color=colour, linewidth=3, alpha=0.3)
    axes.plot(
        (starts + stops) / 2, values, "o-", color=colour, markersize=5, linewidth=1, label=label
    )


def _draw_audio_attention(axes: Axes, example: ClipExample) -> None:
    _draw_attention(axes, example, "audio", "attention\nto audio")


def _draw_face_attention(axes: Axes, example: ClipExample) -> None:
    _draw_attention(axes, example, "face", "attention\nto faces")


def _draw_attention(axes: Axes, example: ClipExample, modality: str, name: str) -> None:
    lanes = [lane for lane in example.attention if lane.modality == modality]
    image = draw_strips(axes, lanes, example.duration_s)
    name_axes(axes, name)
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    bar = figure.colorbar(image, cax=axes.inset_axes((1.065, 0.05, 0.01, 0.9)), extend="both")
    bar.set_ticks([1 / FULL_SCALE, 1, FULL_SCALE])
    bar.set_ticklabels([f"÷ {FULL_SCALE:.0f}", "even", f"× {FULL_SCALE:.0f}"], fontsize=9)
    bar.minorticks_off()
