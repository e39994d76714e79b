"""Pictures of one clip -> crops of its main face, one a second."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from itertools import chain, repeat
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, assert_never

import numpy as np

from oragen.detection.cropping import crop_face, crop_rectangle, is_inside, place_landmarks
from oragen.detection.face_detectors import Box, FaceDetector, build_detector
from oragen.detection.landmarks import Rgb
from oragen.detection.tracking import track_main_face
from oragen.media.errors import UnusableMediaError
from oragen.media.images import Picture
from oragen.media.video import count_tracks, sample_pictures
from oragen.schema.choices.face_detectors import DetectorName
from oragen.schema.choices.preprocessing import CropShape
from oragen.schema.vocabulary import Made, count_samples

KEPT_BYTES: Final = 2**28  # of the pictures of a clip: half an hour at 224 x 224, 43 s in full HD
Edges: TypeAlias = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
KnownBoxes: TypeAlias = Sequence[Edges | None]


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
    shape: CropShape = "square"
    seek_landmarks: bool = True  # where the detector has none: it takes longer than the detection


def crop_clip(
    path: Path,
    *,
    options: CropOptions,
    face_box: Edges | None = None,
    boxes: KnownBoxes | None = None,
) -> Made:
    """Crop the main face of a clip's pictures, or give the reason why there is none.

    The values are `crop, height, width, 3`. The details hold the time of each crop in samples, its
    box, its landmarks if any, the number of pictures, and where they stop in samples. An image
    stops after a second.

    Args:
        path: of the video or the image.
        options: of detection, tracking and cropping.
        face_box: the known place of the face in all pictures: x1, y1, x2, y2 in pixels. Then
            nothing is detected.
        boxes: the known place in each picture, one a second, None where there is no face. Pictures
            after the last one have none.
    """
    nothing = np.zeros((0, options.crop_px, options.crop_px, 3), np.uint8)
    notes: list[str] = []
    ends_s: list[Fraction] = []
    try:
        if face_box is None and boxes is None:
            faces = _detect_faces(path, options, notes, ends_s)
        else:
            known = repeat(face_box) if boxes is None else chain(boxes, repeat(None))
            faces = _place_faces(path, known, options, notes, ends_s)
    except UnusableMediaError as error:
        return Made(nothing, error.reason, {"notes": error.notes})
    present = [face for face in faces if face is not None]
    details = {
        "num_pictures": len(faces),
        "samples": [face.sample for face in present],
        "boxes": [list(face.box[:5]) for face in present],
        "landmarks": [face.crop.landmarks for face in present],
        "stop": count_samples(float(max(ends_s, default=1))),
        "notes": notes,
    }
    if not present:
        is_placed = face_box is not None or any(boxes or ())
        reason = "face box outside the picture" if is_placed else "no face"
        return Made(nothing, reason, details)
    return Made(np.stack([face.crop.rgb for face in present]), None, details)


def _detect_faces(
    path: Path, options: CropOptions, notes: list[str], ends_s: list[Fraction]
) -> "list[_FaceInPicture | None]":
    """Find the main face in each picture, None where it is not found.

    Of several video tracks, such as a shared screen and a camera, it is the first with a face.
    """
    faces = _detect_in_track(path, 0, options, notes, ends_s)
    if any(faces):
        return faces
    for track in range(1, count_tracks(path)):
        more_notes: list[str] = []
        try:
            others = _detect_in_track(path, track, options, more_notes, ends_s)
        except UnusableMediaError:  # the first track says what there is
            continue
        if any(others):
            notes[:] = more_notes
            return others
    return faces


def _detect_in_track(
    path: Path, track: int, options: CropOptions, notes: list[str], ends_s: list[Fraction]
) -> "list[_FaceInPicture | None]":
    """Find the main face in each picture of a track.

    Pictures are kept until it is known whose the main face is. If they are many, such as an hour in
    HD with its 20 GB, none is kept, and the track is decoded a second time. If pictures change
    their size midway, boxes are in pixels of the first.
    """
    detector = _detector(options.detector, options.weights, options.min_score)
    sample = partial(
        sample_pictures, path, max_duration_s=options.max_duration_s, num_passed_tracks=track
    )
    searched: list[_Searched] = []
    kept: list[Picture] = []
    num_bytes = 0
    size: tuple[int, int] | None = None  # of the first picture
    for picture in sample(notes=notes, ends_s=ends_s):
        height, width = picture.rgb.shape[:2]
        size = size or (width, height)
        scale = _Scale(size[0] / width, size[1] / height)
        searched.append(_Searched.at(scale, detector.detect(picture.rgb)))
        num_bytes += picture.rgb.nbytes
        kept.append(picture)
        if num_bytes > KEPT_BYTES:
            kept.clear()
    main = track_main_face([found.scaled for found in searched], max_gap=options.max_gap)
    pictures = kept if num_bytes <= KEPT_BYTES else sample()
    return [
        _crop_found(picture, box, found, options) if box else None
        for picture, box, found in zip(pictures, main, searched, strict=True)
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


class _Searched(NamedTuple):
    """The faces in one picture: in its own pixels, and in those of the first picture."""

    scale: _Scale
    found: list[Box]
    scaled: list[Box]

    @classmethod
    def at(cls, scale: _Scale, found: list[Box]) -> "_Searched":
        return cls(scale, found, [scale.apply(box) for box in found])


def _crop_found(
    picture: Picture, main: Box, searched: _Searched, options: CropOptions
) -> "_FaceInPicture":
    """Crop the main face, and look for the landmarks of this face alone."""
    detector = _detector(options.detector, options.weights, options.min_score)
    for found, scaled in zip(searched.found, searched.scaled, strict=True):
        if scaled is main and options.seek_landmarks:  # detected, not interpolated
            main = searched.scale.apply(detector.add_landmarks(picture.rgb, found))
    crop = _crop(picture.rgb, searched.scale.undo(main), options)
    return _FaceInPicture(picture.sample, main, crop)


def _place_faces(
    path: Path,
    known: "Iterable[Edges | None]",
    options: CropOptions,
    notes: list[str],
    ends_s: list[Fraction],
) -> "list[_FaceInPicture | None]":
    """Crop the known place in each picture; None where there is none, or it is outside."""
    pictures = sample_pictures(
        path, max_duration_s=options.max_duration_s, notes=notes, ends_s=ends_s
    )
    return [
        _place_face(picture, Box(*edges, 1.0), options) if edges is not None else None
        for picture, edges in zip(pictures, known, strict=False)
    ]


def _place_face(picture: Picture, box: Box, options: CropOptions) -> "_FaceInPicture | None":
    if not is_inside(picture.rgb, box):
        return None
    return _FaceInPicture(picture.sample, box, _crop(picture.rgb, box, options))


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
    match options.shape:
        case "square":
            return _Crop(
                crop_face(rgb, box, margin=margin, crop_px=crop_px),
                place_landmarks(rgb, box, margin=margin, crop_px=crop_px),
            )
        case "rectangle":
            return _Crop(crop_rectangle(rgb, box, margin=margin, crop_px=crop_px), None)
        case _:
            assert_never(options.shape)
