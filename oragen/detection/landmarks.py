"""A picture and the place of a face -> five landmarks of the face, by its eyes."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float, UInt8

if TYPE_CHECKING:
    import cv2

Rgb = UInt8[np.ndarray, "height width 3"]
Points = Float[np.ndarray, "points 2"]  # x, y in pixels

# Nose, right and left corner of the mouth of an upright face: offsets from the middle between the
# eyes, in eye distances, as in the template of ArcFace (Deng et al., CVPR 2019).
BELOW_THE_EYES: Final = np.array([[0.0, 0.57], [-0.42, 1.15], [0.42, 1.15]])


@dataclass(frozen=True)
class EyeFinder:
    """The Haar cascade for eyes inside OpenCV 4.

    Measured on 80 faces of twelve real clips: it finds both eyes in 46, nine of ten within 0.16 eye
    distances of YuNet's. Of 39 generated faces it finds them in 38. The others get no landmarks. A
    turned face is treated as if it looked straight ahead.
    """

    file: str = "haarcascade_eye.xml"
    face_px: int = 200  # a face is searched at this width
    height: float = 0.6  # the part of the face that has the eyes
    eye_px: tuple[int, int] = (24, 80)
    scale_factor: float = 1.05
    min_neighbors: int = 3
    distance: tuple[float, float] = (0.25, 0.5)  # of the eyes, in widths of the face
    max_slope: float = 0.35  # of the line through them

    @cached_property
    def _cascade(self) -> "cv2.CascadeClassifier":
        import cv2
        import cv2.data

        return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / self.file))

    def find_landmarks(
        self, rgb: Rgb, *, left: int, top: int, side: int
    ) -> tuple[float, ...] | None:
        """Return x, y of right eye, left eye, nose and the corners of the mouth, in pixels.

        None unless exactly one eye is found in each half of the square, and both on one line.
        """
        # eye, (x, y)
        eyes = self._find_eyes(rgb[top : top + round(self.height * side), left : left + side])
        halves = [eyes[eyes[:, 0] < side / 2], eyes[eyes[:, 0] >= side / 2]]
        if [len(half) for half in halves] != [1, 1]:
            return None
        right, left_eye = halves[0][0], halves[1][0]
        across = left_eye - right
        low, high = self.distance
        is_level = abs(across[1]) <= self.max_slope * across[0]
        if not (is_level and low * side <= across[0] <= high * side):
            return None
        down = np.array([-across[1], across[0]])
        # (point, 2) @ (2, xy) -> point, xy
        below = (right + left_eye) / 2 + BELOW_THE_EYES @ np.stack([across, down])
        points = np.concatenate([[right, left_eye], below]) + np.array([left, top])
        return tuple(points.ravel().tolist())

    def _find_eyes(self, face: Rgb) -> Points:
        """Return the centres of all eyes found in a square, in its pixels."""
        import cv2

        if not face.size:
            return np.zeros((0, 2))
        zoom = self.face_px / face.shape[1]
        size = self.face_px, max(1, round(zoom * face.shape[0]))
        smallest, largest = self.eye_px
        boxes = self._cascade.detectMultiScale(
            cv2.cvtColor(cv2.resize(face, size), cv2.COLOR_RGB2GRAY),
            scaleFactor=self.scale_factor,
            minNeighbors=self.min_neighbors,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        corners_and_sizes = np.reshape(np.asarray(boxes, float), (-1, 4))  # x, y, width, height
        return np.asarray((corners_and_sizes[:, :2] + corners_and_sizes[:, 2:] / 2) / zoom)
