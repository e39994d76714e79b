"""Attention maps and lanes -> heat maps of one window, strips over the time of a clip."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import SubFigure
from matplotlib.image import AxesImage

from oragen.reporting.attention.lanes import AttentionLane
from oragen.reporting.attention.maps import AttentionMap, AttentionMaps
from oragen.reporting.figures.canvas import PALE, drawing, say, write_title

HEAT: Final = "magma_r"
MORE_OR_LESS: Final = "PuOr_r"
TITLES: Final = {
    "tasks": "Each task attends to all audio frames and all crops",
    "audio_to_face": "The audio attends to the face",
    "face_to_audio": "The face attends to the audio",
}
NUM_BINS: Final = 600  # of a strip: about a dot each
FULL_SCALE: Final = 3.0  # times an even share, or one of so many; beyond that looks the same


class _Panel(NamedTuple):
    title: str
    weights: Float[np.ndarray, "query places"]
    inches: float
    axis: str
    slots: tuple[int, int] | None = None  # how many, and the layers of each

    @property
    def highest(self) -> float:
        """Weight of the darkest colour."""
        return float(self.weights.max()) if self.axis else 1.0


def draw_attention(path: Path, maps: AttentionMaps, window: int, title: str) -> None:
    """Draw all maps of one window: a row for each query, a column for each place.

    Every panel has a scale of its own, since an audio frame is one of many and a slot one of few.
    Grey is what was not there. Beside its row is the share of a query's attention that went to the
    whole panel.
    """
    heights = [1.4 + 0.36 * len(attention.queries) for attention in maps.values()]
    with drawing(path, 11.0, 0.6 + sum(heights) if maps else 3.0) as figure:
        write_title(figure, title)
        if not maps:
            say(figure.subplots(), "this head has no attention")
            return
        rows = figure.subfigures(len(maps), 1, squeeze=False, height_ratios=heights)
        for row, (name, attention) in zip(rows[:, 0], maps.items(), strict=True):
            row.suptitle(TITLES.get(name, name), fontsize=12, x=0.01, ha="left")
            _draw_map(row, attention, window)


def draw_strips(axes: Axes, lanes: Sequence[AttentionLane], duration_s: float) -> AxesImage:
    """Draw lanes of one modality over the time of a clip: more or less than an even share.

    Where windows overlap it is their mean; what is in no window is hatched.
    """
    strips = np.ma.masked_invalid([rasterise(lane, duration_s) for lane in lanes])
    strips = np.ma.maximum(strips, 1e-3 / FULL_SCALE)  # colours are by the logarithm
    image = axes.imshow(
        strips, cmap=MORE_OR_LESS, norm=LogNorm(1 / FULL_SCALE, FULL_SCALE), aspect="auto",
        interpolation="nearest", extent=(0, duration_s, len(lanes) - 0.5, -0.5),
    )  # fmt: skip
    axes.patch.set(hatch="////", facecolor="white", edgecolor=PALE, linewidth=0)
    axes.set_yticks(range(len(lanes)), [lane.name for lane in lanes])
    axes.tick_params(axis="y", length=0)
    for edge in range(1, len(lanes)):
        axes.axhline(edge - 0.5, color="white", linewidth=2)
    _write_shares(axes, [lane.share for lane in lanes])
    return image


def rasterise(lane: AttentionLane, duration_s: float) -> Float[np.ndarray, " bins"]:
    """Lay the cells of a lane on bins of equal length: the mean of those that hold its middle.

    NaN where there is none.
    """
    middles = (np.arange(NUM_BINS) + 0.5) * duration_s / NUM_BINS
    first, last = np.searchsorted(middles, [lane.starts_s, lane.stops_s])
    sums, numbers = np.zeros(NUM_BINS + 1), np.zeros(NUM_BINS + 1)
    for edges, sign in ((first, 1.0), (last, -1.0)):
        np.add.at(sums, edges, sign * lane.times_even)
        np.add.at(numbers, edges, sign)
    numbers = numbers.cumsum()[:-1]
    mean = sums.cumsum()[:-1] / np.maximum(numbers, 1)
    return np.where(numbers > 0, np.maximum(mean, 0), np.nan)


def _draw_map(row: SubFigure, attention: AttentionMap, window: int) -> None:
    panels = [panel for panel in _panels(attention, window) if panel.weights.any()]
    widths = [panel.inches for panel in panels]
    all_axes = row.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_panel(axes, panel)
    all_axes[0].set_yticks(range(len(attention.queries)), attention.queries)


def _draw_panel(axes: Axes, panel: _Panel) -> None:
    image = axes.imshow(
        np.ma.masked_equal(panel.weights, 0), cmap=HEAT, vmin=0, vmax=panel.highest, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    axes.set_facecolor(PALE)
    axes.set_title(panel.title, fontweight="normal", fontsize=11)
    axes.set_xlabel(panel.axis)
    axes.set_yticks([])
    axes.tick_params(axis="y", length=0)
    _write_shares(axes, panel.weights.sum(axis=1).tolist())
    if panel.slots is not None:
        _mark_slots(axes, *panel.slots)
    if not panel.axis:
        axes.set_xticks([])
        return
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(
        image, cax=axes.inset_axes((1 + 0.75 / panel.inches, 0, 0.12 / panel.inches, 1))
    )
    bar.set_label("weight", fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _panels(attention: AttentionMap, window: int) -> list[_Panel]:
    face = attention.face[window]
    num_queries, num_slots, num_layers = face.shape
    # query, slots, layers -> query, slots * layers
    by_layer = face.reshape(num_queries, num_slots * num_layers)
    layers = f", {num_layers} layers each" if num_layers > 1 else ""
    return [
        _Panel("audio", attention.audio[window], 6.0, "audio frame"),
        _Panel("face", by_layer, 4.0, f"slot{layers}", (num_slots, num_layers)),
        _Panel("nothing", attention.nothing[window][:, None], 0.6, ""),
    ]


def _mark_slots(axes: Axes, num_slots: int, num_layers: int) -> None:
    middles = np.arange(num_slots) * num_layers + (num_layers - 1) / 2
    axes.set_xticks(middles, [str(slot + 1) for slot in range(num_slots)])
    for edge in range(1, num_slots):
        axes.axvline(edge * num_layers - 0.5, color="white", linewidth=2)


def _write_shares(axes: Axes, shares: Sequence[float]) -> None:
    for row, share in enumerate(shares):
        axes.annotate(
            f"{share:.0%}", (1, row), xycoords=("axes fraction", "data"), xytext=(5, 0),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
