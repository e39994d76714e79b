"""A drawn face, and its landmarks, for masks and other augmentation."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from oragen.finetuning.augmentation.face_frames import (
    TEMPLATE,
    Landmarks,
)
from oragen.finetuning.augmentation.masks import Rgb


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def textured_crop(side_px: int = 160) -> Rgb:
    """Skin-coloured, with a soft texture that shines through what is see-through."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(side_px) / 3)[:, None] * np.sin(np.arange(side_px) / 4)[None]
    skin = np.array([190, 150, 130]) + 25 * wave[..., None]
    return np.asarray(skin + rng.integers(-3, 4, skin.shape), np.uint8)


def place(
    points: Float[np.ndarray, "points 2"],
    *,
    unit_px: float = 40.0,
    centre: tuple[float, float] = (80.0, 50.0),
    tilt_degrees: float = 0.0,
) -> Float[np.ndarray, "points 2"]:
    """Face coordinates -> pixels of a face that looks straight ahead."""
    tilt = np.deg2rad(tilt_degrees)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return np.asarray(unit_px * points @ turn.T + centre)


FRONTAL: Landmarks = place(TEMPLATE[:, :2])


def changed(before: Rgb, after: Rgb) -> Bool[np.ndarray, "height width"]:
    difference: Bool[np.ndarray, "height width"] = (before != after).any(-1)
    return difference


def at(
    picture: Bool[np.ndarray, "height width"], points: Float[np.ndarray, "points 2"]
) -> list[bool]:
    x, y = np.rint(points).astype(int).T
    return [bool(value) for value in picture[y, x]]
