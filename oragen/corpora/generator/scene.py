"""A condition and a painted head -> the pictures of one clip, with their place and camera."""

from dataclasses import dataclass
from typing import Final, assert_never

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from oragen.corpora.generator.painting import CENTRE_UNITS, UNIT_PX, Canvas, Pixels
from oragen.schema.choices.corpora import Condition

Picture = NDArray[np.uint8]

NECK_Y: Final = 1.2  # heads turn about the neck
NUM_NOISE_FIELDS: Final = 4


@dataclass(frozen=True)
class Scene:
    """The constants of a clip; pixel sizes are those of the written picture."""

    backdrop: Pixels
    light: Pixels  # gain of (height, width, RGB)
    grain: tuple[Pixels, ...]
    head_px: float  # half the head's height
    centre_px: tuple[float, float]
    blur_px: float
    sway_px: float
    sway_degrees: float
    flicker: float
    crf: int  # the encoder's quality, lower is better


@dataclass(frozen=True)
class Motion:
    """Where the head is in each video frame, and how bright it is there."""

    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    degrees: NDArray[np.float64]
    gain: NDArray[np.float64]


def draw_scene(condition: Condition, rng: np.random.Generator) -> Scene:
    """Condition -> a place: studio is large, frontal, plain and steady; phone is none of these."""
    match condition:
        case "studio":
            return _draw_studio(rng)
        case "phone":
            return _draw_phone(rng)
        case _:
            assert_never(condition)


def draw_motion(scene: Scene, num_pictures: int, rng: np.random.Generator) -> Motion:
    """Scene -> slow sway of the head and flicker of the light."""
    return Motion(
        scene.centre_px[0] + scene.sway_px * _drift(num_pictures, rng),
        scene.centre_px[1] + scene.sway_px * _drift(num_pictures, rng),
        rng.normal(0, scene.sway_degrees) + scene.sway_degrees * _drift(num_pictures, rng),
        1 + scene.flicker * _drift(num_pictures, rng),
    )


def layer_of(canvas: Canvas, scene: Scene) -> Pixels:
    """Canvas -> (height, width, RGB and matte), premultiplied, blurred for the smaller head."""
    layer = np.dstack([canvas.pixels * canvas.matte[:, :, None], canvas.matte])
    softness_px = 0.4 * UNIT_PX / scene.head_px + scene.blur_px
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), softness_px))


def compose(
    scene: Scene, layer: Pixels | None, motion: Motion, picture: int, rng: np.random.Generator
) -> Picture:
    """Scene and a head layer (or nobody) -> one picture of the clip."""
    pixels = scene.backdrop
    if layer is not None:
        height, width = scene.backdrop.shape[:2]
        warped = cv2.warpAffine(
            layer,
            _placement(scene, motion, picture),
            (width, height),
            borderMode=cv2.BORDER_REPLICATE,  # the body goes on below the canvas
        )  # canvas height, canvas width, 4 -> height, width, 4
        pixels = pixels * (1 - warped[:, :, 3:]) + warped[:, :, :3]
    pixels = pixels * (scene.light * np.float32(motion.gain[picture])) + _grain(scene, rng)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _placement(scene: Scene, motion: Motion, picture: int) -> NDArray[np.float64]:
    scale = scene.head_px / UNIT_PX
    turn = np.deg2rad(motion.degrees[picture])
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pivot = np.array([CENTRE_UNITS[0], CENTRE_UNITS[1] + NECK_Y]) * UNIT_PX
    target = np.array([motion.x_px[picture], motion.y_px[picture] + NECK_Y * scene.head_px])
    return np.column_stack([matrix, target - matrix @ pivot])


