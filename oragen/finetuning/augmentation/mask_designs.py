"""A mask type and a generator -> a painted mask layer: one mask of this type, of random design."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch

from oragen.finetuning.augmentation.draws import choose, happens, uniform
from oragen.finetuning.augmentation.face_frames import Surface
from oragen.finetuning.augmentation.mask_layers import (
    Colour,
    Extent,
    MaskLayer,
    Points,
    arc,
    blank_layer,
    dimmed,
    ellipse,
    mirrored,
    smooth,
)

SURFACES: Final = {
    "tissue": Surface(depth=0.46, bend=1.15, taper=0.22),
    "medical": Surface(depth=0.46, bend=1.15, taper=0.22),
    "ffp": Surface(depth=0.58, bend=1.25, taper=0.3),
    "respirator": Surface(depth=0.64, bend=1.3, taper=0.35),
    "shield": Surface(depth=0.6, bend=0.6, taper=0.0),
}
_BELOW_EYES: Final = Extent(half_width=1.2, top=-0.05, bottom=2.25)
_WHOLE_FACE: Final = Extent(half_width=1.45, top=-1.3, bottom=2.5)

_CLOTHS: Final[tuple[Colour, ...]] = (
    (28, 28, 32), (42, 48, 70), (120, 122, 126), (225, 222, 214), (150, 38, 48), (60, 92, 74),
    (196, 150, 160), (84, 120, 166), (176, 158, 126), (96, 66, 110),
)  # fmt: skip
_MEDICALS: Final[tuple[Colour, ...]] = (
    (150, 196, 222), (150, 196, 222), (172, 208, 226), (138, 200, 196), (226, 232, 236),
    (232, 186, 200), (44, 46, 52),
)  # fmt: skip
_FFPS: Final[tuple[Colour, ...]] = (
    (236, 236, 232), (228, 230, 234), (240, 238, 230), (48, 50, 56), (178, 190, 202),
)  # fmt: skip
_RUBBERS: Final[tuple[Colour, ...]] = ((52, 54, 60), (74, 80, 90), (92, 96, 102), (52, 66, 96))
_FILTERS: Final[tuple[Colour, ...]] = (
    (196, 64, 120), (214, 208, 196), (120, 122, 128), (216, 178, 60), (140, 60, 120),
)  # fmt: skip
_BANDS: Final[tuple[Colour, ...]] = (
    (226, 228, 230), (200, 206, 212), (150, 158, 166), (70, 110, 170), (36, 38, 44),
)  # fmt: skip
_ELASTICS: Final[tuple[Colour, ...]] = ((236, 234, 228), (220, 190, 80), (92, 130, 180))


def paint_mask(mask_type: str, unit_px: float, generator: torch.Generator) -> MaskLayer:
    """Paint a mask; `unit_px` is how many pixels of the layer make an eye distance.

    Raises:
        ValueError: no mask type of this name is painted here.
    """
    if mask_type not in _PAINTERS:
        raise ValueError(f"No overlay for mask type {mask_type!r}, only for {sorted(_PAINTERS)}.")
    extent = _WHOLE_FACE if mask_type == "shield" else _BELOW_EYES
    layer = blank_layer(extent, unit_px)
    _PAINTERS[mask_type](layer, generator)
    return layer


def _tissue(layer: MaskLayer, generator: torch.Generator) -> None:
    top, colour = uniform(0.24, 0.42, generator), choose(_CLOTHS, generator)
    for line in _ear_loops(top + 0.12, 1.42):
        layer.stroke(line, dimmed(colour, 0.8), 0.05)
    half = [(0.0, top), (0.3, top + 0.1), (0.92, top + 0.22), (0.98, 1.4), (0.6, 2.0), (0.0, 2.16)]
    outline = smooth(mirrored(half))
    layer.fill(outline, colour)
    if happens(0.35, generator):
        _stripe(layer, choose(_CLOTHS, generator), uniform(0.06, 0.16, generator))
    if happens(0.5, generator):
        _pleat(layer, top, uniform(0.6, 0.8, generator))
    else:
        layer.crease([(0.0, top), (0.0, 2.16)], 100, 0.03)
        layer.crease([(0.03, top + 0.1), (0.04, 1.8)], 150, 0.04)
    _hem(layer, outline)
    _crumple(layer, 8, 18.0, generator)


def _medical(layer: MaskLayer, generator: torch.Generator) -> None:
    top, colour = uniform(0.2, 0.4, generator), choose(_MEDICALS, generator)
    for line in _ear_loops(top + 0.2, 1.36):
        layer.stroke(line, (228, 230, 232), 0.035)
    half = [
        (0.0, top),
        (0.26, top + 0.06),
        (0.9, top + 0.24),
        (0.95, 1.4),
        (0.6, 1.98),
        (0.0, 2.12),
    ]
    outline = smooth(mirrored(half))
    layer.fill(outline, colour)
    _pleat(layer, top, uniform(0.7, 0.85, generator))
    layer.draw(arc(top + 0.09, top + 0.22, 0.5), dimmed(colour, 1.12), 0.04)
    layer.crease(arc(top + 0.13, top + 0.26, 0.5), 104, 0.03)
    _hem(layer, outline)
    _crumple(layer, 5, 12.0, generator)


def _ffp(layer: MaskLayer, generator: torch.Generator) -> None:
    top, colour = uniform(0.16, 0.32, generator), choose(_FFPS, generator)
    elastic = choose(_ELASTICS, generator)
    for y, y_end in ((0.85, 0.1), (1.25, 1.2)):
        for side in (-1, 1):
            layer.stroke([(side * 0.6, y), (side * 1.14, y_end)], elastic, 0.06)
    half = [(0.0, top), (0.22, top + 0.12), (0.66, 0.72), (0.86, 1.2), (0.66, 1.84), (0.0, 2.08)]
    outline = smooth(mirrored(half))
    layer.fill(outline, colour)
    if happens(0.5, generator):  # folded along the middle, or a cup with a seam across
        layer.bulge([(0.0, top), (0.86, 0.7), (0.86, 1.9), (0.0, 2.08)], 114)
        layer.crease([(0.0, top + 0.1), (0.0, 2.08)], 150, 0.05)
    else:
        layer.bulge(ellipse((0.0, 1.0), (0.34, 0.3)), 146)
        layer.crease(arc(0.72, 0.98, 0.7), 96, 0.035)
        layer.crease(arc(1.42, 1.28, 0.7), 100, 0.035)
    if happens(0.4, generator):
        _valve(layer, (uniform(-0.3, 0.3, generator), 1.15), 0.17, dimmed(colour, 0.94))
    layer.draw(arc(top + 0.1, top + 0.22, 0.22), (168, 172, 178), 0.05)
    _hem(layer, outline)
    _crumple(layer, 3, 10.0, generator)


def _respirator(layer: MaskLayer, generator: torch.Generator) -> None:
    top, colour = uniform(0.14, 0.3, generator), choose(_RUBBERS, generator)
    for y, y_end in ((0.85, 0.15), (1.3, 1.3)):
        for side in (-1, 1):
            layer.stroke([(side * 0.4, y), (side * 1.16, y_end)], dimmed(colour, 0.6), 0.11)
    half = [(0.0, top), (0.16, top + 0.08), (0.54, 0.78), (0.76, 1.25), (0.56, 1.86), (0.0, 2.04)]
    outline = smooth(mirrored(half))
    layer.fill(outline, colour)
    layer.bulge(smooth([(-0.14, 0.4), (0.14, 0.4), (0.26, 1.5), (-0.26, 1.5)]), 156)
    filters, radius = choose(_FILTERS, generator), uniform(0.26, 0.34, generator)
    for side in (-1, 1):
        _cartridge(layer, (side * 0.56, 1.22), radius, filters, dimmed(colour, 0.75))
    _valve(layer, (0.0, 1.2), 0.2, dimmed(colour, 0.8))
    _hem(layer, outline)


def _shield(layer: MaskLayer, generator: torch.Generator) -> None:
    bottom, tint = uniform(2.0, 2.4, generator), uniform(0.06, 0.16, generator)
    half = [(0.0, -1.1), (1.2, -1.05), (1.3, 0.6), (1.1, bottom - 0.2), (0.0, bottom)]
    outline = smooth(mirrored(half))
    layer.fill(outline, (226, 234, 240), opacity=tint)
    for _ in range(choose((1, 2, 3), generator)):
        _add_reflection(layer, generator)
    rim = [*outline, outline[0]]
    layer.stroke(rim, (216, 224, 230), 0.015, opacity=uniform(0.25, 0.5, generator))
    band, y = choose(_BANDS, generator), uniform(-1.05, -0.85, generator)
    layer.stroke(arc(y, y + 0.1, 1.24), band, uniform(0.16, 0.28, generator), opacity=0.94)
    layer.draw(arc(y - 0.05, y + 0.05, 1.24), dimmed(band, 1.15), 0.04)


def _add_reflection(layer: MaskLayer, generator: torch.Generator) -> None:
    """Add a soft slanting streak of light, wherever the layer covers anything."""
    x, slant = uniform(-1.0, 0.9, generator), uniform(-0.4, 0.4, generator)
    width, strength = uniform(0.05, 0.35, generator), uniform(0.12, 0.4, generator)
    y1, y2 = uniform(-0.9, 0.2, generator), uniform(0.7, 1.9, generator)
    across, down = layer.axes()
    off_middle = (across - (x + slant * (down - y1))) / width
    along = np.clip((down - y1) / 0.3, 0, 1) * np.clip((y2 - down) / 0.3, 0, 1)
    light = (255 * strength * along) * np.exp(-off_middle * off_middle)
    layer.cover[:] = np.where(layer.cover > 0, np.minimum(layer.cover + light, 230), 0)


def _ear_loops(y_upper: float, y_lower: float) -> list[Points]:
    return [
        [(side * 0.8, y), (side * 1.13, y_end)]
        for side in (-1, 1)
        for y, y_end in ((y_upper + 0.12, 0.18), (y_lower, 0.62))
    ]


def _pleat(layer: MaskLayer, top: float, half_width: float) -> None:
    """Three folds across, each a shade with a light above it."""
    for share in (0.3, 0.5, 0.7):
        y = top + share * (2.05 - top)
        edge = y + 0.25 * (1.1 - y)
        layer.crease(arc(y, edge, half_width), 92, 0.035)
        layer.crease(arc(y - 0.05, edge - 0.05, half_width), 146, 0.045)


def _stripe(layer: MaskLayer, colour: Colour, width: float) -> None:
    for y in np.arange(0.2, 2.2, 2 * width).tolist():
        layer.draw(arc(y, y - 0.05, 1.0), colour, width)


def _valve(layer: MaskLayer, centre: tuple[float, float], radius: float, colour: Colour) -> None:
    layer.fill(ellipse(centre, (radius, 0.85 * radius)), colour)
    layer.crease(
        [*ellipse(centre, (radius, 0.85 * radius)), (centre[0] + radius, centre[1])], 84, 0.03
    )
    for step in (-0.4, 0.0, 0.4):
        y = centre[1] + step * radius
        layer.crease([(centre[0] - 0.6 * radius, y), (centre[0] + 0.6 * radius, y)], 92, 0.025)


def _cartridge(
    layer: MaskLayer, centre: tuple[float, float], radius: float, colour: Colour, rim: Colour
) -> None:
    x, y = centre
    layer.fill(ellipse(centre, (0.85 * radius, radius)), rim)
    layer.fill(ellipse(centre, (0.68 * radius, 0.82 * radius)), colour)
    layer.bulge(ellipse((x - 0.06, y - 0.1), (0.35 * radius, 0.4 * radius)), 158)
    for share in (0.3, 0.55):
        ring = ellipse(centre, (share * radius, 1.2 * share * radius))
        layer.crease([*ring, ring[0]], 104, 0.02)


def _hem(layer: MaskLayer, outline: Points) -> None:
    layer.crease([*outline, outline[0]], 104, 0.045)


def _crumple(layer: MaskLayer, num_folds: int, strength: float, generator: torch.Generator) -> None:
    """Short soft folds anywhere."""
    for _ in range(num_folds):
        x, y = uniform(-0.7, 0.7, generator), uniform(0.4, 1.8, generator)
        end = (x + uniform(-0.3, 0.3, generator), y + uniform(-0.25, 0.25, generator))
        level = 128 + round(uniform(-strength, strength, generator))
        layer.crease([(x, y), end], level, uniform(0.1, 0.3, generator))


_PAINTERS: Final[dict[str, Callable[[MaskLayer, torch.Generator], None]]] = {
    "tissue": _tissue,
    "medical": _medical,
    "ffp": _ffp,
    "respirator": _respirator,
    "shield": _shield,
}
