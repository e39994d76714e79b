"""Pictures of one clip -> crops of its main face, one a second."""

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from oragen.detection.face_detectors import Box, FaceDetector, build_detector
from oragen.detection.landmarks import Rgb
from oragen.detection.tracking import track_main_face
from oragen.media.errors import UnusableMediaError
from oragen.media.video import count_tracks, sample_pictures
from oragen.schema.choices.face_detectors import DetectorName
from oragen.schema.vocabulary import Made


@dataclass(frozen=True)
class CropOptions:
    """Parameters of detection, tracking and cropping."""

    detector: DetectorName
    weights: Path | None
    min_score: float
    max_gap: int
    margin: float
    crop_px: int
    max_duration_s: float


def crop_clip(
    path: Path,
    *,
    options: CropOptions,
    face_box: tuple[float, float, float, float] | None = None,
) -> Made:
    """Crop the main face of a clip's pictures, or give the reason why there is none.

    The values are `crop, height, width, 3`. The details hold the time of each crop in samples, its
    box, its landmarks if any, and the number of pictures.

    Args:
        path: of the video or the image.
        options: of detection, tracking and cropping.
        face_box: the known place of the face in all pictures: x1, y1, x2, y2 in pixels. Then
            nothing is detected.
    """
    nothing = np.zeros((0, options.crop_px, options.crop_px, 3), np.uint8)
    notes: list[str] = []
    try:
        faces = (
            _detect_faces(path, options, notes)
            if face_box is None
            else _place_faces(path, Box(*face_box, 1.0), options, notes)
        )
    except UnusableMediaError as error:
        return Made(nothing, error.reason, {"notes": error.notes})
    present = [face for face in faces if face is not None]
    details = {
        "num_pictures": len(faces),
        "samples": [face.sample for face in present],
        "boxes": [list(face.box[:5]) for face in present],
        "landmarks": [face.crop.landmarks for face in present],
        "notes": notes,
    }
    if not present:
        reason = "no face" if face_box is None else "face box outside the picture"
        return Made(nothing, reason, details)
    return Made(np.stack([face.crop.rgb for face in present]), None, details)


def _detect_faces(
    path: Path, options: CropOptions, notes: list[str]
) -> "list[_FaceInPicture | None]":
    """Find the main face in each picture, None where it is not found.

    Of several video tracks, such as a shared screen and a camera, it is the first with a face.
    """
    faces = _detect_in_track(path, 0, options, notes)
    if any(faces):
        return faces
    for track in range(1, count_tracks(path)):
        more_notes: list[str] = []
        others = _detect_in_track(path, track, options, more_notes)
        if any(others):
            notes[:] = more_notes
            return others
    return faces


def _detect_in_track(
    path: Path, track: int, options: CropOptions, notes: list[str]
) -> "list[_FaceInPicture | None]":
    """Find the main face in each picture of a track.

    The clip is decoded twice, so that no more than one picture is held at a time: an hour in HD
    would be 20 GB. If pictures change their size midway, boxes are in pixels of the first.
    """
    detector = _detector(options.detector, options.weights, options.min_score)
    sample = partial(
        sample_pictures, path, max_duration_s=options.max_duration_s, num_passed_tracks=track
    )
    scales: list[_Scale] = []
    boxes: list[list[Box]] = []
    size: tuple[int, int] | None = None  # of the first picture
    for picture in sample(notes=notes):
        height, width = picture.rgb.shape[:2]
        size = size or (width, height)
        scale = _Scale(size[0] / width, size[1] / height)
        scales.append(scale)
        boxes.append([scale.apply(box) for box in detector.detect(picture.rgb)])
    main = track_main_face(boxes, max_gap=options.max_gap)
    return [
        _FaceInPicture(picture.sample, box, _crop(picture.rgb, scale.undo(box), options))
        if box
        else None
        for picture, box, scale in zip(sample(), main, scales, strict=True)
    ]


class _Scale(NamedTuple):
    """From pixels of a picture to those of the first."""

    across: float
    down: float

    def apply(self, box: Box) -> Box:
        if self == (1, 1):
            return box
        x1, y1, x2, y2 = box[:4]
        landmarks = box.landmarks and tuple(
            value * self[number % 2] for number, value in enumerate(box.landmarks)
        )
        across, down = self
        return Box(x1 * across, y1 * down, x2 * across, y2 * down, box.score, landmarks)

    def undo(self, box: Box) -> Box:
        return _Scale(1 / self.across, 1 / self.down).apply(box)


