"""Detections in the pictures of a clip -> its main face in each of them."""

import pytest

from oragen.detection.face_detectors import Box
from oragen.detection.tracking import track_main_face


def face(x: float, y: float = 0.0, *, side: float = 10.0, score: float = 0.9) -> Box:
    return Box(x, y, x + side, y + side, score)


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
