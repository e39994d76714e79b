"""Detectors of faces: what they find in real pictures."""

import hashlib
from pathlib import Path

import cv2
import cv2.data
import numpy as np
import pytest

from oragen.detection.face_detectors import (
    Box,
    CascadeDetector,
    WholePictureDetector,
    YunetDetector,
    build_detector,
    detector_fingerprint,
)
from oragen.detection.faces import CropOptions, crop_clip
from oragen.detection.yunet_weights import YUNET_FILE
from oragen.media.video import sample_pictures
from oragen.store.keys import faces_key
from tests.media_files import numbered

SHARED = Path(__file__).parents[2] / "shared"
WEIGHTS = SHARED / "models" / "face_detection_yunet_n_640.onnx"
CLIPS = sorted((SHARED / "media").glob("*.mp4"))
needs_weights = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason="no ../shared beside the repository"
)
needs_clips = pytest.mark.skipif(not CLIPS, reason="no ../shared beside the repository")


def first_picture() -> np.ndarray:
    return next(sample_pictures(CLIPS[0], max_duration_s=60.0)).rgb


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
            marked = cascade.add_landmarks(picture, box)
            if marked.landmarks is not None:
                faces = marked, expected
                here, there = (np.array(face.landmarks).reshape(5, 2) for face in faces)
                unit_px = np.linalg.norm(there[1] - there[0])
                errors.append(np.linalg.norm(here - there, axis=1) / unit_px)
    assert len(errors) >= num_faces / 2
    assert np.median(errors, axis=0)[[0, 1, 3, 4]].max() < 0.2


def test_crops_made_before_there_were_landmarks_are_made_again() -> None:
    weights = Path(cv2.data.haarcascades) / CascadeDetector.file
    before = hashlib.sha256(weights.read_bytes()).hexdigest()
    now = detector_fingerprint("cascade")
    assert faces_key("clip", {}, now) != faces_key("clip", {}, before)
