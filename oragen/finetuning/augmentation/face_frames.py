"""Five landmarks -> where a surface over the face appears in the picture.

Face coordinates have their origin between the eyes and the distance of the eyes as their unit: x to
the left cheek (which a picture shows on the right), y down the face, z out of it. A surface is bent
around the head and falls away above and below the nose:

    z = depth - bend * x ** 2 - taper * (y - 0.75) ** 2
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Float32

# Right eye, left eye, nose, right and left corner of the mouth; x and y are those of the template
# that ArcFace aligns faces to (Deng et al., CVPR 2019), z is a guess for an ordinary face.
TEMPLATE: Final = np.array(
    [[-0.5, 0, 0], [0.5, 0, 0], [0, 0.57, 0.42], [-0.42, 1.15, 0.05], [0.42, 1.15, 0.05]]
)
_TO_PROJECTION: Final = np.linalg.pinv(np.column_stack([TEMPLATE, np.ones(5)]))
_NOSE_Y: Final = 0.75

Landmarks = Float[np.ndarray, "5 2"]  # x, y in pixels, in the order of TEMPLATE


class Surface(NamedTuple):
    """The shape that a mask layer is bent to, in eye distances."""

    depth: float
    bend: float
    taper: float

    def lift(
        self, x: Float[np.ndarray, "*#grid"], y: Float[np.ndarray, "*#grid"]
    ) -> Float[np.ndarray, "*grid 3"]:
        """Add z to x and y."""
        z = self.depth - self.bend * x**2 - self.taper * (y - _NOSE_Y) ** 2
        return np.stack(np.broadcast_arrays(x, y, z), axis=-1)  # grid -> grid, 3


class View(NamedTuple):
    """Which point of a surface each pixel shows.

    `visible` is the share of the pixel (0..1) that lies within the surface's outline against the
    background, which is where a turned face hides the rest of it.
    """

    x: Float32[np.ndarray, "height width"]
    y: Float32[np.ndarray, "height width"]
    visible: Float32[np.ndarray, "height width"]


@dataclass(frozen=True)
class FaceFrame:
    """An affine camera: face coordinates -> pixels."""

    axes: Float[np.ndarray, "2 3"]  # pixels for a step along x, y, z
    origin: Float[np.ndarray, "2"]  # pixels

    @property
    def unit_px(self) -> float:
        """The unit in pixels: mean of a step across and a step down the face."""
        return float(np.linalg.norm(self.axes[:, :2], axis=0).mean())

    def to_pixels(self, points: Float[np.ndarray, "*grid 3"]) -> Float[np.ndarray, "*grid 2"]:
        return np.asarray(points @ self.axes.T + self.origin)

    def seen_from(self, x_px: int, y_px: int) -> "FaceFrame":
        """The same face in a picture that begins x_px further right and y_px further down."""
        return FaceFrame(axes=self.axes, origin=self.origin - (x_px, y_px))


def fit_face(landmarks: Landmarks) -> FaceFrame:
    """Find the affine camera that puts the template nearest the landmarks (least squares).

    Eyes and mouth give tilt, size and proportions, the nose gives how far the head is turned.
    """
    projection = (_TO_PROJECTION @ landmarks).T
    return FaceFrame(axes=projection[:, :3], origin=projection[:, 3])


def look_up(frame: FaceFrame, surface: Surface, *, height_px: int, width_px: int) -> View:
    """Find the point of a surface that each pixel shows.

    With q = x, y of a pixel if z were 0, and s = the shift of x, y for a unit of z, the point is
    at x = q_x - s_x z, a quadratic equation whose nearer root is taken, and y = q_y - s_y z. The
    taper is taken at the y where the middle of the surface would be.
    """
    inverse = np.linalg.inv(frame.axes[:, :2])
    shift_x, shift_y = (inverse @ frame.axes[:, 2]).astype(np.float32)
    # One column coordinate for each x, one row coordinate for each y: sums are height, width.
    columns, rows = np.arange(width_px, dtype=np.float32), np.arange(height_px, dtype=np.float32)
    (a, b, c), (d, e, f) = np.column_stack([inverse, -inverse @ frame.origin]).astype(np.float32)
    flat_y = (d * columns + f)[None] + (e * rows)[:, None]
    off_nose = flat_y - np.float32(shift_y * surface.depth + _NOSE_Y)
    ridge = surface.depth - surface.taper * off_nose * off_nose
    flat_x = (a * columns + c)[None] + (b * rows)[:, None] - shift_x * ridge
    steepness = 4 * shift_x * surface.bend
    discriminant = 1 - steepness * flat_x
    x = 2 * flat_x / (1 + np.sqrt(np.maximum(discriminant, 0)))
    y = flat_y - shift_y * (ridge - surface.bend * x * x)
    change_per_px = max(abs(steepness) * float(np.hypot(a, b)), 1e-6)
    return View(x, y, np.clip(0.5 + discriminant / change_per_px, 0, 1))
