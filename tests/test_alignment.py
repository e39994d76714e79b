"""Crops and landmarks -> upright faces at the places of dlib."""

import cv2
import numpy as np
import pytest

from oragen.detection.alignment import USUAL_EYES, align_face, fit_similarity

# Where dlib's `get_face_chip_details(shape, 64, 0.2)` has the middle of each eye and the bottom of
# the nose: (0.2 + share) / 1.4 of the side, between the middles of the first and the last pixel.
EYES_PX = np.array([[19.2, 19.0], [42.9, 19.0]])
UPRIGHT = [60.0, 80.0, 100.0, 80.0, 80.0, 102.8, 63.2, 126.0, 96.8, 126.0]  # eyes 40 px apart


def paint(*points: tuple[float, float], size: int = 200) -> np.ndarray:
    picture = np.zeros((size, size, 3), np.uint8)
    for point in points:
        cv2.circle(picture, tuple(round(place) for place in point), 4, (255, 255, 255), -1)
    return picture


def find_centres(chip: np.ndarray) -> np.ndarray:
    """Return the middle of each bright spot, from left to right."""
    _, _, _, centres = cv2.connectedComponentsWithStats((chip[..., 0] > 100).astype(np.uint8))
    return np.array(sorted(centres[1:].tolist()))


def test_a_similarity_is_found_from_its_points() -> None:
    source = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    # A quarter turn (x to y, y to minus x), twice as large, moved by 5 and -1.
    target = np.array([[5.0, -1.0], [5.0, 3.0], [3.0, -1.0]])
    found = fit_similarity(source, target, np.ones(3))
    np.testing.assert_allclose(found, [[0, -2, 5], [2, 0, -1]], atol=1e-12)


def test_points_at_one_place_are_only_moved() -> None:
    same = np.full((2, 2), 3.0)
    assert np.isfinite(fit_similarity(same, np.array([[0.0, 0.0], [2.0, 2.0]]), np.ones(2))).all()


@pytest.mark.parametrize("angle", [0, 20, -35])
@pytest.mark.parametrize("scale", [0.6, 1.0])
def test_eyes_come_to_their_places(angle: float, scale: float) -> None:
    turn = cv2.getRotationMatrix2D((80, 100), angle, scale)
    points = np.reshape(UPRIGHT, (5, 2)) @ turn[:, :2].T + turn[:, 2]
    crop = paint(*map(tuple, points[:2]))
    chip = align_face(crop, points.ravel().tolist(), chip_px=64)
    np.testing.assert_allclose(find_centres(chip), EYES_PX, atol=1)


def test_without_landmarks_the_eyes_are_where_they_usually_are() -> None:
    chip = align_face(paint(*map(tuple, USUAL_EYES * 200)), None, chip_px=64)
    np.testing.assert_allclose(find_centres(chip), EYES_PX, atol=1)


def test_a_large_crop_is_smoothed_before_it_shrinks() -> None:
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    chip = align_face(stripes, None, chip_px=64)
    assert np.abs(chip.astype(int) - 127).max() < 30