def _place_faces(
    path: Path, box: Box, options: CropOptions, notes: list[str]
) -> "list[_FaceInPicture | None]":
    """Crop the known place in each picture; None where it is outside."""
    pictures = sample_pictures(path, max_duration_s=options.max_duration_s, notes=notes)
    return [
        _FaceInPicture(picture.sample, box, _crop(picture.rgb, box, options))
        if _is_inside(picture.rgb, box)
        else None
        for picture in pictures
    ]


@cache
def _detector(name: DetectorName, weights: Path | None, min_score: float) -> FaceDetector:
    """Build a detector once in each process; the processes share the cores, one thread each."""
    import cv2

    cv2.setNumThreads(1)
    return build_detector(name, weights=weights, min_score=min_score)


class _Crop(NamedTuple):
    """A crop of the face, and the landmarks in its pixels."""

    rgb: Rgb
    landmarks: list[float] | None


class _FaceInPicture(NamedTuple):
    """The face in one picture, and the time of the picture in samples."""

    sample: int
    box: Box
    crop: _Crop


def _crop(rgb: Rgb, box: Box, options: CropOptions) -> _Crop:
    margin, crop_px = options.margin, options.crop_px
    return _Crop(
        crop_face(rgb, box, margin=margin, crop_px=crop_px),
        place_landmarks(rgb, box, margin=margin, crop_px=crop_px),
    )


def crop_face(
    rgb: Rgb, box: Box, *, margin: float, crop_px: int
) -> UInt8[np.ndarray, "{crop_px} {crop_px} 3"]:
    """Picture and face -> a square crop of `crop_px`, the face in its middle.

    The square's side is the longer side of the box, clipped to the picture, times 1 + 2 x `margin`.
    Where the square leaves the picture, the edge of the picture is repeated.

    Raises:
        ValueError: no part of the box is in the picture.
    """
    import cv2

    square = _place_square(rgb, box, margin)
    rows, columns = square.pixel_numbers(rgb)
    shrinks = square.side > crop_px
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    cut = rgb[rows[:, None], columns]  # height, width, 3 -> side, side, 3
    return np.asarray(cv2.resize(cut, (crop_px, crop_px), interpolation=interpolation), np.uint8)


def place_landmarks(rgb: Rgb, box: Box, *, margin: float, crop_px: int) -> list[float] | None:
    """Landmarks in pixels of the picture -> in pixels of the crop by `crop_face`."""
    if box.landmarks is None:
        return None
    square = _place_square(rgb, box, margin)
    points = np.reshape(box.landmarks, (5, 2)) - (square.left, square.top)
    placed: list[float] = (points * (crop_px / square.side)).ravel().tolist()
    return placed


def _clip(rgb: Rgb, box: Box) -> Box:
    height, width = rgb.shape[:2]
    x1, y1 = max(0.0, box.x1), max(0.0, box.y1)
    return Box(x1, y1, min(float(width), box.x2), min(float(height), box.y2), box.score)


def _is_inside(rgb: Rgb, box: Box) -> bool:
    """Return whether any part of the box is in the picture."""
    part = _clip(rgb, box)
    return part.x1 < part.x2 and part.y1 < part.y2


class _Square(NamedTuple):
    """The square to cut out of a picture, in pixels; a part of it may lie outside."""

    left: int
    top: int
    side: int

    def pixel_numbers(
        self, rgb: Rgb
    ) -> tuple[Int64[np.ndarray, " side"], Int64[np.ndarray, " side"]]:
        """Return rows and columns; those outside the picture are moved to its edge."""
        height, width = rgb.shape[:2]
        stretch = np.arange(self.side)
        return (
            np.clip(self.top + stretch, 0, height - 1),
            np.clip(self.left + stretch, 0, width - 1),
        )


def _place_square(rgb: Rgb, box: Box, margin: float) -> _Square:
    if not _is_inside(rgb, box):
        height, width = rgb.shape[:2]
        raise ValueError(f"{box} is outside the picture of {width} x {height} pixels")
    x1, y1, x2, y2, *_ = _clip(rgb, box)
    side = max(1, round(max(x2 - x1, y2 - y1) * (1 + 2 * margin)))
    return _Square(round((x1 + x2) / 2 - side / 2), round((y1 + y2) / 2 - side / 2), side)
