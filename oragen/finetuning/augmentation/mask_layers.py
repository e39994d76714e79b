"""Outlines in face coordinates -> a painted mask layer, to be laid over a face."""

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

Colour: TypeAlias = tuple[int, int, int]  # red, green, blue
Point: TypeAlias = tuple[float, float]  # x to the left cheek, y down, in eye distances
Points: TypeAlias = list[Point]

_SHIFT: Final = 4  # OpenCV's fixed point: sixteenths of a pixel
_NEUTRAL: Final = 128  # relief that neither darkens nor lightens
_ROUNDS: Final = 2  # of cutting corners
_ELLIPSE_POINTS: Final = 24
_ARC_POINTS: Final = 9


class Extent(NamedTuple):
    """The part of the face that a mask layer spans, in eye distances."""

    half_width: float
    top: float
    bottom: float


@dataclass(frozen=True)
class MaskLayer:
    """A flat mask to paint on. `cover` is opacity, `relief` darkens (below 128) or lightens."""

    extent: Extent
    unit_px: float
    paint: UInt8[np.ndarray, "height width 3"]
    cover: UInt8[np.ndarray, "height width"]
    relief: UInt8[np.ndarray, "height width"]

    def fill(self, outline: Points, colour: Colour, *, opacity: float = 1.0) -> None:
        """Fill an outline and make it cover what is beneath."""
        corners = [self._fixed(outline)]
        cv2.fillPoly(self.paint, corners, colour, cv2.LINE_AA, _SHIFT)
        cv2.polylines(self.paint, corners, True, colour, 2, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.cover, corners, (255 * opacity,), cv2.LINE_AA, _SHIFT)

    def stroke(self, line: Points, colour: Colour, width: float, *, opacity: float = 1.0) -> None:
        """Draw a band that covers what is beneath."""
        thickness = max(1, round(width * self.unit_px))
        corners = [self._fixed(line)]
        cv2.polylines(self.paint, corners, False, colour, thickness + 2, cv2.LINE_AA, _SHIFT)
        cv2.polylines(self.cover, corners, False, (255 * opacity,), thickness, cv2.LINE_AA, _SHIFT)

    def draw(self, line: Points, colour: Colour, width: float) -> None:
        """Draw on what is already painted, without covering more."""
        thickness = max(1, round(width * self.unit_px))
        cv2.polylines(
            self.paint, [self._fixed(line)], False, colour, thickness, cv2.LINE_AA, _SHIFT
        )

    def crease(self, line: Points, level: int, width: float) -> None:
        """Lay a fold: `level` below 128 is shade, above is light."""
        thickness = max(1, round(width * self.unit_px))
        cv2.polylines(
            self.relief, [self._fixed(line)], False, (level,), thickness, cv2.LINE_AA, _SHIFT
        )

    def bulge(self, outline: Points, level: int) -> None:
        """Shade a whole area."""
        cv2.fillPoly(self.relief, [self._fixed(outline)], (level,), cv2.LINE_AA, _SHIFT)

    def axes(self) -> tuple[Float32[np.ndarray, "1 width"], Float32[np.ndarray, "height 1"]]:
        """Return x of each column and y of each row."""
        height, width = self.cover.shape
        x = np.arange(width, dtype=np.float32) / self.unit_px - self.extent.half_width
        y = np.arange(height, dtype=np.float32) / self.unit_px + self.extent.top
        return x[None], y[:, None]

    def _fixed(self, points: Points) -> np.ndarray:
        corner = (-self.extent.half_width, self.extent.top)
        pixels = (np.asarray(points) - corner) * (self.unit_px * 2**_SHIFT)
        return np.round(pixels).astype(np.int32)


def blank_layer(extent: Extent, unit_px: float) -> MaskLayer:
    width = round(2 * extent.half_width * unit_px) + 1
    height = round((extent.bottom - extent.top) * unit_px) + 1
    return MaskLayer(
        extent=extent,
        unit_px=unit_px,
        paint=np.zeros((height, width, 3), np.uint8),
        cover=np.zeros((height, width), np.uint8),
        relief=np.full((height, width), _NEUTRAL, np.uint8),
    )


def mirrored(right: Points) -> Points:
    """Mirror the half of an outline that goes from the top middle to the bottom middle."""
    return right + [(-x, y) for x, y in reversed(right) if x]


def smooth(outline: Points) -> Points:
    """Cut the corners of a closed outline (Chaikin 1974), then those of the cuts."""
    line = np.asarray(outline, float)
    for _ in range(_ROUNDS):
        after = np.roll(line, -1, axis=0)
        # point, 2 -> point, two cuts, 2 -> point, 2
        cut = np.stack([0.75 * line + 0.25 * after, 0.25 * line + 0.75 * after], axis=1)
        line = cut.reshape(-1, 2)
    return [(x, y) for x, y in line.tolist()]


def ellipse(centre: Point, radius: Point) -> Points:
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)
    x = centre[0] + radius[0] * np.cos(angle)
    y = centre[1] + radius[1] * np.sin(angle)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def arc(y_middle: float, y_edge: float, half_width: float) -> Points:
    """A line across the face, at `y_edge` on both cheeks."""
    x = np.linspace(-half_width, half_width, _ARC_POINTS)
    y = y_middle + (y_edge - y_middle) * (x / half_width) ** 2
    return list(zip(x.tolist(), y.tolist(), strict=True))


def dimmed(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(factor * part)) for part in colour)
    return red, green, blue
