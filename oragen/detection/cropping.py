"""A picture and the box of a face -> the crop of that face."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from oragen.detection.face_detectors import Box
from oragen.detection.landmarks import Rgb


def crop_face(
    rgb: Rgb, box: Box, *, margin: float, crop_px: int
) -> UInt8[np.ndarray, "{crop_px} {crop_px} 3"]:
    """Picture and face -> a square crop of `crop_px`, the face in its middle.

    The square's side is the longer side of the box, clipped to the picture, times 1 + 2 x `margin`.
    Where the square leaves the picture, the edge of the picture is repeated.

    Raises:
        ValueError: no part of the box is in the picture.
    """
    import cv2

    square = _place_square(rgb, box, margin)
    rows, columns = square.pixel_numbers(rgb)
    shrinks = square.side > crop_px
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    cut = rgb[rows[:, None], columns]  # height, width, 3 -> side, side, 3
    return np.asarray(cv2.resize(cut, (crop_px, crop_px), interpolation=interpolation), np.uint8)


def crop_rectangle(
    rgb: Rgb, box: Box, *, margin: float, crop_px: int
) -> UInt8[np.ndarray, "{crop_px} {crop_px} 3"]:
    """Picture and face -> the box and a margin, squeezed to a square of `crop_px`.

    As in the inference of chimera_ml (`examples/oragen`): edges are rounded to pixels, each side
    grows by `margin` of the box, and what leaves the picture is cut off. Pillow scales, bilinear
    with antialiasing.

    Raises:
        ValueError: no part of the box is in the picture.
    """
    from PIL import Image

    _refuse_outside(rgb, box)
    height, width = rgb.shape[:2]
    x1, y1, x2, y2 = (round(edge) for edge in box[:4])
    across, down = round(max(x2 - x1, 1) * margin), round(max(y2 - y1, 1) * margin)
    left, right = max(0, x1 - across), min(width, max(x2, x1 + 1) + across)
    top, bottom = max(0, y1 - down), min(height, max(y2, y1 + 1) + down)
    image = Image.fromarray(rgb[top:bottom, left:right])
    return np.asarray(image.resize((crop_px, crop_px), Image.Resampling.BILINEAR))


def place_landmarks(rgb: Rgb, box: Box, *, margin: float, crop_px: int) -> list[float] | None:
    """Landmarks in pixels of the picture -> in pixels of the crop by `crop_face`."""
    if box.landmarks is None:
        return None
    square = _place_square(rgb, box, margin)
    points = np.reshape(box.landmarks, (5, 2)) - (square.left, square.top)
    placed: list[float] = (points * (crop_px / square.side)).ravel().tolist()
    return placed


def _clip(rgb: Rgb, box: Box) -> Box:
    height, width = rgb.shape[:2]
    x1, y1 = max(0.0, box.x1), max(0.0, box.y1)
    return Box(x1, y1, min(float(width), box.x2), min(float(height), box.y2), box.score)


def is_inside(rgb: Rgb, box: Box) -> bool:
    """Return whether any part of the box is in the picture."""
    part = _clip(rgb, box)
    return part.x1 < part.x2 and part.y1 < part.y2


def _refuse_outside(rgb: Rgb, box: Box) -> None:
    if not is_inside(rgb, box):
        height, width = rgb.shape[:2]
        raise ValueError(f"{box} is outside the picture of {width} x {height} pixels")


class _Square(NamedTuple):
    """The square to cut out of a picture, in pixels; a part of it may lie outside."""

    left: int
    top: int
    side: int

    def pixel_numbers(
        self, rgb: Rgb
    ) -> tuple[Int64[np.ndarray, " side"], Int64[np.ndarray, " side"]]:
        """Return rows and columns; those outside the picture are moved to its edge."""
        height, width = rgb.shape[:2]
        stretch = np.arange(self.side)
        return (
            np.clip(self.top + stretch, 0, height - 1),
            np.clip(self.left + stretch, 0, width - 1),
        )


def _place_square(rgb: Rgb, box: Box, margin: float) -> _Square:
    _refuse_outside(rgb, box)
    x1, y1, x2, y2, *_ = _clip(rgb, box)
    side = max(1, round(max(x2 - x1, y2 - y1) * (1 + 2 * margin)))
    return _Square(round((x1 + x2) / 2 - side / 2), round((y1 + y2) / 2 - side / 2), side)
