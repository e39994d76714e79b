"""A picture and a box, found or given -> the crop of a face with its landmarks."""

from pathlib import Path

import cv2
import cv2.data
import numpy as np
import pytest

from oragen.detection.cropping import crop_face, place_landmarks
from oragen.detection.face_detectors import Box
from oragen.detection.faces import CropOptions, crop_clip
from oragen.detection.yunet_weights import FaceWeightsError
from oragen.schema.tables import CROPS
from oragen.schema.vocabulary import Made
from oragen.store.rows import Row
from stages.crop_faces import list_crops
from tests.media_files import numbered, write_fade

# -- crops -----------------------------------------------------------------------------------------


def test_a_square_box_without_margin_is_cut_out_as_it_is() -> None:
    crop = crop_face(numbered(60, 80), Box(20, 10, 60, 50, 1.0), margin=0.0, crop_px=40)
    np.testing.assert_array_equal(crop, numbered(60, 80)[10:50, 20:60])


def test_the_margin_is_added_on_every_side() -> None:
    crop = crop_face(numbered(80, 80), Box(30, 30, 50, 50, 1.0), margin=0.5, crop_px=40)
    np.testing.assert_array_equal(crop, numbered(80, 80)[20:60, 20:60])


def test_an_oblong_box_becomes_a_square_of_its_longer_side() -> None:
    crop = crop_face(numbered(80, 80), Box(30, 20, 50, 60, 1.0), margin=0.0, crop_px=40)
    np.testing.assert_array_equal(crop, numbered(80, 80)[20:60, 20:60])


def test_beyond_the_edge_the_edge_is_repeated() -> None:
    crop = crop_face(numbered(80, 80), Box(0, 30, 20, 50, 1.0), margin=0.5, crop_px=40)
    np.testing.assert_array_equal(crop[:, 10:], numbered(80, 80)[20:60, :30])
    np.testing.assert_array_equal(crop[:, :10], np.repeat(crop[:, 10:11], 10, axis=1))


def test_a_box_is_clipped_to_the_picture_first() -> None:
    inside = crop_face(numbered(80, 80), Box(0, 0, 40, 40, 1.0), margin=0.0, crop_px=40)
    beyond = crop_face(numbered(80, 80), Box(-9, -7, 40, 40, 1.0), margin=0.0, crop_px=40)
    np.testing.assert_array_equal(beyond, inside)


def test_a_box_outside_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the picture of 80 x 60 pixels"):
        crop_face(numbered(60, 80), Box(90, 0, 99, 9, 1.0), margin=0.0, crop_px=8)


def test_shrinking_averages_areas() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    crop = crop_face(stripes, Box(0, 0, 64, 64, 1.0), margin=0.0, crop_px=8)
    np.testing.assert_array_equal(crop, np.full((8, 8, 3), 100))


@pytest.mark.parametrize("side", [0.4, 1.0, 3.3])
def test_the_smallest_box_still_gives_a_crop(side: float) -> None:
    box = Box(5.0, 5.0, 5.0 + side, 5.0 + side, 1.0)
    assert crop_face(numbered(20, 20), box, margin=0.0, crop_px=16).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [  # of a crop of 40 pixels; the square is 40, 80 and 40 wide
        (Box(20, 10, 60, 50, 1.0), 0.0, [10, 20]),
        (Box(20, 10, 60, 50, 1.0), 0.5, [15, 20]),
        (Box(-9, -7, 40, 40, 1.0), 0.0, [30, 30]),
    ],
)
def test_landmarks_move_with_the_crop(box: Box, margin: float, expected: list[float]) -> None:
    spot = box._replace(landmarks=(30.0, 30.0) * 5)
    found = place_landmarks(numbered(80, 80), spot, margin=margin, crop_px=40)
    assert found == pytest.approx(expected * 5)


def test_a_face_without_landmarks_has_none_in_its_crop() -> None:
    box = Box(0, 0, 40, 40, 1.0)
    assert place_landmarks(numbered(80, 80), box, margin=0.0, crop_px=40) is None


