"""Pictures of a clip -> its main face, tracked and cropped."""

import hashlib
from pathlib import Path

import cv2
import cv2.data
import numpy as np
import pytest

from oragen.detection.cropping import crop_face, place_landmarks
from oragen.detection.face_detectors import (
    Box,
    CascadeDetector,
    WholePictureDetector,
    YunetDetector,
    build_detector,
    detector_fingerprint,
)
from oragen.detection.faces import CropOptions, crop_clip
from oragen.detection.tracking import track_main_face
from oragen.detection.yunet_weights import YUNET_FILE, FaceWeightsError
from oragen.media.video import sample_pictures
from oragen.schema.tables import CROPS
from oragen.schema.vocabulary import Made
from oragen.store.keys import faces_key
from oragen.store.rows import Row
from stages.crop_faces import list_crops
from tests.media_files import write_fade

SHARED = Path(__file__).parents[2] / "shared"
WEIGHTS = SHARED / "models" / "face_detection_yunet_n_640.onnx"
CLIPS = sorted((SHARED / "media").glob("*.mp4"))

needs_weights = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason="no ../shared beside the repository"
)
needs_clips = pytest.mark.skipif(not CLIPS, reason="no ../shared beside the repository")


def face(x: float, y: float = 0.0, *, side: float = 10.0, score: float = 0.9) -> Box:
    return Box(x, y, x + side, y + side, score)


