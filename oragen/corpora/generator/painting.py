"""Polygons in head units -> soft-edged paint on a canvas with a matte.

Head units: (0, 0) is the middle of the face, y grows downwards, the crown is at y = -1 and the
chin at y = 1. Colours are RGB from 0 to 255.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
# beartype, which checks the tests, takes no int for a float; drawings read better with both.
Real = float | int
Colour = tuple[Real, Real, Real]
Pixels = NDArray[np.float32]
Region = tuple[slice, slice]

UNIT_PX: Final = 80
CENTRE_UNITS: Final = (2.2, 1.5)
WIDTH_PX: Final = round(4.4 * UNIT_PX)
HEIGHT_PX: Final = round(4.1 * UNIT_PX)
SUBPIXEL_BITS: Final = 4


@dataclass(frozen=True)
class Canvas:
    """Pixels of (height, width, RGB) and the matte that says where they are solid (0 to 1)."""

    pixels: Pixels
    matte: Pixels

    @classmethod
    def empty(cls) -> "Canvas":
        return cls(
            np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.float32),
            np.zeros((HEIGHT_PX, WIDTH_PX), np.float32),
        )

    def fill(
        self,
        points: Points,
        colour: Colour,
        *,
        opacity: Real = 1.0,
        softness: Real = 0.0,
        within: Points | None = None,
        solid: bool = False,
    ) -> None:
        """Paint a polygon; `solid` paint also hides the background, `within` clips it."""
        region = _region(points, 3 * softness + 0.03)
        matte = _polygon_matte(points, region)
        self._blend(region, matte, colour, opacity, softness, within, solid)

    def stroke(
        self,
        points: Points,
        colour: Colour,
        width: Real,
        *,
        opacity: Real = 1.0,
        softness: Real = 0.0,
        closed: bool = False,
        within: Points | None = None,
        solid: bool = False,
    ) -> None:
        """Paint a line of `width` head units."""
        region = _region(points, 3 * softness + width + 0.03)
        thickness_px = max(1, round(width * UNIT_PX))
        matte = _line_matte(points, region, thickness_px, closed=closed)
        thin = min(1.0, width * UNIT_PX / thickness_px)
        self._blend(region, matte, colour, opacity * thin, softness, within, solid)

    def shade(self, centre: Sequence[Real], radii: Sequence[Real], gain: Real) -> None:
        """Multiply by a Gaussian blob: `gain` below 1 darkens, above 1 lightens."""
        region = _region(np.array([centre]), 2.6 * max(radii))
        y = _distances(region[0], CENTRE_UNITS[1] + centre[1], radii[1])
        x = _distances(region[1], CENTRE_UNITS[0] + centre[0], radii[0])
        # height, 1 * 1, width -> height, width -> height, width, 1
        blob = np.exp(-0.5 * y**2)[:, None] * ((gain - 1) * np.exp(-0.5 * x**2))[None, :]
        self.pixels[region] *= (1 + blob.astype(np.float32))[:, :, None]

    def roughen(self, gain: Pixels, within: Points) -> None:
        """Multiply by a gain of (height, width) inside a polygon."""
        region = _region(within, 0.0)
        matte = _polygon_matte(within, region)
        self.pixels[region] *= (1 + (gain[region] - 1) * matte)[:, :, None]

    def _blend(
        self,
        region: Region,
        matte: Pixels,
        colour: Colour,
        opacity: Real,
        softness: Real,
        within: Points | None,
        solid: bool,
    ) -> None:
        if softness > 0:
            matte = np.asarray(cv2.GaussianBlur(matte, (0, 0), softness * UNIT_PX))
        if within is not None:
            matte = matte * _polygon_matte(within, region)
        matte = matte * np.float32(opacity)
        pixels = self.pixels[region]
        pixels += (np.array(colour, np.float32) - pixels) * matte[:, :, None]
        if solid:
            np.maximum(self.matte[region], matte, out=self.matte[region])


def smooth(points: Sequence[Sequence[Real]], *, closed: bool = False, steps: int = 6) -> Points:
    """Corner points -> a Catmull-Rom curve through them."""
    corners = np.asarray(points, dtype=np.float64)
    if closed:
        padded = np.concatenate([corners[-1:], corners, corners[:2]])
    else:
        padded = np.concatenate([corners[:1], corners, corners[-1:]])
    # corner, xy -> corner, 1, xy
    before, start, stop, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]  # 1, step, 1
    curve = 0.5 * (
        2 * start
        + (stop - before) * t
        + (2 * before - 5 * start + 4 * stop - after) * t**2
        + (3 * start - before - 3 * stop + after) * t**3
    )
    flat = curve.reshape(-1, 2)  # corner, step, xy -> point, xy
    return flat if closed else np.concatenate([flat, corners[-1:]])


def mirrored(right: Sequence[Sequence[Real]]) -> Points:
    """The right half of an outline, from top to bottom -> the whole outline."""
    half = np.asarray(right, dtype=np.float64)
    left = half[::-1] * (-1, 1)
    inner = left[np.abs(left[:, 0]) > 1e-9]
    return np.concatenate([half, inner])


def ellipse(centre: Sequence[Real], radii: Sequence[Real], *, degrees: Real = 0.0) -> Points:
    """Centre and radii -> the points of an ellipse, turned by some degrees."""
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    turn = np.deg2rad(degrees)
    x, y = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
    # point -> point, xy
    turned = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1)
    return np.asarray(turned + np.asarray(centre))


def mix(first: Colour, second: Colour, share: Real) -> Colour:
    """First colour at share 0, second at share 1."""
    blend = np.asarray(first) * (1 - share) + np.asarray(second) * share
    return (float(blend[0]), float(blend[1]), float(blend[2]))


def dimmed(colour: Colour, gain: Real) -> Colour:
    """Multiply a colour; a gain below 1 darkens it."""
    return (colour[0] * gain, colour[1] * gain, colour[2] * gain)


def _region(points: Points, margin: Real) -> Region:
    """Return the rows and columns of the canvas that hold the points and a margin."""
    x_low, y_low = ((points.min(axis=0) - margin + CENTRE_UNITS) * UNIT_PX).tolist()
    x_high, y_high = ((points.max(axis=0) + margin + CENTRE_UNITS) * UNIT_PX).tolist()
    return _stretch(y_low, y_high, HEIGHT_PX), _stretch(x_low, x_high, WIDTH_PX)


def _stretch(low: float, high: float, size_px: int) -> slice:
    # One pixel at least: OpenCV refuses empty pictures, and a shape may lie off the canvas.
    start = min(max(math.floor(low), 0), size_px - 1)
    return slice(start, max(min(math.ceil(high), size_px), start + 1))


def _distances(stretch: slice, centre: Real, radius: Real) -> NDArray[np.float64]:
    return np.asarray((np.arange(stretch.start, stretch.stop) / UNIT_PX - centre) / radius)


def _in_region(points: Points, region: Region) -> NDArray[np.int32]:
    """Head units -> fixed-point pixels of a region, as OpenCV draws them."""
    corner = np.array([region[1].start, region[0].start])  # x, y: columns come first
    pixels = (points + CENTRE_UNITS) * UNIT_PX - corner
    return np.asarray(np.rint(pixels * 2**SUBPIXEL_BITS), dtype=np.int32)


def _blank(region: Region) -> NDArray[np.uint8]:
    rows, columns = region
    return np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)


def _polygon_matte(points: Points, region: Region) -> Pixels:
    matte = _blank(region)
    cv2.fillPoly(matte, [_in_region(points, region)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return matte.astype(np.float32) / np.float32(255)


def _line_matte(points: Points, region: Region, thickness_px: int, *, closed: bool) -> Pixels:
    matte = _blank(region)
    pixels = [_in_region(points, region)]
    cv2.polylines(matte, pixels, closed, 255, thickness_px, cv2.LINE_AA, SUBPIXEL_BITS)
    return matte.astype(np.float32) / np.float32(255)
