"""A stored picture and its display matrix -> the picture as it is shown: upright, not mirrored."""

from collections.abc import Mapping
from typing import Final, cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from jaxtyping import Int32, UInt8

_UPRIGHT: Final = np.diag([1 << 16, 1 << 16, 1 << 30]).astype(np.int32)

Rgb = UInt8[np.ndarray, "_ _ 3"]


def turn_upright(rgb: Rgb, matrix: Int32[np.ndarray, "3 3"]) -> Rgb:
    """Turn and mirror a picture by the nearest of the eight ways that keep its edges straight.

    Args:
        rgb: as stored.
        matrix: as in ISO/IEC 14496-12, 8.3.2: with rows a b u, c d v, x y w, column p and row q
            come to column a p + c q and row b p + d q.
    """
    (a, b), (c, d) = matrix[:2, :2].astype(np.int64)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        across, down = a, d
    else:
        rgb, across, down = rgb.swapaxes(0, 1), c, b  # height, width, 3 -> width, height, 3
    upright = rgb[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
    return np.ascontiguousarray(upright, np.uint8)


def display_matrix(frame: VideoFrame) -> Int32[np.ndarray, "3 3"]:
    """Return the display matrix of a video frame: of the file, or else of the codec."""
    side_data = cast("Mapping[str, SideData]", frame.side_data)  # PyAV's stub says otherwise
    data = side_data.get("DISPLAYMATRIX")
    return _UPRIGHT if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)
