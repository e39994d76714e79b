"""A crop and the landmarks in it -> the face as dlib cuts it out: upright, of one size and place.

The five points of dlib are four corners of the eyes and the bottom of the nose. An eye stands for
its two corners here, and the bottom of the nose is between its tip and the mouth.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

from oragen.detection.landmarks import BELOW_THE_EYES, Points, Rgb

# Right eye, left eye, bottom of the nose: where dlib's `get_face_chip_details` places its mean
# face, as shares of the side before padding.
DLIB_FACE: Final = np.array([[0.2273, 0.2213], [0.7528, 0.2213], [0.4901, 0.6278]])
PADDING: Final = 0.2  # on each side, as a share of that side
# Of the way from the tip of the nose to the mouth: the bottom of the nose of dlib's mean face.
BOTTOM_OF_NOSE: Final = 0.35
WEIGHTS: Final = np.array([2.0, 2.0, 1.0, 1.0, 1.0])  # two corners an eye, nose, two of the mouth
# The eyes in a crop without landmarks, as shares of its side: their mean place in those crops with
# a margin of 0.15 around boxes of the cascade in which both eyes are found: 50 of 89, twelve clips.
USUAL_EYES: Final = np.array([[0.35, 0.40], [0.65, 0.40]])


def align_face(
    crop: Rgb, landmarks: Sequence[float] | None, *, chip_px: int
) -> UInt8[np.ndarray, "{chip_px} {chip_px} 3"]:
    """Turn, scale and shift a crop so that eyes, nose and mouth are where dlib has them.

    Args:
        crop: of a face.
        landmarks: x, y of right eye, left eye, nose, right and left corner of the mouth in pixels
            of the crop. None: the eyes are taken to be where they usually are.
        chip_px: width and height of the result.
    """
    if landmarks is None:
        found = USUAL_EYES * (crop.shape[1], crop.shape[0])
    else:
        found = _to_dlib(np.reshape(landmarks, (5, 2)))
    wanted = (_place_wanted()[: len(found)] + PADDING) / (1 + 2 * PADDING) * (chip_px - 1)
    return _warp(crop, fit_similarity(found, wanted, WEIGHTS[: len(found)]), chip_px)


def fit_similarity(
    source: Points, target: Points, weights: Float[np.ndarray, " points"]
) -> Float[np.ndarray, "2 3"]:
    """Return the turn, scale and shift that brings points nearest to others, by least squares."""
    share = weights / weights.sum()
    middle, wanted = share @ source, share @ target
    # As complex numbers, a turn and scale is one factor.
    points, others = ((part @ [1, 1j]) for part in (source - middle, target - wanted))
    factor = (share * points.conj()) @ others / ((share * abs(points) ** 2).sum() or 1.0)
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([turn, wanted - turn @ middle])


def _to_dlib(points: Points) -> Points:
    """Move the tip of the nose to its bottom."""
    moved = points.astype(float)
    moved[2] += BOTTOM_OF_NOSE * (points[3:].mean(axis=0) - points[2])
    return moved


def _place_wanted() -> Points:
    """Return where the five points belong; dlib has no mouth, so that is ArcFace's."""
    right, left, _ = DLIB_FACE
    across = left - right
    down = np.array([-across[1], across[0]])
    mouth = (right + left) / 2 + BELOW_THE_EYES[1:] @ np.stack([across, down])
    return np.concatenate([DLIB_FACE, mouth])


def _warp(
    crop: Rgb, transform: Float[np.ndarray, "2 3"], chip_px: int
) -> UInt8[np.ndarray, "{chip_px} {chip_px} 3"]:
    """Halve a crop as long as it stays larger than the chip, as dlib does, then move it."""
    import cv2

    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    while 0 < scale < 0.5:
        crop, scale = np.asarray(cv2.pyrDown(crop), np.uint8), 2 * scale
        transform = transform * (2, 2, 1)
    return np.asarray(
        cv2.warpAffine(crop, transform, (chip_px, chip_px), borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )
