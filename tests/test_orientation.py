"""Stored pictures with a display matrix -> pictures as a player shows them."""

import math
from pathlib import Path

import av
import numpy as np
import pytest

from oragen.detection.faces import CropOptions, crop_clip
from oragen.media.video import sample_pictures
from oragen.predictor.drawing import draw_clip
from tests.made_predictions import NOT_PREDICTED
from tests.media_files import quarters, read_quarters, set_display_matrix, write_video

Matrix = tuple[int, int, int, int]

STORED = [[40, 100], [160, 220]]  # the quarters of the stored picture
SHOWN: dict[
    Matrix, list[list[int]]
] = {  # a, b, c, d of the display matrix -> the quarters as they are shown
    (1, 0, 0, 1): [[40, 100], [160, 220]],
    (-1, 0, 0, 1): [[100, 40], [220, 160]],  # mirrored
    (-1, 0, 0, -1): [[220, 160], [100, 40]],  # half a turn
    (1, 0, 0, -1): [[160, 220], [40, 100]],  # upside down
    (0, 1, 1, 0): [[40, 160], [100, 220]],  # transposed
    (0, 1, -1, 0): [[160, 40], [220, 100]],  # a quarter turn clockwise
    (0, -1, 1, 0): [[100, 220], [40, 160]],  # and counterclockwise
    (0, -1, -1, 0): [[220, 100], [160, 40]],  # transposed over the other corner
}
WHOLE_PICTURE = CropOptions("none", None, 0.6, 2, 0.0, 32, 60.0)


def write_stored(path: Path) -> Path:
    return write_video(path, [0.0, 0.5], [quarters(STORED, width=480, height=400)] * 2)


def first_picture(path: Path) -> np.ndarray:
    return next(sample_pictures(path, max_duration_s=9.0)).rgb


@pytest.mark.parametrize("abcd", SHOWN)
def test_pictures_are_as_a_player_shows_them(tmp_path: Path, abcd: Matrix) -> None:
    path = set_display_matrix(write_stored(tmp_path / "a.mp4"), abcd)
    assert read_quarters(first_picture(path)) == SHOWN[abcd]
    crop = crop_clip(path, options=WHOLE_PICTURE).values[0]
    assert read_quarters(crop) == SHOWN[abcd]


@pytest.mark.parametrize("abcd", SHOWN)
def test_drawn_pictures_are_as_a_player_shows_them(tmp_path: Path, abcd: Matrix) -> None:
    path = set_display_matrix(write_stored(tmp_path / "a.mp4"), abcd)
    height, width = first_picture(path).shape[:2]
    draw_clip(path, NOT_PREDICTED, tmp_path / "drawn.mp4")
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        frame = next(container.decode(video=0))
    drawn = frame.to_ndarray(format="rgb24")[:height, :width]
    assert read_quarters(drawn) == SHOWN[abcd]


@pytest.mark.parametrize(
    ("degrees", "like"),
    [(10, (1, 0, 0, 1)), (80, (0, 1, -1, 0)), (100, (0, 1, -1, 0)), (-170, (-1, 0, 0, -1))],
)
def test_another_angle_counts_as_the_nearest_quarter_turn(
    tmp_path: Path, degrees: float, like: Matrix
) -> None:
    a, b = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    path = set_display_matrix(write_stored(tmp_path / "a.mp4"), (a, b, -b, a))
    assert read_quarters(first_picture(path)) == SHOWN[like]


def test_a_matrix_of_zeros_changes_nothing(tmp_path: Path) -> None:
    path = set_display_matrix(write_stored(tmp_path / "a.mp4"), (0, 0, 0, 0))
    assert read_quarters(first_picture(path)) == STORED