@pytest.mark.parametrize("crop_px", [20, 40, 90])
def test_a_spot_in_the_picture_is_at_its_landmark_in_the_crop(crop_px: int) -> None:
    picture = np.zeros((80, 80, 3), np.uint8)
    picture[24:28, 44:48] = 255  # its middle is 46, 26
    box = Box(10, 5, 60, 55, 1.0, landmarks=(46.0, 26.0) * 5)
    crop = crop_face(picture, box, margin=0.1, crop_px=crop_px)
    placed = place_landmarks(picture, box, margin=0.1, crop_px=crop_px)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    middle = [columns.mean() + 0.5, rows.mean() + 0.5]
    assert placed is not None
    assert placed[:2] == pytest.approx(middle, abs=0.6)


# -- given boxes -----------------------------------------------------------------------------------


GIVEN = CropOptions("yunet", None, 0.6, 2, 0.0, 40, 60.0)  # no weights: to build it is an error


def crop_given(path: Path, *box: float) -> Made:
    x1, y1, x2, y2 = map(float, box)
    return crop_clip(path, options=GIVEN, face_box=(x1, y1, x2, y2))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "numbered.png"
    cv2.imwrite(str(path), numbered(60, 80)[..., ::-1])
    return path


def test_a_given_box_is_cut_out_and_nothing_is_detected(image: Path) -> None:
    made = crop_given(image, 20, 10, 60, 50)
    np.testing.assert_array_equal(made.values, numbered(60, 80)[np.newaxis, 10:50, 20:60])
    assert made.reason is None
    assert made.details == {
        "num_pictures": 1,
        "samples": [0],
        "boxes": [[20.0, 10.0, 60.0, 50.0, 1.0]],
        "landmarks": [None],
        "stop": 16_000,
        "notes": [],
    }
    with pytest.raises(FaceWeightsError):
        crop_clip(image, options=GIVEN)


def test_the_margin_is_added_to_a_given_box_too(image: Path) -> None:
    options = CropOptions(**{**vars(GIVEN), "margin": 0.5})
    made = crop_clip(image, options=options, face_box=(30.0, 20.0, 50.0, 40.0))
    np.testing.assert_array_equal(made.values[0], numbered(60, 80)[10:50, 20:60])


def test_a_given_box_that_leaves_the_picture_is_clipped_to_it(image: Path) -> None:
    np.testing.assert_array_equal(
        crop_given(image, -30, -20, 40, 40).values, crop_given(image, 0, 0, 40, 40).values
    )


@pytest.mark.parametrize("box", [(80, 0, 99, 9), (-9, 0, 0, 9), (0, 61, 9, 70), (5, 5, 5, 9)])
def test_a_given_box_without_a_pixel_in_the_picture_gives_no_crop(
    image: Path, box: tuple[int, ...]
) -> None:
    made = crop_given(image, *box)
    assert (made.reason, made.values.shape) == ("face box outside the picture", (0, 40, 40, 3))
    assert (made.details["num_pictures"], made.details["samples"]) == (1, [])


def test_a_given_box_holds_for_every_picture_of_a_video(tmp_path: Path) -> None:
    video = write_fade(tmp_path / "a.mp4", 3.0)
    made = crop_given(video, 10, 10, 30, 30)
    assert made.details["samples"] == [0, 16_000, 32_000]
    assert made.details["boxes"] == [[10.0, 10.0, 30.0, 30.0, 1.0]] * 3
    assert made.values.mean(axis=(1, 2, 3)) == pytest.approx([20, 70, 120], abs=3)


def test_a_given_box_does_not_hide_that_there_is_no_picture(tmp_path: Path) -> None:
    assert crop_given(tmp_path / "missing.png", 0, 0, 9, 9).reason == "no such file"


# -- the table of crops ----------------------------------------------------------------------------


def test_the_table_of_crops_has_landmarks_where_there_are_any(tmp_path: Path) -> None:
    points = [float(n) for n in range(10)]
    details = {"samples": [0, 16_000], "boxes": [[0.0, 0.0, 9.0, 9.0, 0.9]] * 2}
    old = Row("old", "corpus/old", 0, 2, details=dict(details))
    new = Row("new", "corpus/new", 2, 4, details={**details, "landmarks": [points, None]})
    rows = list_crops("corpus/new", new) + list_crops("corpus/old", old)
    CROPS.write(tmp_path / "crops.parquet", CROPS.frame(rows))
    found = list(CROPS.read(tmp_path / "crops.parquet")["landmarks"])
    assert list(found[0]) == points
    assert found[1:] == [None, None, None]