def _draw_studio(rng: np.random.Generator) -> Scene:
    width_px, height_px = 256, 256
    tone = rng.uniform(90, 215) + rng.normal(0, 12, size=3)
    return Scene(
        backdrop=_gradient(width_px, height_px, tone, tone * rng.uniform(0.7, 1.0), rng),
        light=_light(width_px, height_px, 0.12, 0.02, rng),
        grain=_grain_fields(width_px, height_px, 1.5, rng),
        head_px=float(rng.uniform(60, 70)),
        centre_px=(width_px / 2 + rng.normal(0, 5), height_px * 0.46 + rng.normal(0, 4)),
        blur_px=0.0,
        sway_px=2.5,
        sway_degrees=1.5,
        flicker=0.0,
        crf=23,
    )


def _draw_phone(rng: np.random.Generator) -> Scene:
    width_px, height_px = 192, 256
    backdrop = _clutter(width_px, height_px, rng)
    return Scene(
        backdrop=backdrop,
        light=_light(width_px, height_px, 0.3, 0.05, rng) * np.float32(rng.uniform(0.7, 1.12)),
        grain=_grain_fields(width_px, height_px, float(rng.uniform(3, 8)), rng),
        head_px=float(rng.uniform(48, 60)),
        centre_px=(width_px / 2 + rng.normal(0, 8), height_px * 0.44 + rng.normal(0, 10)),
        blur_px=float(rng.uniform(0.3, 1.3)),
        sway_px=5.0,
        sway_degrees=2.2,
        flicker=0.04,
        crf=int(rng.integers(28, 35)),
    )


def _gradient(
    width_px: int,
    height_px: int,
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
    rng: np.random.Generator,
) -> Pixels:
    share = np.linspace(0, 1, height_px)[:, None, None]
    slant = rng.uniform(-0.15, 0.15) * np.linspace(-1, 1, width_px)[None, :, None]
    share = np.clip(share + slant, 0, 1)
    return np.asarray(top * (1 - share) + bottom * share, dtype=np.float32)


def _clutter(width_px: int, height_px: int, rng: np.random.Generator) -> Pixels:
    """Out-of-focus furniture: upright boxes on a wall."""
    wall = rng.uniform(60, 200) + rng.normal(0, 12, size=3)
    pixels = _gradient(width_px, height_px, wall, wall * rng.uniform(0.5, 1.1), rng)
    for _ in range(int(rng.integers(2, 6))):
        x, y = (int(value) for value in rng.uniform(-0.2, 0.9, size=2) * (width_px, height_px))
        size = rng.uniform(0.15, 0.6, size=2) * (width_px, height_px)
        colour = tuple(float(value) for value in rng.uniform(30, 220) + rng.normal(0, 20, size=3))
        cv2.rectangle(pixels, (x, y), (x + int(size[0]), y + int(size[1])), colour, cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(7, 14))))


def _light(
    width_px: int, height_px: int, slope: float, tint: float, rng: np.random.Generator
) -> Pixels:
    """One lamp: brighter on one side, and not quite white."""
    across = rng.uniform(-slope, slope) * np.linspace(-1, 1, width_px)[None, :, None]
    down = rng.uniform(-slope, slope) / 2 * np.linspace(-1, 1, height_px)[:, None, None]
    return np.asarray((1 + across + down) * (1 + rng.normal(0, tint, size=3)), dtype=np.float32)


def _grain_fields(
    width_px: int, height_px: int, spread: float, rng: np.random.Generator
) -> tuple[Pixels, ...]:
    """Sensor noise, drawn once: shifting a few fields is 20 times cheaper than new noise."""
    shape = (NUM_NOISE_FIELDS, height_px, width_px, 3)
    return tuple(np.float32(spread) * rng.standard_normal(shape, dtype=np.float32))  # by field


def _grain(scene: Scene, rng: np.random.Generator) -> Pixels:
    field = scene.grain[int(rng.integers(len(scene.grain)))]
    return np.roll(field, int(rng.integers(field.shape[0])), axis=0)


def _drift(num_pictures: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A slow random curve of about unit size."""
    steps = rng.standard_normal(num_pictures + 40)
    curve: NDArray[np.float64] = gaussian_filter1d(steps, 7.0)[20:-20]
    return np.asarray(np.clip(curve / 0.2, -2.5, 2.5))