def numbered(height: int, width: int) -> np.ndarray:
    """A picture whose red is the row, green the column and blue nothing."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def first_picture() -> np.ndarray:
    return next(sample_pictures(CLIPS[0], max_duration_s=60.0)).rgb


# -- the main face ---------------------------------------------------------------------------------


def test_a_clip_without_faces_has_no_main_face() -> None:
    assert track_main_face([]) == []
    assert track_main_face([[], []]) == [None, None]


def test_one_face_is_the_main_face() -> None:
    assert track_main_face([[face(0)], [face(2)]]) == [face(0), face(2)]


def test_a_large_false_detection_in_one_picture_does_not_win() -> None:
    ghost = face(200, side=25)
    pictures = [[face(0)], [ghost, face(1)], [face(2)]]  # 3 * 0.9 * 10 = 27 against 0.9 * 25
    assert track_main_face(pictures) == [face(0), face(1), face(2)]


def test_the_larger_of_two_steady_faces_wins_whatever_their_order() -> None:
    near, far = face(0, side=30), face(100, side=10)
    assert track_main_face([[near, far], [far, near]]) == [near, near]


def test_the_surer_of_two_equal_faces_wins() -> None:
    doubtful, sure = face(0, score=0.6), face(100, score=0.9)
    assert track_main_face([[doubtful, sure], [doubtful, sure]]) == [sure, sure]


def test_faces_side_by_side_are_not_exchanged() -> None:
    pictures = [[face(0, side=12), face(14)], [face(16), face(2, side=12)]]
    assert track_main_face(pictures) == [face(0, side=12), face(2, side=12)]


def test_a_missed_detection_is_interpolated_and_scored_zero() -> None:
    pictures = [[face(0)], [], [], [face(6)]]
    main = track_main_face(pictures)
    assert main[1] == pytest.approx(Box(2, 0, 12, 10, 0))
    assert main[2] == pytest.approx(Box(4, 0, 14, 10, 0))
    assert (main[0], main[3]) == (face(0), face(6))


def test_a_longer_gap_stays_empty() -> None:
    pictures = [[face(0)], [], [], [], [face(6)]]
    assert track_main_face(pictures) == [face(0), None, None, None, face(6)]
    assert None not in track_main_face(pictures, max_gap=3)


def test_nothing_is_made_up_before_the_first_detection_or_after_the_last() -> None:
    assert track_main_face([[], [face(0)], []]) == [None, face(0), None]


def test_a_face_that_jumps_or_doubles_in_size_is_another_face() -> None:
    assert track_main_face([[face(0)], [face(0)], [face(11)]]) == [face(0), face(0), None]
    swollen = face(-10, -10, side=30)  # the same centre; log(3) = 1.1
    assert track_main_face([[face(0, score=1.0)] * 1, [swollen]], max_move=1.0) == [None, swollen]


def test_a_box_of_no_area_is_no_face() -> None:
    assert track_main_face([[Box(5, 5, 5, 9, 1.0)]]) == [None]


def test_only_detected_faces_have_landmarks() -> None:
    points = tuple(float(n) for n in range(10))
    visible = face(0)._replace(landmarks=points)
    first, between, last = track_main_face([[visible], [], [visible]])
    assert first is not None
    assert last is not None
    assert between is not None
    assert first.landmarks == last.landmarks == points
    assert between.landmarks is None


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


# -- detectors -------------------------------------------------------------------------------------


def test_a_whole_picture_is_one_face() -> None:
    assert build_detector("none").detect(numbered(60, 80)) == [Box(0, 0, 80, 60, 1.0)]
    assert isinstance(build_detector("none"), WholePictureDetector)


def test_a_plain_wall_has_no_face() -> None:
    assert CascadeDetector().detect(np.full((120, 160, 3), 128, np.uint8)) == []


@needs_weights
@needs_clips
@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.stem)
def test_yunet_finds_the_one_face_in_every_picture_of_real_clips(path: Path) -> None:
    detector = YunetDetector(WEIGHTS, min_score=0.6)
    for picture in sample_pictures(path, max_duration_s=60.0):
        assert len(detector.detect(picture.rgb)) == 1


@needs_clips
@pytest.mark.slow
def test_the_cascade_finds_nine_of_ten_real_faces() -> None:
    detector = CascadeDetector()
    found = [
        len(detector.detect(picture.rgb)) > 0
        for path in CLIPS
        for picture in sample_pictures(path, max_duration_s=60.0)
    ]
    assert np.mean(found) > 0.9


@needs_weights
@needs_clips
@pytest.mark.parametrize("name", ["yunet", "cascade"])
def test_boxes_are_those_of_the_picture_not_of_its_shrunken_copy(name: str) -> None:
    detector = build_detector("yunet", weights=WEIGHTS) if name == "yunet" else CascadeDetector()
    small = first_picture()
    large = cv2.resize(small, (896, 896))
    [expected], [found] = detector.detect(small), detector.detect(large)
    assert np.array(found[:4]) / 4 == pytest.approx(np.array(expected[:4]), abs=8)


@needs_weights
@needs_clips
def test_yunet_finds_a_small_face_in_a_large_picture() -> None:
    large = np.full((1080, 1920, 3), 90, np.uint8)
    large[300:400, 800:900] = cv2.resize(first_picture(), (100, 100), interpolation=cv2.INTER_AREA)
    [found] = YunetDetector(WEIGHTS).detect(large)
    assert 800 < found.x1 < found.x2 < 900
    assert 300 < found.y1 < found.y2 < 400


def test_the_fingerprint_changes_with_the_weights(tmp_path: Path) -> None:
    path = tmp_path / YUNET_FILE
    path.write_bytes(b"one")
    one = detector_fingerprint("yunet", weights=path)
    path.write_bytes(b"two")
    two = detector_fingerprint("yunet", weights=path)
    assert len({one, two, detector_fingerprint("cascade"), detector_fingerprint("none")}) == 4


@needs_weights
@needs_clips
def test_yunet_sees_eyes_above_the_nose_above_the_mouth() -> None:
    options = CropOptions("yunet", WEIGHTS, 0.6, 2, 0.15, 96, 60.0)
    made = crop_clip(CLIPS[0], options=options)
    assert len(made.details["landmarks"]) == len(made.values)
    for points in made.details["landmarks"]:
        right_eye, left_eye, nose, right_mouth, left_mouth = np.reshape(points, (5, 2))
        assert 10 < right_eye[0] < left_eye[0] < 86
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1]) < 86
        assert right_mouth[0] < left_mouth[0]


@needs_weights
@needs_clips
def test_the_cascade_sees_eyes_where_yunet_does_or_says_nothing() -> None:
    cascade, yunet = CascadeDetector(), YunetDetector(WEIGHTS)
    errors, num_faces = [], 0
    for path in CLIPS[:6]:
        picture = next(sample_pictures(path, max_duration_s=60.0)).rgb
        for box in cascade.detect(picture)[:1]:
            num_faces += 1
            [expected] = yunet.detect(picture)
            if box.landmarks is not None:
                here, there = (np.array(face.landmarks).reshape(5, 2) for face in (box, expected))
                unit_px = np.linalg.norm(there[1] - there[0])
                errors.append(np.linalg.norm(here - there, axis=1) / unit_px)
    assert len(errors) >= num_faces / 2
    assert np.median(errors, axis=0)[[0, 1, 3, 4]].max() < 0.2


def test_crops_made_before_there_were_landmarks_are_made_again() -> None:
    weights = Path(cv2.data.haarcascades) / CascadeDetector.file
    before = hashlib.sha256(weights.read_bytes()).hexdigest()
    now = detector_fingerprint("cascade")
    assert faces_key("clip", {}, now) != faces_key("clip", {}, before)


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
